"""Narrators side by side: the same segments, references and intervals for each."""

from neuronarrator.compare.page import comparison_page
from neuronarrator.compare.run import Chosen, CompareConfig, Comparison, compare, format_comparison, read_config
