"""Batches for training and evaluation."""

from corpus.dataset.batch import Batch, collate, log_power, segment_batches
from corpus.dataset.crops import Augmentation, CropDataset, EpochSampler
from corpus.dataset.mixture import Mixture
from corpus.dataset.stored import NarrationDataset
