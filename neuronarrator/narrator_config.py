"""What rebuilds a narrator."""

from dataclasses import dataclass, field
from typing import Any

from neuronarrator.language.prompts import SEQUENCE

INSTRUCTIONS = ("narrate", "ask")


@dataclass
class NarratorConfig:
    """What rebuilds a narrator.

    Attributes:
        encoder: size of both encoders, "tiny" or "base".
        llm: a Hugging Face model by name or directory, with its weights; or directory of a text narrator, for its LLM;
            or fields of `Qwen3Config`, for random weights.
        history_k: K, preceding segments in the prompt; of a batch that holds more the last K are read.
        modalities: which soft prompts enter, among history, signal, topomap, spectrum.
        spectrum_width: width of the spectrum tokens before their projector.
        max_new_tokens: where generation stops at the latest.
        name: of the model.
        version: of the model.
        instructions: what the model may be told, among narrate and ask (questions: only for an LLM that knows more
            than narratives).
        questions: the only ones it answers, where it cannot tell what else it is asked; none: any.
        tokens_per_segment: soft prompts of each segment, current or preceding: the vector that stage 1 aligned, and
            behind it others that a `Resampler` reads from the patches; 1, as in the paper: that vector alone.
        match_norms: soft prompts begin as long as the token embeddings of the LLM are on average, as pretrained ones
            need; else as long as random ones.
        time_tokens: behind the tokens of each segment stands one that tells a time: of the current segment when it
            begins in its recording, of a preceding one how long before the current one.
    """

    encoder: str = "tiny"
    llm: dict[str, Any] | str = field(default_factory=dict)
    history_k: int = 2
    modalities: tuple[str, ...] = SEQUENCE
    spectrum_width: int = 96
    max_new_tokens: int = 192
    name: str = "tiny"
    version: str = "1"
    instructions: tuple[str, ...] = ("narrate",)
    tokens_per_segment: int = 1
    match_norms: bool = False
    time_tokens: bool = False
    questions: tuple[str, ...] = ()

    def answers(self, question: str) -> bool:
        """Whether a narrator of this configuration answers a question; case and the question mark do not matter."""
        return "ask" in self.instructions and (not self.questions or _plain(question) in map(_plain, self.questions))

    def __post_init__(self) -> None:
        unknown = set(self.modalities) - set(SEQUENCE)
        if unknown or "signal" not in self.modalities:
            raise ValueError(f"got modalities {self.modalities}, expected signal and any of {SEQUENCE}")
        self.modalities = tuple(name for name in SEQUENCE if name in self.modalities)
        if set(self.instructions) - set(INSTRUCTIONS) or "narrate" not in self.instructions:
            raise ValueError(f"got instructions {self.instructions}, expected narrate and any of {INSTRUCTIONS}")
        self.instructions, self.questions = tuple(self.instructions), tuple(self.questions)
        if self.history_k < 0 or self.tokens_per_segment < 1:
            raise ValueError(
                f"got history_k={self.history_k} and tokens_per_segment={self.tokens_per_segment}, expected 0 or more "
                "and 1 or more; correct them"
            )


def _plain(question: str) -> str:
    return " ".join(question.casefold().rstrip("?. ").split())
