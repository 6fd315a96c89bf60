"""Rows as Arrow batches: the types of the columns, and the values of each row."""

from collections.abc import Sequence, Sized
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from corpus.datasets.base import Label
from corpus.features import BANDS
from corpus.recording import RecordingError
from corpus.store.codec import encode
from corpus.store.schema import COLUMNS, Row

if TYPE_CHECKING:
    import pyarrow as pa

_RENAMED = {"method": "source"}  # field of a stored finding: attribute of `Finding`


@lru_cache(maxsize=1)
def schema() -> "pa.Schema":
    """Names and types of the columns; `COLUMNS` says what they hold."""
    import pyarrow as pa

    text, real, whole = pa.string(), pa.float32(), pa.int32()
    vote = pa.struct([("value", text), ("count", whole)])
    label = [("kind", text), ("value", text), ("granularity", text), ("source", text), ("start_s", pa.float64())]
    label += [("duration_s", pa.float64()), ("ch_names", pa.list_(text)), ("votes", pa.list_(vote))]
    finding = [("kind", text), ("value", text), ("subject", text), ("ch_names", pa.list_(text))]
    finding += [("start_s", pa.float64()), ("duration_s", pa.float64()), ("measured", pa.float64())]
    finding += [("unit", text), ("method", text)]
    types = dict.fromkeys(COLUMNS, text) | {
        "segment_index": whole,
        "target": pa.bool_(),
        "start_s": pa.float64(),
        "duration_s": pa.float64(),
        "sfreq": pa.float64(),
        "ch_names": pa.list_(text),
        "n_times": whole,
        "signal": pa.list_(pa.field("element", pa.int16(), nullable=False)),
        "history": pa.list_(whole),
        "labels": pa.list_(pa.struct(label)),
        "age_years": pa.int16(),
        "diagnosis": pa.list_(text),
        "band_power_uv2": pa.list_(real),
        "channel_band_power_uv2": pa.list_(pa.list_(real)),
        "channel_power_uv2": pa.list_(real),
        "tiers": pa.list_(pa.int8()),
        "history_band_power_uv2": pa.list_(real),
        "trend": pa.list_(text),
        "trend_ratio": pa.list_(real),
        "dominant_hz": real,
        "amplitude_uv": real,
        "asymmetry_index": real,
        "facts": pa.list_(pa.struct([("kind", text), ("subject", text), ("value", text)])),
        "findings": pa.list_(pa.struct(finding)),
        "steps": pa.list_(text),
        "mains_hz": real,
        "topomap": pa.binary(),
    }
    return pa.schema([pa.field(name, types[name], nullable=name != "signal") for name in COLUMNS])


def batch_of(rows: Sequence[Row]) -> "pa.RecordBatch":
    """Rows as an Arrow batch of `schema`.

    Raises:
        RecordingError: a signal that cannot be encoded; the message begins with the segment.
    """
    import pyarrow as pa

    columns = zip(*(_values(row) for row in rows), strict=True) if rows else [()] * len(COLUMNS)
    own = {"signal": _signals, "findings": _findings}
    arrays = [
        own[field.name](rows, field.type) if field.name in own else pa.array(column, field.type)
        for column, field in zip(columns, schema(), strict=True)
    ]
    return pa.record_batch(arrays, schema=schema())


def _signals(rows: Sequence[Row], kind: "pa.DataType") -> "pa.Array":
    """The signals of rows as codes, one list each."""
    import pyarrow as pa

    codes = [_codes(row) for row in rows]
    return pa.ListArray.from_arrays(_offsets(codes), np.concatenate([np.empty(0, np.int16), *codes]), type=kind)


def _findings(rows: Sequence[Row], kind: "pa.DataType") -> "pa.Array":
    """The findings of rows, one list of records each; field by field, which is three times as quick as one by one."""
    import pyarrow as pa

    found = [finding for row in rows for finding in row.findings]
    fields = []
    for part in kind.value_type:
        name = _RENAMED.get(part.name, part.name)
        values = [getattr(finding, name) for finding in found]
        if name == "ch_names":  # few different lists, of many names each
            number = {names: i for i, names in enumerate(dict.fromkeys(values))}
            different = pa.array(list(number), part.type)
            fields.append(different.take(pa.array([number[names] for names in values], pa.int32())))
        else:
            fields.append(pa.array(values, part.type))
    records = pa.StructArray.from_arrays(fields, fields=list(kind.value_type))
    return pa.ListArray.from_arrays(_offsets([row.findings for row in rows]), records, type=kind)


def _offsets(lists: Sequence[Sized]) -> "pa.Array":
    """Where each of some lists begins, and where the last one ends."""
    import pyarrow as pa

    return pa.array(np.cumsum([0, *map(len, lists)]), pa.int32())


def _values(row: Row) -> tuple[Any, ...]:
    """The values of a row, in the order of `COLUMNS`; `signal` and `findings` are made for all rows at once."""
    features, text = row.features, row.text
    trend, ratio, history = features.trend, features.trend_ratio, features.history_band_power_uv2
    return (
        row.segment_id,
        row.dataset,
        row.recording_id,
        row.subject,
        row.segment_index,
        row.split,
        row.target,
        row.start_s,
        row.duration_s,
        row.sfreq,
        row.ch_names,
        row.signal_uv.shape[1],
        None,  # signal
        row.history,
        [_label(label) for label in row.labels],
        row.age_years,
        row.sex,
        row.diagnosis,
        _real(features.band_power_uv2),
        list(_real(features.channel_band_power_uv2)),
        _real(features.channel_power_uv2),
        np.asarray(features.tiers, np.int8),
        None if history is None else _real(history),
        None if trend is None else [trend[band] for band in BANDS],
        None if ratio is None else _real(ratio),
        features.dominant_band,
        features.dominant_hz,
        features.top_channel,
        features.amplitude_uv,
        features.amplitude,
        None if np.isnan(features.asymmetry_index) else features.asymmetry_index,
        features.asymmetry,
        row.facts,
        None,  # findings
        text.template,
        text.narrative,
        text.caption,
        text.source,
        row.reference,
        row.steps,
        row.source_file,
        row.source_sha256,
        row.source_part,
        row.mains_hz,
        row.topomap,
    )


def _codes(row: Row) -> np.ndarray:
    shape = np.shape(row.signal_uv)
    if len(shape) != 2 or shape[0] != len(row.ch_names):
        raise RecordingError(
            f"{row.segment_id}: got a signal of shape {shape}, expected ({len(row.ch_names)}, samples)"
        )
    try:
        return encode(row.signal_uv).ravel()
    except ValueError as error:
        raise RecordingError(f"{row.segment_id}: {error}") from None


def _real(values: np.ndarray) -> np.ndarray:
    return np.asarray(values, np.float32)


def _label(label: Label) -> tuple[Any, ...]:
    times = (label.start_s, label.duration_s)
    return (label.kind, label.value, label.granularity, label.source, *times, label.ch_names, label.votes)
