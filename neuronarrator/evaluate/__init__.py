"""Evaluation of a narrator: cross-modal retrieval with its controls, facts and labels of narratives, answers."""

from neuronarrator.evaluate.labels import LabelOptions, evaluate_labels
from neuronarrator.evaluate.narratives import NarrativeOptions, evaluate_narratives
from neuronarrator.evaluate.questions import evaluate_questions, format_questions
from neuronarrator.evaluate.retrieval import RetrievalOptions, evaluate_retrieval
from neuronarrator.evaluate.sources import list_recordings
