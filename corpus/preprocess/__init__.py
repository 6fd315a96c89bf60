"""A recording as it was made to one that can be analysed: repaired, filtered, without mains, at one rate."""

from corpus.preprocess.mains import detect_mains as detect_mains
from corpus.preprocess.pipeline import CEREBRAGLOSS as CEREBRAGLOSS
from corpus.preprocess.pipeline import NEURONARRATOR as NEURONARRATOR
from corpus.preprocess.pipeline import PRESETS as PRESETS
from corpus.preprocess.pipeline import PreprocessPreset as PreprocessPreset
from corpus.preprocess.pipeline import Stream as Stream
from corpus.preprocess.pipeline import load_recording as load_recording
from corpus.preprocess.pipeline import pick_channels as pick_channels
from corpus.preprocess.pipeline import preprocess as preprocess
from corpus.preprocess.pipeline import preprocess_stream as preprocess_stream
