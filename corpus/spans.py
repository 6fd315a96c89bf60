"""Spans of time."""

from collections.abc import Iterable

Span = tuple[float, float]


def join_spans(spans: Iterable[Span], gap_s: float = 0.0) -> list[Span]:
    """Spans (start, end) that overlap, or lie at most `gap_s` seconds apart, as one; in order of time."""
    joined: list[Span] = []
    for start, end in sorted(spans):
        if joined and start <= joined[-1][1] + gap_s:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return joined
