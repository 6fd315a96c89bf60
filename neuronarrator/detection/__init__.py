"""The waveform detector: its training on simulated persons, and its marks on a recording."""
