"""LaBraM's channel vocabulary: from electrode names to rows of its channel table.

Jiang et al., ICLR 2024, arXiv:2405.18765; the order is that of the published code, on which the weights depend.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Literal, TypeAlias

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

_VOCABULARY = """
    FP1 FPZ FP2 AF9 AF7 AF5 AF3 AF1 AFZ AF2 AF4 AF6 AF8 AF10
    F9 F7 F5 F3 F1 FZ F2 F4 F6 F8 F10 FT9 FT7 FC5 FC3 FC1 FCZ FC2 FC4 FC6 FT8 FT10
    T9 T7 C5 C3 C1 CZ C2 C4 C6 T8 T10 TP9 TP7 CP5 CP3 CP1 CPZ CP2 CP4 CP6 TP8 TP10
    P9 P7 P5 P3 P1 PZ P2 P4 P6 P8 P10 PO9 PO7 PO5 PO3 PO1 POZ PO2 PO4 PO6 PO8 PO10
    O1 OZ O2 O9 CB1 CB2 IZ O10 T3 T5 T4 T6 M1 M2 A1 A2
    CFC1 CFC2 CFC3 CFC4 CFC5 CFC6 CFC7 CFC8 CCP1 CCP2 CCP3 CCP4 CCP5 CCP6 CCP7 CCP8
    T1 T2 FTT9h TTP7h TPP9h FTT10h TPP8h TPP10h
    FP1-F7 F7-T7 T7-P7 P7-O1 FP2-F8 F8-T8 T8-P8 P8-O2 FP1-F3 F3-C3 C3-P3 P3-O1 FP2-F4 F4-C4 C4-P4 P4-O2
"""

CHANNEL_NAMES: tuple[str, ...] = tuple(_VOCABULARY.split())
"""The published vocabulary, in order: 136 names, of which the first `CHANNEL_ROWS` have a row in the table."""

CHANNEL_ROWS = 128
"""Rows of the channel table, without the row of the CLS token."""

_ROW_OF = {name.upper(): row for row, name in enumerate(CHANNEL_NAMES)}
_NEW_OF_OLD = {"T3": "T7", "T4": "T8", "T5": "P7", "T6": "P8"}
RENAMED: dict[str, dict[str, str]] = {
    "as_given": {},
    "new": _NEW_OF_OLD,
    "old": {new: old for old, new in _NEW_OF_OLD.items()},
}
"""Names that one electrode has in the 10-20 and in the 10-10 system, by the system whose rows are to be used."""

Naming: TypeAlias = Literal["as_given", "new", "old"]
ChannelNames: TypeAlias = Sequence[str] | Sequence[Sequence[str]]
"""The names of a batch: one sequence for all rows, or one sequence for each row."""


def channel_rows(ch_names: Sequence[str], names: Naming = "as_given") -> tuple[int, ...]:
    """Rows of the channel table for these names, in order, compared case-insensitively.

    Four electrodes have two names, and the table has separate rows for them: T3 and T7, T4 and T8, T5 and P7, T6 and
    P8. Published weights saw both, each in other recordings.

    Args:
        ch_names: Names of the vocabulary.
        names: "as_given" takes the row of the name given, "new" that of the 10-10 name (T7 also for T3), "old" that of
            the 10-20 name: with either, recordings that name an electrode differently share its row.

    Raises:
        ValueError: If a name is not in the vocabulary, or has no row (the last eight bipolar names).
    """
    return _channel_rows(tuple(ch_names), names)


@lru_cache(maxsize=256)
def _channel_rows(ch_names: tuple[str, ...], names: Naming) -> tuple[int, ...]:
    upper = [RENAMED[names].get(name.upper(), name.upper()) for name in ch_names]
    unknown = [name for name, key in zip(ch_names, upper, strict=True) if key not in _ROW_OF]
    if unknown:
        raise ValueError(
            f"got channel names {unknown}, expected names of LaBraM's vocabulary (encoders.channels.CHANNEL_NAMES): "
            "rename them to the 10-20 or 10-10 electrode ('EEG Fp1-REF' -> 'Fp1') or leave these channels out"
        )
    rows = tuple(_ROW_OF[key] for key in upper)
    past = [name for name, row in zip(ch_names, rows, strict=True) if row >= CHANNEL_ROWS]
    if past:
        raise ValueError(
            f"got channel names {past}, expected one of the first {CHANNEL_ROWS} names: LaBraM lists these derivations "
            "but its channel table has no row for them; use the electrodes against one reference instead"
        )
    return rows


def is_one_layout(ch_names: ChannelNames) -> bool:
    """Whether these are the names of all rows of a batch, and not a sequence of names for each row."""
    return len(ch_names) == 0 or isinstance(ch_names[0], str)


def batch_rows(ch_names: ChannelNames, names: Naming, device: torch.device) -> tuple[Tensor, Tensor | None]:
    """Rows of the channel table for a batch, and which of its channels there are.

    Returns:
        rows: (C,) for one layout, else (B, C) with -1 behind the channels of shorter layouts.
        present: (B, C) bool, or None where every row has all C channels.
    """
    if is_one_layout(ch_names):
        return torch.tensor(channel_rows(ch_names, names), device=device), None  # type: ignore[arg-type]
    layouts = [torch.tensor(channel_rows(layout, names)) for layout in ch_names]
    rows = pad_sequence(layouts, batch_first=True, padding_value=-1)
    padded = len({len(layout) for layout in layouts}) > 1
    return rows.to(device), (rows >= 0).to(device) if padded else None
