"""Classifiers of EEG windows, the baselines of NeuroNarrator's Table 5."""

from encoders.classifiers.build import CLASSIFIERS as CLASSIFIERS
from encoders.classifiers.build import Classifier as Classifier
from encoders.classifiers.build import Size as Size
from encoders.classifiers.build import build_classifier as build_classifier
from encoders.classifiers.networks import CnnTransformer as CnnTransformer
from encoders.classifiers.networks import Ffcl as Ffcl
from encoders.classifiers.networks import StTransformer as StTransformer
