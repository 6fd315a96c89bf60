"""Findings to a caption of five aspects: montage, artifacts, sleep, epileptiform activity, background."""

from corpus.caption.words import when, where
from corpus.caption.write import ASPECTS, WAVEFORM_NAMES, caption_parts, write_caption

__all__ = ["ASPECTS", "WAVEFORM_NAMES", "caption_parts", "when", "where", "write_caption"]
