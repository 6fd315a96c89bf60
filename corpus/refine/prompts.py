"""What a teacher is told: our instructions and the template of one segment, with no more labels than allowed."""

from dataclasses import replace
from typing import Literal, get_args

from corpus.describe import write_template
from corpus.findings import Findings, Labels

Visibility = Literal["none", "demographics", "full"]
Messages = list[dict[str, str]]

PROMPT_VERSION = "1"  # part of every cache key: raise it with any change of the texts below
SYSTEM_PROMPT = """\
You write the findings paragraph of EEG reports. You receive the measurements of one segment of an EEG and turn them \
into one paragraph of fluent clinical English of 60 to 150 words.

Cover, in an order that reads well: the dominant frequency band; the electrode of highest energy and the region it \
stands for; for every band how it changed against the preceding segments; the other electrodes of the high-energy \
tier; the artifacts.

Rules:
- Say only what the measurements say. Add no diagnosis, cause, state, behaviour, age, sex, event or waveform that is \
not written there, and do not judge whether anything is normal.
- Describe changes in these words: stable, moderate increase, marked increase, moderate decrease, marked decrease. \
Where no preceding segment exists, say so and describe no change.
- Write electrodes exactly as they are written there. Name a band only to call it dominant or to say how it changed, \
an electrode only to call it the highest-energy channel or a part of the high-energy tier.
- Leave numbers out, but for the range and the frequency of the dominant band, exactly as they are written there.
- Answer with the paragraph alone: plain sentences, no heading, no list, no mark-up, and no word about these rules or \
about where the measurements come from."""
_USER_PROMPT = "Measurements of the segment:\n{template}"


def visible_labels(labels: Labels, visibility: Visibility) -> Labels:
    """The labels that a prompt may contain: none of them, age and sex only, or all.

    Raises:
        ValueError: for any other visibility.
    """
    if visibility == "none":
        return Labels()
    if visibility == "demographics":
        return Labels(age_years=labels.age_years, sex=labels.sex)
    if visibility == "full":
        return labels
    raise ValueError(
        f"got label_visibility {visibility!r}, expected one of {', '.join(get_args(Visibility))}; correct it"
    )


def restrict(findings: Findings, visibility: Visibility) -> Findings:
    """The same findings with the visible labels only."""
    return replace(findings, labels=visible_labels(findings.labels, visibility))


def build_messages(findings: Findings, visibility: Visibility = "none") -> Messages:
    """The chat messages for one segment. They hold the template of its findings and nothing else of the recording."""
    template = write_template(restrict(findings, visibility))
    return [
        {"role": "system", "content": SYSTEM_PROMPT},
        {"role": "user", "content": _USER_PROMPT.format(template=template)},
    ]
