"""The report document as plain, strict JSON values."""

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from neuronarrator.report.topomaps import Maps

SCHEMA = "neuronarrator.report/1"
SIGNIFICANT_DIGITS = 6
LEAST_DECIMALS = 3  # times late in a long recording keep their milliseconds


def plain(value: Any) -> Any:
    """Copy a document into dicts, lists, strings, finite numbers, booleans and None.

    Floats keep 6 significant digits (and never fewer than 3 decimals); NaN and infinities become None; numpy values
    become Python values.

    Raises:
        TypeError: a value JSON has no word for.
    """
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return _rounded(value)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    raise TypeError(f"got a {type(value).__name__} in the document, expected JSON values; convert it before reporting")


def _rounded(value: float) -> float | None:
    if not math.isfinite(value):
        return None
    if value == 0:
        return 0.0
    decimals = SIGNIFICANT_DIGITS - 1 - math.floor(math.log10(abs(value)))
    return round(value, max(decimals, LEAST_DECIMALS))


def dump_json(document: dict[str, Any]) -> Iterator[str]:
    """The document as strict JSON text, two spaces a level, in pieces: that of a day is large."""
    yield from json.JSONEncoder(ensure_ascii=False, allow_nan=False, indent=2).iterencode(document)
    yield "\n"


def check_document(document: dict[str, Any], topomaps: np.ndarray | Maps | None) -> None:
    """Refuse a document of another schema, and maps that do not fit its segments.

    Raises:
        ValueError: got X, expected Y, do Z.
    """
    if document.get("schema") != SCHEMA:
        raise ValueError(f"got schema {document.get('schema')!r}, expected {SCHEMA!r}; rebuild the document")
    count = len(document["segments"])
    if topomaps is None:
        return
    shape = tuple(topomaps.shape)
    if len(shape) != 4 or shape[0] != count or shape[3] != 3 or topomaps.dtype != np.uint8:
        raise ValueError(
            f"got topomaps {topomaps.dtype} {shape}, expected uint8 ({count}, H, W, 3); render one map a segment, or "
            "pass None"
        )
