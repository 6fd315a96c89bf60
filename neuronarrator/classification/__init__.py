"""Classifiers on the labels of a dataset: the baselines of NeuroNarrator's Table 5."""
