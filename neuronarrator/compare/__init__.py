"""Narrators side by side: the same segments, references and intervals for each."""

from neuronarrator.compare.config import Chosen, CompareConfig, read_config
from neuronarrator.compare.figure import comparison_png
from neuronarrator.compare.page import comparison_page
from neuronarrator.compare.run import Comparison, compare
from neuronarrator.compare.tables import format_comparison
