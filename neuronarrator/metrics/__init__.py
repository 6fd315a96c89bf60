"""Pure functions under thin `torchmetrics.Metric`s."""

from neuronarrator.metrics.axes import AXES, five_axes
from neuronarrator.metrics.facts import FactF1, FactScore, fact_score
from neuronarrator.metrics.retrieval import RetrievalRecall, recall_at_k, retrieval_ranks
from neuronarrator.metrics.text import rouge_scores
