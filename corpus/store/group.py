"""The rows of a row group as records: the inverse of `corpus.store.arrow.batch_of`."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from corpus.datasets.base import Label
from corpus.features import Features
from corpus.findings import Finding
from corpus.store.codec import decode
from corpus.store.schema import Row, Text

if TYPE_CHECKING:
    import pyarrow as pa

_AS_STORED = (
    "dataset", "recording_id", "subject", "segment_index", "start_s", "duration_s", "sfreq", "split", "target",
    "age_years", "sex", "reference", "source_file", "source_sha256", "source_part", "mains_hz",
    "topomap",
)  # fmt: skip


class DecodedGroup:
    """The rows of a row group; what is decoded of them stays, except their signals.

    Args:
        table: of `corpus.store.arrow.schema`.
    """

    def __init__(self, table: "pa.Table") -> None:
        self._codes = table["signal"].combine_chunks()
        self._values = table.drop_columns(["signal", "segment_id"]).to_pylist()
        self._rows: dict[int, Row] = {}

    def row(self, number: int) -> Row:
        """One row as a record."""
        values = self._values[number]
        shape = len(values["ch_names"]), values["n_times"]
        if number not in self._rows:
            self._rows[number] = _row_of(values, np.empty((shape[0], 0), np.float32))
        return replace(self._rows[number], signal_uv=decode(self._codes[number].values.to_numpy()).reshape(shape))


def _row_of(values: dict[str, Any], signal_uv: np.ndarray) -> Row:
    """The values of a row as a record."""
    return Row(
        **{name: values[name] for name in _AS_STORED},
        ch_names=tuple(values["ch_names"]),
        signal_uv=signal_uv,
        history=tuple(values["history"]),
        labels=tuple(_label(label) for label in values["labels"]),
        diagnosis=tuple(values["diagnosis"]),
        features=_features(values),
        facts=tuple((fact["kind"], fact["subject"], fact["value"]) for fact in values["facts"]),
        findings=tuple(_finding(finding) for finding in values["findings"]),
        text=Text(values["template"], values["narrative"], values["caption"], values["narrative_source"]),
        steps=tuple(values["steps"]),
    )


def _label(label: dict[str, Any]) -> Label:
    votes = tuple((vote["value"], vote["count"]) for vote in label["votes"])
    return Label(**(label | {"ch_names": tuple(label["ch_names"]), "votes": votes}))


def _finding(finding: dict[str, Any]) -> Finding:
    return Finding(
        finding["kind"],
        finding["value"],
        finding["subject"],
        tuple(finding["ch_names"]),
        finding["start_s"],
        finding["duration_s"],
        finding["measured"],
        finding["unit"],
        finding["method"],
    )


def _features(values: dict[str, Any]) -> Features:
    history, asymmetry = values["history_band_power_uv2"], values["asymmetry_index"]
    return Features(
        ch_names=tuple(values["ch_names"]),
        channel_band_power_uv2=np.array(values["channel_band_power_uv2"], np.float32),
        channel_power_uv2=np.array(values["channel_power_uv2"], np.float32),
        tiers=np.array(values["tiers"]),
        dominant_hz=values["dominant_hz"],
        amplitude_uv=values["amplitude_uv"],
        asymmetry_index=np.nan if asymmetry is None else asymmetry,
        history_band_power_uv2=None if history is None else np.array(history, np.float32),
    )
