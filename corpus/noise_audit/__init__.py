"""How much of generated text is wrong: each sentence against the findings, or against what a simulator knows."""

from corpus.noise_audit.check import CheckedSentence, check_against_findings
from corpus.noise_audit.rate import NoiseRate, measure_noise, wilson_interval
from corpus.noise_audit.reader import Statement, read_sentence, split_sentences
from corpus.noise_audit.signal import check_against_signal
from corpus.noise_audit.truth import check_against_truth
