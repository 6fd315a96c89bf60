"""Alignment, narration, verification and reports."""

from neuronarrator.version import __version__
