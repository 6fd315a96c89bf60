"""Pages of EEG: pixels against a slow reference and matplotlib, montages against `corpus.preprocess`, damaged input."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from corpus.page import PageRenderer, PageStyle, derive, fit_size
from corpus.page.raster import FULL, TraceRaster
from corpus.preprocess import load_recording
from corpus.preprocess.reference import DOUBLE_BANANA, ELECTRODES_19, bipolar, rereference
from corpus.recording import Recording, RecordingError
from corpus.segment import segment_recording
from corpus.simulate import SIXTY_FOUR

SFREQ = 200.0


def noise(n_chans: int, seconds: float = 10.0, sfreq: float = SFREQ, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    walk = rng.normal(scale=6, size=(n_chans, round(seconds * sfreq)))
    return (walk + 20 * np.sin(np.arange(walk.shape[1]) * 2 * np.pi * 9 / sfreq)).astype(np.float32)


def slow_ink(lines: np.ndarray, shape: tuple[int, int], baselines: np.ndarray, reach: float, px: float) -> np.ndarray:
    """The raster's definition, pixel by pixel."""
    rows, columns = shape
    n_times = lines.shape[1]
    total = np.zeros(shape)
    for line, base in zip(lines, baselines, strict=True):
        for column in range(columns):
            start, stop = (min(edge * n_times / columns, n_times - 1) for edge in (column, column + 1))
            times = [start, stop, *[t for t in range(n_times) if start <= t <= stop]]
            values = base + np.interp(times, np.arange(n_times), line)
            low, high = values.min(), values.max()
            size = high - low
            ink = FULL * min(px * np.hypot(1, size) / (size + px), 1)
            low, high = (
                np.clip(v, max(base - reach, 0), min(base + reach, rows - 2)) for v in (low - px / 2, high + px / 2)
            )
            for row in range(rows):
                total[row, column] += ink * max(min(high, row + 1) - max(low, row), 0)
    return np.minimum(total, FULL)


def whole(raster: TraceRaster, lines: np.ndarray) -> np.ndarray:
    return np.concatenate([ink for _, ink in raster.ink(lines)])


def test_a_level_line_by_hand() -> None:
    raster = TraceRaster(50, (20, 40), np.array([10.25]), reach=8, line_px=1.0)
    ink = whole(raster, np.zeros((1, 50), np.float32))
    assert (ink[9] == 64).all()
    assert (ink[10] == 191).all()
    assert ink.sum() == 40 * 255


@pytest.mark.parametrize(("n_times", "columns"), [(90, 40), (40, 40), (13, 40), (1, 40)])
def test_ink_is_that_of_the_slow_definition(n_times: int, columns: int) -> None:
    lines = np.random.default_rng(1).normal(scale=6, size=(3, n_times)).astype(np.float32)
    lines[1] *= 5  # beyond its reach
    baselines = np.array([12.0, 35.5, 63.0])  # more rows than are done at a time
    raster = TraceRaster(n_times, (80, columns), baselines, reach=18, line_px=1.0)
    expected = slow_ink(lines, (80, columns), baselines, 18, 1.0)
    assert np.abs(whole(raster, lines) - expected).max() <= 2  # two lines, each rounded to a grey value


def test_the_page_looks_like_that_of_matplotlib() -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    renderer = PageRenderer(ELECTRODES_19, SFREQ, style=PageStyle(width=616, height=448, gain_uv_mm=20.0))
    signal, place = noise(19), renderer.layout
    figure = Figure(figsize=(6.16, 4.48), dpi=100)
    canvas = FigureCanvasAgg(figure)
    box = (place.left / 616, 1 - place.bottom / 448, (place.right - place.left) / 616)
    axes = figure.add_axes((*box, (place.bottom - place.top) / 448))
    axes.set(xlim=(0, 10), ylim=(place.bottom, place.top))
    axes.axis("off")
    scale = place.px_per_mm / 20.0
    for trace, base in zip(renderer.derivations.apply(signal), place.baselines, strict=True):
        axes.plot(np.arange(2000) / SFREQ, base + scale * trace, "k", linewidth=0.72)
    canvas.draw()
    theirs = 255.0 - np.asarray(canvas.buffer_rgba())[..., 0]
    ours = 255.0 - renderer(signal)[..., 0]
    area = (slice(place.top, place.top + 400), slice(place.left + 4, place.left + 4 + 500))
    blocks = [page[area].reshape(100, 4, 125, 4).mean((1, 3)) for page in (ours, theirs)]
    assert np.corrcoef(blocks[0].ravel(), blocks[1].ravel())[0, 1] > 0.95
    assert blocks[0].mean() == pytest.approx(blocks[1].mean(), rel=0.25)


def row_of_ink(page: np.ndarray, renderer: PageRenderer, second: float) -> float:
    place = renderer.layout
    column = place.left + int(second / place.duration_s * (place.right - place.left))
    dark = 255.0 - page[place.top : place.bottom, column, 0]
    return float((dark * np.arange(place.top, place.bottom)).sum() / dark.sum()) + 0.5


@pytest.mark.parametrize("negative_up", [True, False])
def test_a_step_of_known_size(negative_up: bool) -> None:
    style = PageStyle(montage="recorded", gain_uv_mm=10.0, negative_up=negative_up)
    renderer = PageRenderer(["X"], SFREQ, style=style)
    signal = np.zeros((1, 2000), np.float32)
    signal[0, 900:] = -70  # seven millimetres
    page = renderer(signal)
    base, sign = renderer.layout.baselines[0], -1 if negative_up else 1
    assert row_of_ink(page, renderer, 2.5) == pytest.approx(base, abs=0.05)
    assert row_of_ink(page, renderer, 7.5) == pytest.approx(base + sign * 7 * renderer.layout.px_per_mm, abs=0.05)


def test_seconds_are_thirty_millimetres() -> None:
    place = PageRenderer(ELECTRODES_19, SFREQ).layout
    assert place.px_per_mm * 30 * 10 == pytest.approx(place.right - place.left)


def test_average_is_that_of_preprocessing_in_a_readers_order() -> None:
    names = tuple(sorted(ELECTRODES_19))
    signal = noise(19)
    derived = derive(names, "average")
    assert derived.names == ELECTRODES_19
    assert derived.groups == (0,) * 10 + (1,) * 6 + (2,) * 3
    expected = rereference(Recording(signal, SFREQ, names), "average").signal_uv
    rows = [names.index(name) for name in derived.names]
    np.testing.assert_allclose(derived.apply(signal), expected[rows], atol=1e-4)


def test_bipolar_is_that_of_preprocessing_in_its_chains() -> None:
    names = tuple({"T7": "T3", "T8": "T4", "P7": "T5", "P8": "T6"}.get(n, n) for n in ELECTRODES_19)
    signal = noise(19)
    derived, expected = derive(names, "bipolar"), bipolar(Recording(signal, SFREQ, names), DOUBLE_BANANA)
    assert derived.names == expected.ch_names
    assert "T3-T5" in derived.names
    assert [derived.groups.count(group) for group in range(5)] == [4, 4, 2, 4, 4]
    np.testing.assert_allclose(derived.apply(signal), expected.signal_uv, atol=1e-4)


def test_ears_are_subtracted_and_not_drawn() -> None:
    names = ("C3", "C4", "Cz", "A1", "A2")
    signal = noise(5)
    derived = derive(names, "ears")
    assert derived.names == ("C3", "C4", "Cz")
    np.testing.assert_allclose(derived.apply(signal), signal[:3] - signal[3:].mean(0), atol=1e-4)
    with pytest.raises(RecordingError, match="ear"):
        derive(("C3", "C4"), "ears")


def test_old_and_new_names_of_the_temples_have_one_place() -> None:
    old = derive(("T3", "F3", "T6", "Cz"), "average")
    assert old.names == ("F3", "T3", "T6", "Cz")
    assert old.groups == (0, 1, 1, 2)


def test_a_missing_channel_spoils_no_other() -> None:
    signal = noise(19)
    signal[4] = np.nan
    signal[7, 500:600] = np.inf
    derived = derive(ELECTRODES_19, "average")
    traces = derived.apply(signal)
    assert np.isnan(traces[4]).all()
    assert np.isnan(traces[7, 500:600]).all()
    assert np.isfinite(np.delete(traces, (4, 7), axis=0)).all()
    good = [i for i in range(19) if i not in (4, 7)]
    np.testing.assert_allclose(traces[0, 550], signal[0, 550] - signal[good, 550].mean(), atol=1e-4)
    chain = derive(ELECTRODES_19, "bipolar")
    lost = [name for name, row in zip(chain.names, chain.apply(signal), strict=True) if np.isnan(row).all()]
    assert lost == ["F3-C3", "C3-P3"]


def test_gaps_are_blank_and_flat_channels_are_lines() -> None:
    renderer = PageRenderer(["A", "B", "C"], SFREQ, style=PageStyle(montage="recorded", width=616, height=448))
    signal = np.zeros((3, 2000), np.float32)
    signal[1, 600:1400] = np.nan
    signal[2] = np.nan
    place, page = renderer.layout, renderer(signal)[..., 0]
    plain = renderer(np.full_like(signal, np.nan))[..., 0]
    drawn = page != plain
    columns = [drawn[round(base) - 3 : round(base) + 3].any(0) for base in place.baselines]
    assert columns[0][place.left : place.right].all()
    assert not columns[2].any()
    gap = columns[1][place.left : place.right]
    third = round(0.3 * gap.size), round(0.7 * gap.size)
    assert not gap[third[0] + 1 : third[1] - 1].any()
    assert gap[: third[0] - 1].all()
    assert gap[third[1] + 1 :].all()


def test_huge_deflections_stay_away_from_far_neighbours() -> None:
    renderer = PageRenderer(ELECTRODES_19, SFREQ, style=PageStyle(montage="recorded"))
    signal = np.zeros((19, 2000), np.float32)
    plain = renderer(signal)
    signal[9, ::2], signal[9, 1::2] = 3e4, -3e4
    signal[9, 1000:] = 1e30
    page, place = renderer(signal), renderer.layout
    changed = np.flatnonzero((page != plain).any((1, 2)))
    reach = max(1.6 * place.pitch, 10 * place.px_per_mm)
    assert abs(changed[0] - (place.baselines[9] - reach)) < 2
    assert abs(changed[-1] - (place.baselines[9] + reach)) < 2
    half = page[:, place.left + (place.right - place.left) // 2 + 2 : place.right]
    assert (half[round(place.baselines[9])] == 255).mean() > 0.9  # gone, not drawn at the limit


@pytest.mark.parametrize("count", [1, 2, 8, 19, 32, 64])
def test_every_number_of_channels(count: int) -> None:
    renderer = PageRenderer(SIXTY_FOUR[:count], SFREQ, style=PageStyle("recorded", gain_uv_mm=None))
    page = renderer(noise(count))
    assert page.shape == (896, 1204, 3)
    assert page.dtype == np.uint8
    assert page.flags.c_contiguous
    assert (page[..., 0] == page[..., 2]).all()
    place = renderer.layout
    assert all(a + 6 <= b for a, b in pairwise(place.baselines))
    assert place.baselines[-1] < place.bottom
    label = page[:, : place.left - 3, 0]
    assert (label < 128).any(1).reshape(-1, 4).any(1).sum() >= count  # every lane has its label


def test_batches_and_repeats_are_the_same_bytes() -> None:
    batch = np.stack([noise(19, seed=seed) for seed in range(3)])
    style = PageStyle(width=616, height=448, gain_uv_mm=None)
    renderer = PageRenderer(ELECTRODES_19, SFREQ, style=style)
    pages = renderer(batch)
    again = PageRenderer(ELECTRODES_19, SFREQ, style=style)
    for one, page in zip(batch, pages, strict=True):
        assert (again(one) == page).all()
    assert renderer(batch[:0]).shape == (0, 448, 616, 3)


def test_a_page_of_its_own_gain_states_it() -> None:
    renderer = PageRenderer(ELECTRODES_19, SFREQ, style=PageStyle(gain_uv_mm=None))
    quiet, loud = noise(19) / 20, noise(19) * 20
    assert renderer.gain_of(quiet) < 7 < renderer.gain_of(loud)
    bursts = np.zeros((19, 2000), np.float32)
    bursts[::2, ::10] = 400  # of a tenth of the time; against the average 190 and -210
    assert renderer.gain_of(bursts) * renderer.layout.lane_mm > 150
    foot = renderer.layout.bottom + 25
    assert (renderer(quiet)[foot:] != renderer(loud)[foot:]).any()
    assert renderer.gain_of(np.full((19, 2000), np.nan)) > 0


def test_sizes_of_patches() -> None:
    assert fit_size(1200, 900) == (1204, 896)
    assert fit_size(1200, 900, patch=32) == (1216, 896)
    assert fit_size(1, 1) == (28, 28)


def test_what_cannot_be_drawn_is_told() -> None:
    with pytest.raises(ValueError, match="page of 56 x 56"):
        PageRenderer(ELECTRODES_19, SFREQ, style=PageStyle(width=56, height=56))
    with pytest.raises(ValueError, match="shape"):
        PageRenderer(ELECTRODES_19, SFREQ)(np.zeros((19, 100)))
    with pytest.raises(ValueError, match="montage"):
        derive(ELECTRODES_19, "upside down")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="gain"):
        PageStyle(gain_uv_mm=0.0)


def test_real_recordings_are_drawn(shared_data: Path) -> None:
    path = sorted((shared_data / "eegmat").glob("*_2.edf"))[0]
    segment = segment_recording(load_recording(path))[0]
    for montage in ("average", "bipolar", "recorded"):
        style = PageStyle(montage, gain_uv_mm=None)  # type: ignore[arg-type]
        page = PageRenderer(segment.ch_names, segment.sfreq, style=style)(segment.signal_uv)
        assert 0.03 < (page < 128).mean() < 0.2
