"""What a vision tower must be able to tell of a page while it learns to read, and the heads that ask it.

The heads are linear or small, and read the very tokens that the language model will get; they are thrown away. Names
are asked for in the language model's own embeddings, so that naming an electrode will be copying.

Letters: B pages of one layout, R traces, H rows and W columns of tokens, D width, M electrode names, F = 7 powers.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import (
    binary_cross_entropy_with_logits,
    cross_entropy,
    gelu,
    layer_norm,
    smooth_l1_loss,
)

from corpus.artifacts import ARTIFACT_KINDS
from corpus.dataset import Batch
from corpus.features import BANDS, REGIONS, energy_tiers
from corpus.montage import ELECTRODE_NAMES
from corpus.page import PageRenderer, PageStyle
from corpus.segment import SEGMENT_S

CHOICES = {  # of facts with one value
    "dominant_band": tuple(BANDS),
    "amplitude": ("low", "medium", "high"),
    "region": REGIONS,
    "asymmetry": ("left", "symmetric", "right"),
}
N_POWERS = len(BANDS) + 1
N_SHAPE = 3
LEAST_PX2 = 0.01  # variance of a line that is flat to the eye
NOT_STATED = -100  # of a choice that a narrative does not make
HIDDEN = 256
LABELS_SFREQ = 20.0  # Hz, of pages without a line


@dataclass(frozen=True)
class PageTargets:
    """What the pages of a batch show.

    Attributes:
        names: row of each trace's electrode in `ELECTRODE_NAMES`, (R,).
        rows: token row that holds the zero line of each trace, (R,).
        offsets: where in that row it is, from 0 to 1, (R,).
        powers: natural logarithm of the band powers and of the variance of each trace in mm² of the page, (B, R, F).
        high: which traces belong to the high-energy tier, (B, R).
        shape: of the lines behind each token: logarithms of the variances in px² of a stretch as wide as the token, of
            its slope and of its curvature, mean over the traces of that row, (B, H, W, 3); zeros where there are none.
        drawn: tokens that have a line behind them, (H, W).
        gain: natural logarithm of the gain of each page, µV/mm, (B,).
        choices: index in `CHOICES`, or `NOT_STATED`, (B,) each.
        artifacts: which kinds there are, (B, kinds).
    """

    names: Tensor
    rows: Tensor
    offsets: Tensor
    powers: Tensor
    high: Tensor
    shape: Tensor
    drawn: Tensor
    gain: Tensor
    choices: dict[str, Tensor]
    artifacts: Tensor

    def to(self, device: torch.device) -> "PageTargets":
        """The targets on a device."""
        values: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self)}
        moved: dict[str, Any] = {name: v.to(device) for name, v in values.items() if isinstance(v, Tensor)}
        return replace(self, **moved, choices={kind: value.to(device) for kind, value in self.choices.items()})

    def of_columns(self, columns: Sequence[int]) -> "PageTargets":
        """Those of pages of which only some columns are seen."""
        return replace(self, shape=self.shape[:, :, list(columns)], drawn=self.drawn[:, list(columns)])


def page_targets(batch: Batch, renderer: PageRenderer, grid: tuple[int, int]) -> PageTargets:
    """The targets of the pages that a renderer draws of a batch.

    Args:
        batch: with log powers and facts.
        renderer: of its layout; each of its traces shows one channel.
        grid: (H, W) tokens of a page.

    Raises:
        ValueError: a batch that was not measured, or traces that are no channels.
    """
    shown = renderer.derivations
    if not batch.log_power.shape[-1] or len(batch.facts) != len(batch):
        raise ValueError("got a batch without measurements, expected log powers and facts; use NarrationDataModule")
    if any(name not in batch.ch_names for name in shown.names):
        raise ValueError(f"got traces such as {shown.names[0]}, expected channels; choose another montage of the page")
    signals = batch.signal_uv.cpu().numpy()
    gains = np.array([renderer.gain_of(signal) for signal in signals])
    side = renderer.layout.height / grid[0]
    lines = np.array(renderer.layout.baselines) / side
    rows = lines.astype(int)
    log_power = batch.log_power[:, -1, shown.first].cpu()
    px_per_uv = (renderer.layout.px_per_mm / gains)[:, None, None]
    traces_px = np.stack([shown.apply(signal) for signal in signals]) * px_per_uv
    shape, drawn = _shapes(traces_px, renderer, rows, grid)
    log_gain = torch.from_numpy(np.log(gains)).float()
    facts = [{kind: value for kind, _, value in own} for own in batch.facts]
    return PageTargets(
        torch.tensor([ELECTRODE_NAMES.index(name) for name in shown.names]),
        torch.from_numpy(rows),
        torch.from_numpy(lines - rows).float(),
        log_power - 2 * log_gain[:, None, None],
        torch.from_numpy(energy_tiers(log_power[..., -1].double().exp().numpy()) == 0).float(),
        shape,
        drawn,
        log_gain,
        {
            kind: torch.tensor([names.index(own[kind]) if kind in own else NOT_STATED for own in facts])
            for kind, names in CHOICES.items()
        },
        torch.tensor([[float(("artifact", "", kind) in own) for kind in ARTIFACT_KINDS] for own in batch.facts]),
    )


def _shapes(
    traces_px: np.ndarray, renderer: PageRenderer, rows: np.ndarray, grid: tuple[int, int]
) -> tuple[Tensor, Tensor]:
    """`shape` and `drawn` of traces (B, R, T): Hjorth's three variances, of single stretches."""
    place, (height, width) = renderer.layout, grid
    side = place.width / width
    first, last = place.left - side / 2, place.right + side / 2  # at least half of a token
    columns = [column for column in range(width) if first <= column * side and (column + 1) * side <= last]
    n_times = traces_px.shape[-1]
    values = np.zeros((len(traces_px), traces_px.shape[1], len(columns), N_SHAPE), np.float32)
    for i, column in enumerate(columns):
        ends = (np.array([column, column + 1]) * side - place.left) / (place.right - place.left) * n_times
        stretch = traces_px[..., slice(*np.clip(ends.astype(int), 0, n_times))]
        for order in range(N_SHAPE):
            values[..., i, order] = np.log(np.diff(stretch, order).var(-1) + LEAST_PX2)
    shape, drawn = np.zeros((len(traces_px), height, width, N_SHAPE), np.float32), np.zeros(grid, bool)
    for row in np.unique(rows):
        shape[:, row, columns] = values[:, rows == row].mean(1)
        drawn[row, columns] = True
    return torch.from_numpy(shape), torch.from_numpy(drawn)


def draw_labels(layouts: Sequence[Sequence[str]], style: PageStyle, grid: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Pages of layouts without a line, and where their names are.

    Returns:
        Pages (layouts, 1, height, width) uint8, and which of `ELECTRODE_NAMES` stand in each row of tokens
        (layouts, H, M).
    """
    pages, there = [], torch.zeros(len(layouts), grid[0], len(ELECTRODE_NAMES))
    for rows, names in zip(there, layouts, strict=True):
        renderer = PageRenderer(names, LABELS_SFREQ, SEGMENT_S, style)
        pages.append(torch.from_numpy(renderer(np.full((len(names), renderer.n_times), np.nan)))[..., 0])
        shown = [ELECTRODE_NAMES.index(name) for name in renderer.derivations.names]
        rows[(np.array(renderer.layout.baselines) * grid[0] / style.height).astype(int), shown] = 1.0
    return torch.stack(pages)[:, None], there


class PageHeads(nn.Module):
    """Small heads that tell from the tokens of a page what it shows.

    A trace is asked for at the first token of its row, where its label is.

    Args:
        names: what the language model embeds each of `ELECTRODE_NAMES` as, (M, D).
    """

    names: Tensor

    def __init__(self, names: Tensor) -> None:
        super().__init__()
        width = names.shape[1]
        self.register_buffer("names", layer_norm(names - names.mean(0), (width,)), persistent=False)
        self.scale = nn.Parameter(torch.tensor(20.0))
        self.bias = nn.Parameter(torch.tensor(-6.0))
        self.trace = nn.Linear(2 * width + 1, HIDDEN)
        self.powers = nn.Linear(HIDDEN, N_POWERS)
        self.top, self.high = nn.Linear(width, width, bias=False), nn.Linear(width, width, bias=False)
        self.page_top = nn.Linear(width, width, bias=False)
        self.shape = nn.Linear(width, N_SHAPE)
        self.gain = nn.Linear(width, 1)
        self.choices = nn.ModuleDict({kind: nn.Linear(width, len(values)) for kind, values in CHOICES.items()})
        self.artifacts = nn.Linear(width, len(ARTIFACT_KINDS))

    def forward(self, tokens: Tensor, targets: PageTargets) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Losses and scores by name.

        Args:
            tokens: (B, H, W, D) as the language model gets them; their length does not matter.
            targets: of these pages.
        """
        tokens = _normed(tokens)
        losses, scores = self._traces(tokens[:, :, 0], targets)
        page = tokens.mean((1, 2))
        losses["shape"] = smooth_l1_loss(self.shape(tokens)[:, targets.drawn], targets.shape[:, targets.drawn])
        losses["gain"] = smooth_l1_loss(self.gain(page)[:, 0], targets.gain)
        losses["artifacts"] = binary_cross_entropy_with_logits(self.artifacts(page), targets.artifacts)
        for kind, target in targets.choices.items():
            if bool((target != NOT_STATED).any()):
                logits = self.choices[kind](page)
                losses[kind] = cross_entropy(logits, target, ignore_index=NOT_STATED)
                known = target != NOT_STATED
                scores[kind] = (logits.argmax(1) == target)[known].float().mean()
        return losses, scores

    def name(self, labels: Tensor, there: Tensor) -> tuple[Tensor, Tensor]:
        """Which electrodes stand at tokens (B, H, D): the loss a name, and the F1 score; `there` is (B, H, M)."""
        logits = _normed(labels) @ self.names.T / labels.shape[-1] * self.scale + self.bias
        loss = binary_cross_entropy_with_logits(logits, there, reduction="sum") / there.sum()
        found = logits > 0
        return loss, 2 * (found & (there > 0)).sum() / (found.sum() + there.sum())

    def _traces(self, labels: Tensor, targets: PageTargets) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Of single traces, from the tokens at the left edge (B, H, D)."""
        own, rows = self.names[targets.names], targets.rows
        width = labels.shape[-1]
        there = torch.zeros(labels.shape[1], len(self.names), device=labels.device)
        there[rows, targets.names] = 1.0
        named, hits = self.name(labels, there.expand(len(labels), -1, -1))
        at = labels[:, rows]  # (B, R, D)
        asked = [at, own.expand_as(at), targets.offsets[:, None].expand(len(at), -1, 1)]
        powers = self.powers(gelu(self.trace(torch.cat(asked, -1))))
        top, high = ((head(at) * own).sum(-1) / width**0.5 for head in (self.top, self.high))
        strongest = targets.powers[..., -1].argmax(1)
        found = targets.names[strongest]
        page = self.page_top(labels.mean(1)) @ self.names.T / width**0.5
        losses = {
            "names": named,
            "powers": smooth_l1_loss(powers, targets.powers),
            "top": cross_entropy(top, strongest),
            "high": binary_cross_entropy_with_logits(high, targets.high),
            "page_top": cross_entropy(page, found),
        }
        spread = (targets.powers - targets.powers.mean((0, 1))).square().mean()
        scores = {
            "names_f1": hits,
            "powers_r2": 1 - (powers.detach() - targets.powers).square().mean() / spread,
            "top": (top.argmax(1) == strongest).float().mean(),
            "page_top": (page.argmax(1) == found).float().mean(),
        }
        return losses, scores


def _normed(tokens: Tensor) -> Tensor:
    return layer_norm(tokens, tokens.shape[-1:])
