"""Microvolts in 16 bits: linear where EEG lives, logarithmic above, so that a 45 mV artifact needs no clipping.

Codes up to 20,000 are linear in steps of 3/32 µV (exact in binary), so the error stays below 0.047 µV up to 1.875 mV.
The 12,767 codes above are logarithmic up to 1 V, each 0.049 % above the one before, so the error is at most 0.025 %.
The sign of a code is that of the sample; -32768 is never written.
"""

from functools import lru_cache
from typing import Any

import numpy as np

LINEAR_STEP_UV = 0.09375
LINEAR_CODES = 20_000
MAX_CODE = 32_767
LINEAR_MAX_UV = LINEAR_STEP_UV * LINEAR_CODES
MAX_UV = 1e6  # no scalp amplifier delivers a volt
LOG_STEP = float(np.log(MAX_UV / LINEAR_MAX_UV) / (MAX_CODE - LINEAR_CODES))


def encode(signal_uv: np.ndarray) -> np.ndarray:
    """Samples to codes.

    Args:
        signal_uv: microvolts, any shape, at most 1 V.

    Returns:
        int16 of the same shape; `decode` of it is within 0.047 µV below 1.875 mV, within 0.025 % above.

    Raises:
        ValueError: a sample is missing (NaN), infinite, or beyond 1 V.
    """
    signal_uv = np.asarray(signal_uv)
    peak = float(np.maximum(signal_uv.max(initial=0.0), -signal_uv.min(initial=0.0)))  # NaN if any sample is
    if not peak <= MAX_UV:
        what = f"a sample of {peak:.3g} µV" if np.isfinite(peak) else "missing or infinite samples (NaN)"
        raise ValueError(f"got {what}, expected finite microvolts up to 1 V; fill the gap or leave the segment out")
    codes = np.asarray(signal_uv * np.float32(1 / LINEAR_STEP_UV))
    np.rint(codes, out=codes)
    if peak > LINEAR_MAX_UV:
        large = np.abs(signal_uv) > LINEAR_MAX_UV
        values = signal_uv[large].astype(np.float64)
        steps = np.rint(np.log(np.abs(values) / LINEAR_MAX_UV) / LOG_STEP)
        codes[large] = np.sign(values) * (LINEAR_CODES + steps)
    return codes.astype(np.int16)


def decode(codes: np.ndarray) -> np.ndarray:
    """Codes to microvolts: int16 of any shape to float32 of the same shape; by table where some are logarithmic."""
    codes = np.ascontiguousarray(codes, dtype=np.int16)
    if codes.max(initial=0) <= LINEAR_CODES and codes.min(initial=0) >= -LINEAR_CODES:
        return np.multiply(codes, np.float32(LINEAR_STEP_UV), dtype=np.float32)
    return _table()[codes.view(np.uint16)]


def describe_code() -> dict[str, Any]:
    """What a reader without this library has to know to decode a signal; goes into the manifest."""
    step, codes, top, log = LINEAR_STEP_UV, LINEAR_CODES, LINEAR_MAX_UV, LOG_STEP
    return {
        "type": "list of int16 codes, (channels, samples) in row-major order: len(ch_names) * n_times values",
        "unit": "µV",
        "linear_step_uv": step,
        "linear_codes": codes,
        "log_step": log,
        "numpy": (
            f"c = codes.astype(float); uv = np.where(abs(c) <= {codes}, {step} * c, "
            f"np.sign(c) * {top} * np.exp({log!r} * (abs(c) - {codes}))); uv = uv.reshape(len(ch_names), n_times)"
        ),
        "sql": (
            f"[CASE WHEN abs(c::INT) <= {codes} THEN {step} * c "
            f"ELSE sign(c) * {top} * exp({log!r} * (abs(c::INT) - {codes})) END FOR c IN signal]"
        ),
    }


@lru_cache(maxsize=1)
def _table() -> np.ndarray:
    """Microvolts of each code, indexed by its bits as uint16."""
    codes = np.arange(1 << 16, dtype=np.uint16).view(np.int16).astype(np.float64)
    size = np.abs(codes)
    above = LINEAR_MAX_UV * np.exp(LOG_STEP * (np.maximum(size, LINEAR_CODES) - LINEAR_CODES))
    values = np.where(size <= LINEAR_CODES, LINEAR_STEP_UV * codes, np.sign(codes) * above)
    values[1 << 15] = np.nan  # -32768
    return values.astype(np.float32)
