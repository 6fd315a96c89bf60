"""Recordings to a corpus: one function for each recording, on one machine or on a Ray cluster.

Every recording becomes a part, written at once or not at all, and a note of it. A build that is started again finds
both, tries what failed once more and goes on; what it ends with depends on the recordings, on what stands beside them,
on the configuration and on the version alone.
"""

from corpus.build.config import BuildConfig, plain_config
from corpus.build.plan import PARTS, plan_build
from corpus.build.recording import process_recording
from corpus.build.run import BuildSummary, build_corpus
from corpus.build.task import Outcome, Task
