"""The noise rate of many checked sentences, with its interval and its causes."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from corpus.noise_audit.check import CheckedSentence


def wilson_interval(count: int, total: int, level: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a share (Wilson 1927, doi:10.1080/01621459.1927.10502953); (0, 1) of nothing."""
    from scipy.stats import binomtest

    if not total:
        return 0.0, 1.0
    low, high = binomtest(count, total).proportion_ci(level, method="wilson")
    return float(low), float(high)


@dataclass(frozen=True)
class NoiseRate:
    """How much of generated text is wrong.

    Attributes:
        sentences: checked.
        noise: of them contradicted.
        unread: of them not understood by the check; they count as neither right nor wrong and are reported.
        rate: share of the understood sentences that is contradicted.
        low: lower end of the 95 % Wilson interval of the rate.
        high: its upper end.
        causes: how often each kind of statement was wrong, the most frequent first.
    """

    sentences: int
    noise: int
    unread: int
    rate: float
    low: float
    high: float
    causes: dict[str, int]


def measure_noise(checked: Iterable[CheckedSentence]) -> NoiseRate:
    """Count the verdicts of sentences.

    Sentences of one recording are alike, so the interval, which takes them as independent, is narrower than one over
    recordings.
    """
    sentences = list(checked)
    verdicts = Counter(sentence.verdict for sentence in sentences)
    noise, read = verdicts["contradicted"], len(sentences) - verdicts["unread"]
    causes = Counter(sentence.why for sentence in sentences if sentence.verdict == "contradicted")
    return NoiseRate(
        sentences=len(sentences),
        noise=noise,
        unread=verdicts["unread"],
        rate=noise / max(read, 1),
        low=wilson_interval(noise, read)[0],
        high=wilson_interval(noise, read)[1],
        causes=dict(causes.most_common()),
    )
