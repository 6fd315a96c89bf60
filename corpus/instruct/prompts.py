"""What a teacher is told to make an item of: four sources in an order of trust, and the form of the answer."""

import json
from dataclasses import replace
from typing import Literal

from corpus.caption import write_caption
from corpus.describe import write_narrative
from corpus.findings import Findings, Labels
from corpus.instruct.record import Material
from corpus.refine.prompts import Messages

TeacherTask = Literal["description", "choice", "conversation"]
TEACHER_TASKS: tuple[TeacherTask, ...] = ("description", "choice", "conversation")
PROMPT_VERSION = "instruct-1"  # part of every cache key, through the text of the system prompt
_RULES = """\
You write training material for a program that reads EEG. You are given what is known of one segment of an EEG, from \
up to four sources. You see no picture; your reader will, so write as somebody who looks at the traces.

The sources, from the most to the least reliable:
1. EXPERT: a remark of a person who read this segment. It outranks everything below.
2. STAGE: stage of sleep or waking that the recording was scored with. It outranks 3 and 4.
3. MEASURED: sentences computed from the signal. Where they disagree with 4 they are right.
4. MARKS: waveforms and artifacts that programs marked, with electrodes and seconds. Single marks may be wrong: use \
them only where MEASURED agrees.

Rules:
- State nothing that the sources do not state: no diagnosis, cause, age, sex, drug or advice.
- Prefer the wording of MEASURED; copy electrodes, numbers and seconds exactly, and do not round or compute.
- Say first what matters most to a reader of EEG. Leave out what is trivial.
- Never mention the sources, their names, or that anything was given to you.
- One statement a sentence, plain English, no mark-up.

"""
_TASKS = {
    "description": "Task: one paragraph of four to ten sentences that describes the segment. Answer with it alone.",
    "choice": (
        "Task: one question of four options that asks for two or more findings together, so that no single one "
        "decides. Each option is one or two complete sentences, exactly one option is true, and the others contradict "
        'the sources. Answer with one JSON object alone: {"question": "...", "options": ["...", "...", "...", "..."], '
        '"answer": 0}, where the answer is the index of the true option.'
    ),
    "conversation": (
        "Task: a conversation of two to four rounds between a learner and a reader of EEG; each question follows from "
        "the answer before it. Answer with one JSON list alone: "
        '[{"question": "...", "answer": "..."}, ...].'
    ),
}


def build_messages(task: TeacherTask, material: Material, seed: int = 0) -> Messages:
    """The chat messages for one item.

    They hold the expert's words, the stage, the measured sentences and the marks of the segment, and no label of the
    person.

    Args:
        task: which item.
        material: the segment.
        seed: of the wording of the measured sentences.
    """
    parts = {
        "EXPERT": material.description,
        "STAGE": material.state,
        "MEASURED": measured_text(material.findings, seed),
        "MARKS": json.dumps(_marks(material.findings)),
    }
    told = "\n\n".join(f"{name}:\n{text}" for name, text in parts.items() if text)
    return [{"role": "system", "content": _RULES + _TASKS[task]}, {"role": "user", "content": told}]


def measured_text(findings: Findings, seed: int) -> str:
    """The narrative and, where there are details, the caption; without labels."""
    findings = replace(findings, labels=Labels())
    narrative = write_narrative(findings, seed)
    return f"{narrative} {write_caption(findings, seed)}" if findings.of("montage") else narrative


def _marks(findings: Findings) -> list[list[object]]:
    """Waveforms and artifacts: kind, electrodes, start and end in seconds of the segment."""
    start_s = findings.segment.start_s
    items = [*findings.of("waveform"), *findings.of("artifact"), *findings.of("extended_artifact")]
    return [
        [i.value, list(i.ch_names), round(i.start_s - start_s, 2), round(i.start_s - start_s + i.duration_s, 2)]
        for i in items
        if i.value != "none"
    ]
