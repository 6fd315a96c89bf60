"""The corpus on disk: codes, parts, shards, manifest, reader, and other programs that read it."""

import json
import pickle
import random
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from corpus.datasets.base import Entry, Label
from corpus.recording import Provenance, RecordingError, Subject
from corpus.store import (
    BuildInfo,
    CorpusReader,
    Origin,
    Row,
    Text,
    assemble,
    decode,
    encode,
    read_candidates,
    read_manifest,
    row_of,
    verify,
    write_part,
)
from corpus.store.write import read_columns

Rows = Callable[..., list[Row]]


@pytest.fixture
def corpus(tmp_path: Path, rows_of: Rows) -> Path:
    """Three recordings of two datasets: 12 segments."""
    votes = Label("pattern", "LPD", "segment", "votes", 10.0, 10.0, ("C3",), (("LPD", 7), ("Other", 3)))
    parts = {
        "a": rows_of("S1/r2", "S1", 1, labels=(votes,), diagnosis=("epilepsy",)),
        "b": rows_of("S1/r10", "S1", 2),
        "c": rows_of("x", "S9", 3, dataset="alpha", split="test"),
    }
    for name, rows in parts.items():
        write_part(rows, tmp_path / "parts" / f"{name}.arrow")
    assemble((tmp_path / "parts").glob("*.arrow"), tmp_path / "out", BuildInfo({"bands": "nn"}, version="1.2"))
    return tmp_path / "out"


# -- codes


def test_error_is_small_beside_an_artifact_of_45_mv() -> None:
    rng = np.random.default_rng(0)
    signal = rng.uniform(-500, 500, (19, 2000)).astype(np.float32)
    signal[3, 100:120] = np.linspace(-45_000, 45_000, 20)
    codes = encode(signal)
    error = np.abs(decode(codes).astype(np.float64) - signal)
    assert codes.dtype == np.int16
    assert codes.nbytes == 2 * signal.size
    assert error[np.abs(signal) < 500].max() <= 0.05
    assert (error / np.maximum(np.abs(signal), 500)).max() < 2.5e-4


def test_codes_by_hand() -> None:
    signal = np.array([0.0, 1.0, -1.0, 1875.0, 1e5, -1e6])
    codes = encode(signal)
    assert codes[:4].tolist() == [0, 11, -11, 20_000]  # 1 / 0.09375 = 10.67
    assert codes[5] == -32_767
    assert decode(codes[:4]).tolist() == [0.0, 1.03125, -1.03125, 1875.0]
    assert decode(codes[4:]) == pytest.approx([1e5, -1e6], rel=2.5e-4)


def test_every_code_decodes_to_its_own_value() -> None:
    codes = np.arange(-32_767, 32_768).astype(np.int16)
    values = decode(codes)
    assert (np.diff(values) > 0).all()
    assert (values == -values[::-1]).all()
    assert (encode(values) == codes).all()
    assert np.isnan(decode(np.array([-32_768], np.int16))).all()


@pytest.mark.parametrize(("bad", "words"), [(np.nan, "NaN"), (np.inf, "NaN"), (2e6, "up to 1 V")])
def test_what_is_no_voltage_is_refused(bad: float, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        encode(np.array([[1.0, bad]]))


# -- rows and parts


def test_facts_of_the_entry_go_before_those_of_the_file(card_of: Callable, rows_of: Rows) -> None:
    entry = Entry("r", "aaaaaaab", Path("x"), facts=Subject(age_years=50))
    origin = Origin(entry, card_of("tuab", "TUH"), Provenance("x.edf", "EDF", "0", 250.0), Subject(49, "M"), "val")
    found = rows_of()[0]

    class Found:
        segment = type("S", (), dict.fromkeys(("start_s", "duration_s", "sfreq", "signal_uv"), 0) | {
            "index": 3, "ch_names": ["C3"], "history": [1, 2]})  # fmt: skip
        features, items, details, facts = found.features, found.findings, (), set(found.facts)

    row = row_of(origin, Found, (), Text())  # type: ignore[arg-type]
    assert (row.segment_id, row.subject, row.age_years, row.sex) == ("tuab/r/3", "TUH/aaaaaaab", 50, "M")
    assert (row.split, row.history, row.mains_hz, row.reference) == ("val", (1, 2), None, "as recorded")


def test_same_rows_give_the_same_bytes(tmp_path: Path, rows_of: Rows) -> None:
    rows = rows_of()
    assert write_part(rows, tmp_path / "a.arrow") == 4
    assert write_part(iter(rows), tmp_path / "b.arrow") == 4
    assert (tmp_path / "a.arrow").read_bytes() == (tmp_path / "b.arrow").read_bytes()


def test_a_few_columns_do_not_hold_on_to_the_signals_read_with_them(tmp_path: Path, rows_of: Rows) -> None:
    rows = [replace(rows_of()[0], segment_index=i, signal_uv=np.ones((3, 20_000), np.float32)) for i in range(64)]
    rows = [replace(row, ch_names=("C3", "Cz", "C4")) for row in rows]
    write_part(rows, tmp_path / "a.arrow")
    before = pa.total_allocated_bytes()
    table = read_columns(tmp_path / "a.arrow", ["segment_index", "dataset"])
    assert pa.total_allocated_bytes() - before < 0.05 * (tmp_path / "a.arrow").stat().st_size
    assert table["segment_index"].to_pylist() == list(range(64))
    assert table.column_names == ["segment_index", "dataset"]


def test_interrupted_part_leaves_the_old_one_and_no_rest(tmp_path: Path, rows_of: Rows) -> None:
    rows, path = rows_of(), tmp_path / "a.arrow"
    write_part(rows, path)
    before = path.read_bytes()

    def broken() -> Iterator[Row]:
        yield from rows * 5
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_part(broken(), path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.arrow"]


def test_missing_samples_are_refused_with_the_segment(tmp_path: Path, rows_of: Rows) -> None:
    rows = rows_of()
    signal = rows[2].signal_uv.copy()
    signal[0, 5] = np.nan
    with pytest.raises(RecordingError, match="demo/S1/r1/2: got missing"):
        write_part([replace(rows[2], signal_uv=signal)], tmp_path / "a.arrow")
    assert list(tmp_path.iterdir()) == []


# -- assembling


def files_of(out: Path) -> dict[str, bytes]:
    return {str(p.relative_to(out)): p.read_bytes() for p in sorted(out.rglob("*")) if p.is_file()}


def test_bytes_do_not_depend_on_parts(tmp_path: Path, rows_of: Rows) -> None:
    rows = [row for i in range(9) for row in rows_of(f"r{i + 3}", f"S{i}", i, sha256=f"{i:064x}")]
    outputs = []
    for size, seed in ((4, 0), (36, 1), (3, 2)):
        parts = []
        for start in range(0, len(rows), size):
            parts.append(tmp_path / str(size) / f"{start}.arrow")
            write_part(rows[start : start + size], parts[-1])
        random.Random(seed).shuffle(parts)
        assemble(parts, tmp_path / f"out{size}", BuildInfo(), shard_rows=16, workers=2)
        outputs.append(files_of(tmp_path / f"out{size}"))
    assert outputs[0] == outputs[1] == outputs[2]
    assert list(outputs[0]) == [*(f"data/demo-{i:05d}.parquet" for i in range(3)), "manifest.json"]


def test_order_is_natural_and_datasets_do_not_share_shards(corpus: Path) -> None:
    manifest = read_manifest(corpus)
    assert [(f["path"], f["rows"], f["first"], f["last"]) for f in manifest["files"]] == [
        ("data/alpha-00000.parquet", 4, "alpha/x/0", "alpha/x/3"),
        ("data/demo-00000.parquet", 8, "demo/S1/r2/0", "demo/S1/r10/3"),
    ]
    assert CorpusReader(corpus).ids == [
        f"{recording}/{i}" for recording in ("alpha/x", "demo/S1/r2", "demo/S1/r10") for i in range(4)
    ]


def test_manifest_says_what_is_there(corpus: Path) -> None:
    manifest = json.loads((corpus / "manifest.json").read_text("utf-8"))
    assert manifest["schema"] == "neuronarrator.corpus/2"
    assert manifest["version"] == "1.2"
    assert manifest["config"] == {"bands": "nn"}
    count = {"segments": 4, "history_only": 0, "recordings": 1, "subjects": 1, "hours": 0.0111}
    assert manifest["counts"]["alpha"] == {"test": count}
    assert manifest["counts"]["demo"]["train"] == {**count, "segments": 8, "recordings": 2, "hours": 0.0222}


def test_verify_finds_every_kind_of_damage(corpus: Path) -> None:
    assert verify(corpus) == []
    shard = corpus / "data" / "demo-00000.parquet"
    damaged = bytearray(shard.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    shard.write_bytes(damaged)
    (corpus / "data" / "alpha-00000.parquet").rename(corpus / "data" / "beta-00000.parquet")
    assert [text.split(" ", 1)[1] for text in verify(corpus)] == [
        "is missing",
        "has changed: its checksum is not the one in the manifest",
        "is not in the manifest",
    ]


def test_a_folder_is_a_corpus_only_with_its_manifest(tmp_path: Path, corpus: Path) -> None:
    (corpus / "manifest.json").unlink()
    with pytest.raises(ValueError, match=r"without manifest\.json"):
        CorpusReader(corpus)


def test_assembling_again_removes_stale_shards(tmp_path: Path, corpus: Path) -> None:
    (corpus / "data" / ".demo-00000.parquet.0123.tmp").write_bytes(b"killed")
    assemble([tmp_path / "parts" / "c.arrow"], corpus, BuildInfo())
    assert list(files_of(corpus)) == ["data/alpha-00000.parquet", "manifest.json"]
    assert verify(corpus) == []


def test_twice_the_same_segment_is_refused(tmp_path: Path, rows_of: Rows) -> None:
    paths = [tmp_path / "a.arrow", tmp_path / "b.arrow"]
    write_part(rows_of(), paths[0])
    write_part(rows_of()[2:], paths[1])
    with pytest.raises(ValueError, match="demo/S1/r1/2 twice"):
        assemble(paths, tmp_path / "out", BuildInfo())


def test_chosen_segments_keep_their_history(tmp_path: Path, corpus: Path) -> None:
    parts = [tmp_path / "parts" / f"{name}.arrow" for name in "abc"]
    chosen = {"demo/S1/r2/3": True, "demo/S1/r2/2": False, "demo/S1/r2/1": False}
    manifest = assemble(parts, tmp_path / "cut", BuildInfo(), chosen)
    assert manifest["counts"]["demo"]["train"]["segments"] == 1
    assert manifest["counts"]["demo"]["train"]["history_only"] == 2
    reader = CorpusReader(tmp_path / "cut")
    assert reader.ids == ["demo/S1/r2/3"]
    assert [row.segment_index for row in reader[0].history] == [1, 2]
    everything = CorpusReader(tmp_path / "cut", targets=False)
    assert [len(record.history) for record in everything] == [0, 1, 2]
    with pytest.raises(ValueError, match="no segment demo/S1/r2/1"):
        assemble(parts, tmp_path / "cut", BuildInfo(), {"demo/S1/r2/3": True, "demo/S1/r2/2": False})


def test_candidates_are_read_back(tmp_path: Path, corpus: Path) -> None:
    found = {c.segment_id: c for c in read_candidates([tmp_path / "parts" / "a.arrow"])}
    assert found["demo/S1/r2/2"].values == ("LPD",)
    assert found["demo/S1/r2/2"].history == ("demo/S1/r2/0", "demo/S1/r2/1")
    assert found["demo/S1/r2/2"].subject == "demo/S1"


# -- reading


def same(a: object, b: object) -> bool:
    """Equal, arrays of measurements within float32."""
    if isinstance(a, np.ndarray | float):
        return bool(np.allclose(np.asarray(a, float), np.asarray(b, float), rtol=1e-6, equal_nan=True))
    if hasattr(a, "__dataclass_fields__"):
        return type(a) is type(b) and all(same(getattr(a, f.name), getattr(b, f.name)) for f in fields(a))
    if isinstance(a, tuple):
        return isinstance(b, tuple) and len(a) == len(b) and all(map(same, a, b))
    return a == b


def test_rows_come_back_as_they_went(corpus: Path, rows_of: Rows) -> None:
    votes = Label("pattern", "LPD", "segment", "votes", 10.0, 10.0, ("C3",), (("LPD", 7), ("Other", 3)))
    wanted = rows_of("S1/r2", "S1", 1, labels=(votes,), diagnosis=("epilepsy",))
    reader = CorpusReader(corpus)
    for row in wanted:
        record = reader.segment(row.segment_id)
        for field in fields(Row):
            if field.name != "signal_uv":
                assert same(getattr(row, field.name), getattr(record.row, field.name)), field.name
        assert record.signal_uv.dtype == np.float32
        assert np.abs(record.signal_uv - row.signal_uv).max() <= 0.05
        assert record.row.features.trend == row.features.trend
        assert record.history_uv.shape == (len(row.history), 8, 2000)
        for past, index in zip(record.history_uv, row.history, strict=True):
            assert np.abs(past - wanted[index].signal_uv).max() <= 0.05


def test_selection_and_errors(corpus: Path) -> None:
    assert len(CorpusReader(corpus)) == 12
    assert CorpusReader(corpus, split="test").ids == [f"alpha/x/{i}" for i in range(4)]
    reader = CorpusReader(corpus, dataset="demo")
    assert len(reader) == 8
    assert reader[-1].row.segment_id == "demo/S1/r10/3"
    assert reader.segment("alpha/x/1").row.segment_id == "alpha/x/1"
    assert len(list(reader)) == 8
    with pytest.raises(ValueError, match="expected one of alpha, demo"):
        CorpusReader(corpus, dataset="gamma")
    for name in ("demo/S1/r2/4", "demo/S1/r3/0", "nothing"):
        with pytest.raises(KeyError):
            reader.segment(name)


def test_a_changed_signal_does_not_come_back(corpus: Path) -> None:
    reader = CorpusReader(corpus)
    before = reader[1].signal_uv.copy()
    reader[1].signal_uv[:] = 0
    np.testing.assert_array_equal(reader[1].signal_uv, before)


def test_what_is_no_part_is_named(tmp_path: Path, corpus: Path) -> None:
    shard = corpus / "data" / "demo-00000.parquet"
    with pytest.raises(ValueError, match=r"demo-00000\.parquet: got no part"):
        assemble([shard], tmp_path / "again", BuildInfo())
    other = tmp_path / "other.arrow"
    with pa.OSFile(str(other), "wb") as stream, pa.ipc.new_file(stream, pa.schema({"signal": pa.int16()})):
        pass
    with pytest.raises(ValueError, match=r"other\.arrow: got no part of neuronarrator"):
        assemble([other], tmp_path / "again", BuildInfo())


def test_one_segment_is_read_without_the_rest_of_its_shard(tmp_path: Path, rows_of: Rows) -> None:
    import pyarrow.parquet as pq

    rows = [row for i in range(6) for row in rows_of(f"r{i}", f"S{i}", i)]
    write_part(rows, tmp_path / "a.arrow")
    assemble([tmp_path / "a.arrow"], tmp_path / "out", BuildInfo())
    shard = tmp_path / "out" / "data" / "demo-00000.parquet"
    meta = pq.read_metadata(shard)
    assert meta.num_row_groups == 2
    at = {meta.row_group(0).column(i).path_in_schema: meta.row_group(0).column(i) for i in range(meta.num_columns)}
    signal, data = at["signal.list.element"], bytearray(shard.read_bytes())
    data[signal.data_page_offset : signal.data_page_offset + signal.total_compressed_size] = bytes(
        signal.total_compressed_size
    )
    shard.write_bytes(data)
    reader = CorpusReader(tmp_path / "out")
    assert np.abs(reader.segment("demo/r5/3").signal_uv - rows[-1].signal_uv).max() <= 0.05
    with pytest.raises(OSError, match=r"."):
        reader.segment("demo/r0/0")


def test_reader_travels_to_workers(corpus: Path) -> None:
    from torch.utils.data import DataLoader

    reader = CorpusReader(corpus)
    expected = [record.signal_uv.sum() for record in reader]  # the reader has open files now
    copy = pickle.loads(pickle.dumps(reader))
    assert [record.signal_uv.sum() for record in copy] == expected
    loader = DataLoader(reader, batch_size=5, num_workers=2, collate_fn=_sums)
    assert [value for batch in loader for value in batch] == expected


def _sums(records: list) -> list[float]:
    return [record.signal_uv.sum() for record in records]


# -- other programs


def decoded_by_the_manifest(corpus: Path, codes: np.ndarray, ch_names: list[str], n_times: int) -> np.ndarray:
    space = {"np": np, "codes": np.asarray(codes), "ch_names": ch_names, "n_times": n_times}
    exec(read_manifest(corpus)["signal"]["numpy"], space)
    return space["uv"]


@pytest.fixture
def loud(tmp_path: Path, rows_of: Rows) -> tuple[Path, np.ndarray]:
    """A corpus of one segment with an artifact, and its signal."""
    row = rows_of()[0]
    signal = row.signal_uv.copy()
    signal[1, 50] = -45_000
    write_part([replace(row, signal_uv=signal)], tmp_path / "a.arrow")
    assemble([tmp_path / "a.arrow"], tmp_path / "loud", BuildInfo())
    return tmp_path / "loud", CorpusReader(tmp_path / "loud")[0].signal_uv


def test_pandas_reads_it(loud: tuple[Path, np.ndarray]) -> None:
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    row = pandas.read_parquet(loud[0] / "data").iloc[0]
    signal = decoded_by_the_manifest(loud[0], row.signal, row.ch_names, row.n_times)
    assert np.allclose(signal, loud[1], rtol=1e-6)
    assert row.labels[0]["value"] == "rest"


def test_duckdb_reads_and_decodes_it(loud: tuple[Path, np.ndarray]) -> None:
    duckdb = pytest.importorskip("duckdb", reason="duckdb is not installed")
    code = read_manifest(loud[0])["signal"]["sql"]
    query = f"SELECT segment_id, {code} FROM '{loud[0]}/data/*.parquet'"
    ((name, signal),) = duckdb.sql(query).fetchall()
    assert name == "demo/S1/r1/0"
    assert np.allclose(np.reshape(np.array(signal, float), loud[1].shape), loud[1], rtol=1e-6)


def test_datasets_reads_it(loud: tuple[Path, np.ndarray], tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets", reason="datasets is not installed")
    files = [str(path) for path in (loud[0] / "data").glob("*.parquet")]
    table = datasets.load_dataset("parquet", data_files=files, split="train", cache_dir=str(tmp_path / "cache"))
    row = table.with_format("numpy")[0]
    signal = decoded_by_the_manifest(loud[0], row["signal"], list(row["ch_names"]), int(row["n_times"]))
    assert np.allclose(signal, loud[1], rtol=1e-6)
    assert table[0]["findings"][0]["kind"] == "dominant_band"
