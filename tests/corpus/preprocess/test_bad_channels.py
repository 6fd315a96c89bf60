"""Electrodes of poor contact are left out; what a head can make stays."""

from dataclasses import replace

import numpy as np
import pytest

from corpus.preprocess import preprocess, preprocess_stream
from corpus.preprocess.bad_channels import MIN_ELECTRODES
from corpus.simulate import random_preset, simulate
from corpus.simulate.forward import Head


@pytest.fixture(scope="module")
def rest():
    return simulate(random_preset(3), 3).recording


def with_signal(recording, signal_uv):
    return replace(recording, signal_uv=signal_uv)


def pops(recording, size, seed=0):
    """One electrode pops several times a second."""
    rng, n = np.random.default_rng(seed), recording.signal_uv.shape[1]
    noise = np.zeros(n)
    for start in rng.integers(0, n - 100, n // 60):
        noise[start : start + 100] += rng.choice((-1, 1)) * rng.exponential(size) * np.exp(-np.arange(100) / 15)
    return noise


def loose(recording, row, size=400.0):
    signal_uv = recording.signal_uv.copy()
    signal_uv[row] += pops(recording, size)
    return with_signal(recording, signal_uv)


def test_an_electrode_that_pops_all_the_time_is_left_out(rest):
    row = rest.ch_names.index("F7")
    done = preprocess(loose(rest, row))
    kept = tuple(name for name in rest.ch_names if name != "F7")
    assert done.ch_names == kept
    assert len(done.signal_uv) == len(kept)
    assert done.set_aside[-1].name == "F7"
    assert "poor contact" in done.set_aside[-1].why
    assert [w for w in done.warnings if w.startswith("left out: F7 (poor contact")]
    clean = preprocess(rest)  # the others are what they are without it
    others = [row for row, name in enumerate(clean.ch_names) if name != "F7"]
    np.testing.assert_allclose(done.signal_uv, clean.signal_uv[others], atol=1e-3)


def test_a_stream_leaves_out_the_same(rest):
    stream = preprocess_stream(loose(rest, 2))
    done = preprocess(loose(rest, 2))
    assert stream.head.ch_names == done.ch_names
    assert stream.head.warnings == done.warnings
    np.testing.assert_allclose(np.concatenate(list(stream.chunks), axis=1), done.signal_uv, atol=1e-2)


def test_what_spreads_is_kept(rest):
    """A focus below one electrode, as strong there as the loose contact above, reaches its neighbours."""
    row = rest.ch_names.index("F7")
    head = Head(rest.ch_names)
    field = head.recorded(head.patch(("F7",), 0.3))
    signal_uv = rest.signal_uv + np.outer(field / field[row], pops(rest, 400.0))
    size = signal_uv.std(axis=1)
    assert size[row] > 3 * np.median(size)
    assert preprocess(with_signal(rest, signal_uv)).ch_names == rest.ch_names


def test_a_bad_minute_of_many_is_not_enough(rest):
    signal_uv = np.tile(rest.signal_uv, 3)
    part = rest.signal_uv.shape[1]
    signal_uv[4, :part] += pops(rest, 400.0)
    assert preprocess(with_signal(rest, signal_uv)).ch_names == rest.ch_names


@pytest.mark.parametrize("idle_uv", [0.0, 2.0], ids=["flat", "noise"])
def test_electrodes_that_are_not_connected_are_no_measure_for_the_others(rest, idle_uv):
    """Most of a cap may be unplugged; what is left is EEG, however few electrodes look alike."""
    rng = np.random.default_rng(0)
    signal_uv = idle_uv * rng.standard_normal(rest.signal_uv.shape)
    names = ("Fp1", "C4", "O2")
    connected = [rest.ch_names.index(name) for name in names]
    signal_uv[connected] = rest.signal_uv[connected]
    assert set(names) <= set(preprocess(with_signal(rest, signal_uv)).ch_names)


def test_few_electrodes_are_never_judged(rest):
    broken, count = loose(rest, 0), MIN_ELECTRODES - 1
    few = replace(broken, ch_names=rest.ch_names[:count], signal_uv=broken.signal_uv[:count])
    assert preprocess(few).ch_names == few.ch_names
