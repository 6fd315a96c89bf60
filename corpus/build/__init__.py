"""Recordings to a corpus: one function for each recording, on one machine or on a Ray cluster.

Every recording becomes a part, written at once or not at all, and a note of how it went. A build that is started again
finds both and goes on; what it ends with depends on the recordings and on the configuration alone.
"""

from corpus.build.config import BuildConfig, plain_config
from corpus.build.plan import PARTS, plan_build
from corpus.build.recording import process_recording
from corpus.build.run import BuildSummary, build_corpus
from corpus.build.task import Outcome, Task
