"""The narrator: a Qwen language model that reads both encoders as soft prompts (NeuroNarrator, Sec. 3.4)."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import (
    AutoTokenizer,
    LogitsProcessor,
    LogitsProcessorList,
    PreTrainedTokenizerBase,
    Qwen3Config,
    Qwen3ForCausalLM,
)
from transformers.modeling_outputs import CausalLMOutputWithPast

from corpus.dataset import Batch
from corpus.describe import BAND_NAMES
from corpus.features import REGIONS, homologous_pairs
from corpus.montage import region_of
from encoders.labram import SignalEncoder
from encoders.presets import SIGNAL_ENCODER_PRESETS
from encoders.projector import Projector
from encoders.spectrum import Layout, Ranking, SpectrumEncoder
from encoders.topomap import TopomapEncoder
from neuronarrator.dual_encoder import DualEncoder
from neuronarrator.prompts import PLACEHOLDERS, SEQUENCE, build_prompt, mask_labels, pad, splice

if TYPE_CHECKING:
    from neuronarrator.narrate import NarratedRecording

PRETRAINED = Path(__file__).parent / "pretrained"
CONFIG_FILE, WEIGHTS_FILE = "config.json", "model.safetensors"


@dataclass
class NarratorConfig:
    """What rebuilds a narrator.

    Attributes:
        encoder: size of both encoders, "tiny" or "base".
        llm: fields of `Qwen3Config`.
        history_k: K, preceding segments in the prompt.
        modalities: which soft prompts enter, among history, signal, topomap, spectrum.
        spectrum_width: width of the spectrum tokens before their projector.
        max_new_tokens: where generation stops at the latest.
        name: of the model.
        version: of the model.
    """

    encoder: str = "tiny"
    llm: dict[str, Any] = field(default_factory=dict)
    history_k: int = 2
    modalities: tuple[str, ...] = SEQUENCE
    spectrum_width: int = 96
    max_new_tokens: int = 192
    name: str = "tiny"
    version: str = "1"

    def __post_init__(self) -> None:
        unknown = set(self.modalities) - set(SEQUENCE)
        if unknown or "signal" not in self.modalities:
            raise ValueError(f"got modalities {self.modalities}, expected signal and any of {SEQUENCE}")
        self.modalities = tuple(name for name in SEQUENCE if name in self.modalities)


@dataclass(frozen=True)
class Generation:
    """A generated narrative and the geometric mean probability of its tokens (not calibrated)."""

    text: str
    confidence: float


class _GreedyLogProbs(LogitsProcessor):
    """Notes the log probability of each greedy token as it is chosen, so that no logits need be kept."""

    def __init__(self) -> None:
        self.steps: list[Tensor] = []

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        self.steps.append(scores.float().log_softmax(-1).amax(-1))
        return scores

    def mean(self, used: Tensor) -> Tensor:
        """Mean over the tokens in use (B, N) of each row, (B,)."""
        log_probs = torch.stack(self.steps, dim=1)[:, : used.shape[1]]
        return (log_probs * used).sum(1) / used.sum(1).clamp(min=1)


@lru_cache(maxsize=64)
def _layout(ch_names: tuple[str, ...], device: torch.device) -> Layout:
    """Regions and homologous pairs of a channel layout."""
    regions = [[region_of(name) == region for name in ch_names] for region in REGIONS]
    pairs = torch.tensor(homologous_pairs(ch_names), dtype=torch.long).reshape(-1, 2)
    return Layout(torch.tensor(regions, device=device), pairs.to(device))


class Narrator(nn.Module):
    """Soft prompts [history, signal, topomap, spectrum], then the instruction, then the narrative.

    Args:
        config: sizes and modalities.
        tokenizer: of the LLM, with the placeholders.
    """

    placeholder_ids: Tensor

    def __init__(self, config: NarratorConfig, tokenizer: PreTrainedTokenizerBase) -> None:
        super().__init__()
        self.config, self.tokenizer = config, tokenizer
        self.llm = Qwen3ForCausalLM(Qwen3Config(**{"vocab_size": len(tokenizer), **config.llm}))
        width = self.llm.config.hidden_size
        self.dual = DualEncoder(
            SignalEncoder(SIGNAL_ENCODER_PRESETS[config.encoder]), TopomapEncoder(config.encoder), width
        )
        self.missing_history = nn.Parameter(torch.randn(width))
        self.norms = nn.ModuleDict({name: nn.RMSNorm(width) for name in config.modalities})
        for weight in self.norms.parameters():  # soft prompts begin as large as the token embeddings they stand among
            nn.init.constant_(weight, self.llm.config.initializer_range)
        if "spectrum" in config.modalities:
            self.spectrum = SpectrumEncoder(config.spectrum_width, config.history_k)
            self.spectrum_projector = Projector(config.spectrum_width, width)
        ids = tokenizer.convert_tokens_to_ids(list(PLACEHOLDERS.values()))
        self.register_buffer("placeholder_ids", torch.tensor(ids), persistent=False)
        self._prompts: dict[tuple[int, ...], Tensor] = {}
        self._words: dict[tuple[str, ...], tuple[Tensor, Tensor]] = {}
        self.card = {"name": config.name, "version": config.version, "sha256": "", "description": self._describe()}

    def _describe(self) -> str:
        llm = self.llm.config
        size = sum(p.numel() for p in self.parameters()) / 1e6
        return (
            f"LaBraM {self.config.encoder} + CLIP {self.config.encoder} + Qwen3 ({llm.num_hidden_layers} layers, width "
            f"{llm.hidden_size}), {size:.1f} M parameters, soft prompts: {', '.join(self.config.modalities)}"
        )

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.missing_history.device

    def soft_prompts(self, batch: Batch) -> Tensor:
        """The soft prompts of a batch in the order of the prompt, (B, S, D)."""
        parts = {}
        if "history" in self.config.modalities:
            parts["history"] = self._encode_history(batch)
        parts["signal"] = self.dual.encode_signal(batch.signal_uv, batch.ch_names)[:, None]
        if "topomap" in self.config.modalities:
            parts["topomap"] = self.dual.encode_topomap(batch.signal_uv, batch.ch_names)[:, None]
        if "spectrum" in self.config.modalities:
            tokens, ranking = self.spectrum(batch.log_power, batch.history_mask, _layout(batch.ch_names, self.device))
            parts["spectrum"] = self.spectrum_projector(tokens)
        parts = {name: self.norms[name](parts[name]) for name in self.config.modalities}
        if "spectrum" in parts:
            parts["spectrum"] = parts["spectrum"] + self._spectrum_names(ranking, batch.ch_names)
        return torch.cat(list(parts.values()), dim=1)

    def _spectrum_names(self, ranking: Ranking, ch_names: Sequence[str]) -> Tensor:
        """What each spectrum token is of, (B, 12 + C, D): the mean token embedding of its name.

        The strongest electrode stands first under its own name, so naming it is copying.
        """
        names = [*BAND_NAMES.values(), *REGIONS, "hemispheres", *ch_names]
        ids, mask = (part.to(self.device) for part in self._tokenize_words(tuple(names)))
        embeds = self.llm.get_input_embeddings()(ids) * mask[..., None]
        embeds = embeds.sum(1) / mask.sum(1, keepdim=True)
        bands, regions, hemispheres, electrodes = embeds.split([len(BAND_NAMES), len(REGIONS), 1, len(ch_names)])
        rows = len(ranking.channels)
        return torch.cat(
            [
                bands.expand(rows, -1, -1),
                regions[ranking.regions],
                hemispheres.expand(rows, -1, -1),
                electrodes[ranking.channels],
            ],
            dim=1,
        )

    def _tokenize_words(self, words: tuple[str, ...]) -> tuple[Tensor, Tensor]:
        """Ids and mask (N, L) of each word as it stands in running text."""
        if words not in self._words:
            ids = self.tokenizer([f" {word}" for word in words], add_special_tokens=False)["input_ids"]
            self._words[words] = pad(ids, self.tokenizer.pad_token_id)
        return self._words[words]

    def _encode_history(self, batch: Batch) -> Tensor:
        known = batch.history_mask
        embeds = self.missing_history.expand(*known.shape, -1).clone()
        if known.any():
            embeds[known] = self.dual.encode_signal(batch.history_uv[known], batch.ch_names).to(embeds.dtype)
        return embeds

    def _prompt_ids(self, n_chans: int) -> Tensor:
        counts = {"history": self.config.history_k, "signal": 1, "topomap": 1}
        counts["spectrum"] = SpectrumEncoder.count_tokens(n_chans)
        counts = {name: counts[name] for name in self.config.modalities}
        key = tuple(counts.values())
        if key not in self._prompts:
            self._prompts[key] = torch.tensor(build_prompt(self.tokenizer, counts))
        return self._prompts[key].to(self.device)

    def embed_prompt(self, batch: Batch) -> Tensor:
        """Embeddings of the whole prompt, soft prompts in place, (B, N, D)."""
        ids = self._prompt_ids(len(batch.ch_names))
        tokens = self.llm.get_input_embeddings()(ids)
        return splice(tokens, ids, self.placeholder_ids, self.soft_prompts(batch))

    def forward(self, batch: Batch) -> CausalLMOutputWithPast:
        """Teacher-forced pass over the reference narratives; `loss` is the mean over answer tokens (Eq. 7)."""
        prompt = self.embed_prompt(batch)
        end = self.tokenizer.eos_token_id
        answers = [[*ids, end] for ids in self.tokenizer(batch.narratives, add_special_tokens=False)["input_ids"]]
        ids, mask = (part.to(self.device) for part in pad(answers, self.tokenizer.pad_token_id))
        embeds = torch.cat([prompt, self.llm.get_input_embeddings()(ids)], dim=1)
        attention = torch.cat([mask.new_ones(prompt.shape[:2]), mask], dim=1)
        labels = mask_labels(ids, mask, prompt.shape[1])
        keep = ids.shape[1] + 1  # logits of the prompt are never used
        return self.llm(
            inputs_embeds=embeds,
            attention_mask=attention,
            labels=labels[:, -keep:],
            logits_to_keep=keep,
            use_cache=False,
        )

    @torch.inference_mode()
    def generate(self, batch: Batch) -> list[Generation]:
        """Greedy narratives of a batch, all rows at once."""
        prompt = self.embed_prompt(batch)
        watch = _GreedyLogProbs()
        sequences: Any = self.llm.generate(  # type: ignore[misc]
            inputs_embeds=prompt,
            attention_mask=torch.ones(prompt.shape[:2], dtype=torch.long, device=prompt.device),
            max_new_tokens=self.config.max_new_tokens,
            do_sample=False,
            eos_token_id=self.tokenizer.eos_token_id,
            pad_token_id=self.tokenizer.pad_token_id,
            logits_processor=LogitsProcessorList([watch]),
        )
        confidence = watch.mean(sequences != self.tokenizer.pad_token_id).exp()
        texts = self.tokenizer.batch_decode(sequences, skip_special_tokens=True)
        return [Generation(t.strip(), float(p)) for t, p in zip(texts, confidence, strict=True)]

    def save_pretrained(self, directory: str | Path) -> None:
        """Write configuration, tokenizer and weights to a directory."""
        directory = Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        config = asdict(self.config) | {"llm": {**self.config.llm, "vocab_size": len(self.tokenizer)}}
        (directory / CONFIG_FILE).write_text(json.dumps(config, indent=2) + "\n")
        self.tokenizer.save_pretrained(directory)
        tied = {"llm.lm_head.weight"} if self.llm.config.tie_word_embeddings else set()
        state = {k: v.contiguous() for k, v in self.state_dict().items() if k not in tied}
        save_file(state, directory / WEIGHTS_FILE)

    @classmethod
    def from_pretrained(cls, name: str | Path, device: str = "cpu") -> "Narrator":
        """Load a narrator by name (one that ships with the package) or from a directory.

        Raises:
            FileNotFoundError: there is no such model.
        """
        directory = PRETRAINED / str(name) if (PRETRAINED / str(name) / CONFIG_FILE).is_file() else Path(name)
        if not (directory / CONFIG_FILE).is_file():
            shipped = sorted(path.parent.name for path in PRETRAINED.glob(f"*/{CONFIG_FILE}"))
            raise FileNotFoundError(
                f"got model {str(name)!r}, expected one of {shipped} or a directory with a {CONFIG_FILE}: "
                "check the name or the path"
            )
        config = NarratorConfig(**json.loads((directory / CONFIG_FILE).read_text()))
        narrator = cls(config, AutoTokenizer.from_pretrained(directory, local_files_only=True))
        state = load_file(directory / WEIGHTS_FILE)
        report = narrator.load_state_dict(state, strict=False)
        missing = [k for k in report.missing_keys if k != "llm.lm_head.weight"]
        if missing or report.unexpected_keys:
            raise ValueError(
                f"got weights that miss {missing[:5]} and add {report.unexpected_keys[:5]}, expected exactly the "
                f"parameters of {CONFIG_FILE} in {directory.name}: restore both files from one model"
            )
        narrator.card["sha256"] = hashlib.sha256((directory / WEIGHTS_FILE).read_bytes()).hexdigest()
        return narrator.to(device).eval()

    def narrate(self, path: str | Path) -> "NarratedRecording":
        """Read a recording of any format MNE reads and narrate, verify and picture every segment of it.

        Raises:
            RecordingError: the file cannot be narrated; one line says why and what to do.
        """
        from neuronarrator.narrate import load_for_model, narrate_recording

        return narrate_recording(self, load_for_model(path))
