"""The order and colours in which a neurologist expects the channels of a referential page."""

import re
from dataclasses import dataclass

_ROWS = ("fp", "af", "f", "ft", "fc", "t", "c", "tp", "cp", "p", "po", "o", "i")  # from front to back
_NAME = re.compile(rf"^({'|'.join(sorted(_ROWS, key=len, reverse=True))})(z|\d{{1,2}})$", re.IGNORECASE)
_OLD_NAMES = {"t3": "t7", "t4": "t8", "t5": "p7", "t6": "p8", "t1": "ft9", "t2": "ft10"}
_EDGE_ROWS = ("fp", "o", "i")  # Fp1, O1 and their like close the temporal chains
_TEMPORAL = 7  # lateral number from which a site belongs to the outermost chain


@dataclass(frozen=True)
class Row:
    """One channel of the page: its index in the recording, its name and side, and whether a new chain starts here."""

    index: int
    name: str
    side: str  # "left", "midline", "right" or "other"
    starts_chain: bool


def page_rows(ch_names: tuple[str, ...]) -> list[Row]:
    """Sort channels into sagittal chains: left from temporal to paramedian, midline, right outwards.

    The 19 channels of the 10-20 system give Fp1 F7 T3 T5 O1 / F3 C3 P3 / Fz Cz Pz / F4 C4 P4 / Fp2 F8 T4 T6 O2; further
    10-10 sites join the chain of their number. Other names follow in the order given.
    """
    placed = [(_place(name), index, name) for index, name in enumerate(ch_names)]
    placed.sort(key=lambda item: (item[0][0], *item[0][1], item[1]))
    rows: list[Row] = []
    before: int | None = None
    for (chain, _), index, name in placed:
        side = "other" if chain == _OTHER else ("left", "midline", "right")[(chain > 0) - (chain < 0) + 1]
        rows.append(Row(index, name, side, starts_chain=before is not None and chain != before))
        before = chain
    return rows


_OTHER = 99


def _place(name: str) -> tuple[int, tuple[int, int]]:
    """The chain (negative left, 0 midline, positive right, 99 unknown) and the place in it."""
    match = _NAME.match(_OLD_NAMES.get(name.lower(), name))
    if match is None:
        return _OTHER, (0, 0)
    row, digits = match[1].lower(), match[2].lower()
    place = (_ROWS.index(row), 0 if digits == "z" else int(digits))
    if digits == "z":
        return 0, place
    lateral = int(digits) - 1 + int(digits) % 2  # 1 2 → 1, 3 4 → 3, ...
    chain = _TEMPORAL if lateral >= _TEMPORAL or row in _EDGE_ROWS else lateral
    return (-chain if int(digits) % 2 else chain), place
