"""Structured templates to fluent narratives by a teacher model, each answer checked against the findings."""

from corpus.refine.client import Teacher, TeacherError
from corpus.refine.prompts import PROMPT_VERSION, Visibility, build_messages, visible_labels
from corpus.refine.run import RefineResult, RefineSummary, refine
from corpus.refine.validate import Checked, check_answer
