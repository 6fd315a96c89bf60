import numpy as np

from corpus.recording import Recording
from corpus.segment import segment_recording


def make_recording(duration_s: float, breaks_s: tuple[float, ...] = ()) -> Recording:
    signal = np.arange(round(duration_s * 200), dtype=np.float32)[None]
    return Recording(signal, 200.0, ("Cz",), breaks_s=breaks_s)


def test_segments_are_ten_seconds_and_do_not_overlap() -> None:
    segments = segment_recording(make_recording(35.9))
    assert [s.start_s for s in segments] == [0.0, 10.0, 20.0]
    assert [s.signal_uv[0, 0] for s in segments] == [0, 2000, 4000]
    assert all(s.signal_uv.shape == (1, 2000) for s in segments)


def test_history_is_the_k_direct_predecessors() -> None:
    segments = segment_recording(make_recording(50), history_k=2)
    assert [s.history for s in segments] == [(), (0,), (0, 1), (1, 2), (2, 3)]


def test_no_segment_and_no_history_spans_a_break() -> None:
    segments = segment_recording(make_recording(50, breaks_s=(25.0,)))
    assert [s.start_s for s in segments] == [0.0, 10.0, 25.0, 35.0]
    assert [s.history for s in segments] == [(), (0,), (), (2,)]


def test_too_short_has_no_segment() -> None:
    assert segment_recording(make_recording(9.99)) == []
