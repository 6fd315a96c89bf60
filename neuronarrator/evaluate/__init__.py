"""Evaluation of a narrator: cross-modal retrieval with its controls, the facts and the labels of its narratives."""

from neuronarrator.evaluate.labels import LabelOptions, evaluate_labels
from neuronarrator.evaluate.narratives import NarrativeOptions, evaluate_narratives
from neuronarrator.evaluate.retrieval import RetrievalOptions, evaluate_retrieval
from neuronarrator.evaluate.sources import list_recordings
