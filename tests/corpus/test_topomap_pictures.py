"""Scalp maps as MNE-Python draws them, pixel by pixel; colour scales; the potentials that are mapped."""

import matplotlib
import matplotlib.pyplot
import mne
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from corpus.montage import electrode_positions
from corpus.topomap import POTENTIALS, TopomapRenderer, map_potential, median_potential
from corpus.topomap.interpolation import interpolation_matrix
from corpus.topomap.raster import colour_words

matplotlib.use("Agg")

LISTED = "Fp1 Fp2 F3 F4 C3 C4 P3 P4 O1 O2 F7 F8 T7 T8 P7 P8 Fz Cz Pz"
NAMES_19 = tuple(LISTED.split())
NAMES_LOW = (*NAMES_19, "F9", "F10", "T9", "T10", "Iz")  # below the horizon: the circle grows
SFREQ = 200.0


def draw_with_mne(potential: np.ndarray, ch_names: tuple[str, ...], size: int, limit: float) -> np.ndarray:
    """MNE's own picture on the Agg canvas, (size, size, 3): our colours and limits, no contours, sensors, outlines."""
    table = dict(zip(ch_names, electrode_positions(ch_names), strict=True))
    montage = mne.channels.make_dig_montage(table, coord_frame="head")
    info = mne.create_info(list(ch_names), SFREQ, "eeg").set_montage(montage)
    figure = matplotlib.pyplot.figure(figsize=(1, 1), dpi=size)
    axes = figure.add_axes((0, 0, 1, 1))
    style = {"sensors": False, "contours": 0, "cmap": "RdBu_r", "res": size, "show": False}
    image, _ = mne.viz.plot_topomap(potential, info, axes=axes, vlim=(-limit, limit), **style)
    for line in list(axes.lines):
        line.remove()
    axes.axis("off")
    axes.set(xlim=image.get_extent()[:2], ylim=image.get_extent()[2:])
    return read_canvas(figure)


def read_canvas(figure: Figure) -> np.ndarray:
    figure.canvas.draw()
    pixels = np.asarray(figure.canvas.buffer_rgba())[..., :3].astype(int)
    matplotlib.pyplot.close(figure)
    return pixels


@pytest.mark.parametrize(("ch_names", "size"), [(NAMES_19, 224), (NAMES_19, 64), (NAMES_LOW, 224)])
def test_picture_equals_the_picture_of_mne(ch_names: tuple[str, ...], size: int) -> None:
    renderer = TopomapRenderer(ch_names, size)
    inside = interpolation_matrix(ch_names, size)[1]
    for potential in np.random.default_rng(0).normal(scale=30, size=(2, len(ch_names))):
        limit = float(np.abs(renderer.operator @ potential).max())
        difference = np.abs(draw_with_mne(potential, ch_names, size, limit) - renderer(potential[None])[0])
        assert difference[inside].mean() < 1  # of 255; our table is rounded, the one of matplotlib cut off
        assert difference[inside].max() <= 16  # two colour steps
        fixed = TopomapRenderer(ch_names, size, limit_uv=40.0)(potential[None])[0]
        difference = np.abs(draw_with_mne(potential, ch_names, size, 40.0) - fixed)
        assert difference[inside].mean() < 1


def steps_of(picture: np.ndarray) -> np.ndarray:
    """Rows of the colour table, 0 to 255 and 256 for white."""
    table = colour_words().view(np.uint8).reshape(257, 4)[:, :3].tolist()
    return np.array([table.index(colour) for colour in picture.reshape(-1, 3).tolist()])


def test_a_fixed_limit_keeps_amplitude_and_clips() -> None:
    renderer = TopomapRenderer(("Cz",), 32, limit_uv=100.0)  # one electrode: one colour
    potentials = np.array([[0.0], [50.0], [-50.0], [100.0], [1e6], [-1e6]])
    assert [steps_of(picture)[32 * 16 + 16] for picture in renderer(potentials)] == [128, 191, 64, 255, 255, 0]
    on_device = renderer._draw_on_device(torch.from_numpy(potentials).float()).numpy()
    np.testing.assert_array_equal(on_device.reshape(6, 32, 32, 3), renderer(potentials))
    quiet, loud = TopomapRenderer(NAMES_19, 32, limit_uv=100.0)(np.linspace(-1, 1, 19) * [[10.0], [90.0]])
    assert np.ptp(steps_of(quiet)[steps_of(quiet) < 256]) < 40 < np.ptp(steps_of(loud)[steps_of(loud) < 256])


@pytest.mark.parametrize("limit_uv", [0.0, -5.0, float("nan"), float("inf")])
def test_a_limit_must_be_positive(limit_uv: float) -> None:
    with pytest.raises(ValueError, match="expected a positive number of microvolts"):
        TopomapRenderer(NAMES_19, 32, limit_uv=limit_uv)


def draw_slowly(potential: np.ndarray, size: int) -> np.ndarray:
    """One map by the definition: a colour for each pixel, white outside."""
    weights, inside = interpolation_matrix(NAMES_19, size)
    values = weights @ potential.astype(np.float32)
    table = colour_words().view(np.uint8).reshape(257, 4)[:, :3]
    picture = np.full((size, size, 3), 255, dtype=np.uint8)
    picture[inside] = table[(values * (127.999 / np.abs(values).max()) + 128).astype(int)]
    return picture


@pytest.mark.parametrize("size", [4, 5, 7, 32, 101, 224])
@pytest.mark.parametrize("threads", ["1", "3"])
def test_strips_pairs_and_threads_draw_the_definition(size: int, threads: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: range(4), raising=False)
    potentials = np.random.default_rng(1).normal(scale=30, size=(70 if size < 200 else 20, 19))
    drawn = TopomapRenderer(NAMES_19, size)(potentials)
    for i in (0, 17, len(drawn) - 1):
        differs = np.abs(drawn[i].astype(int) - draw_slowly(potentials[i], size))
        assert differs.max() <= 8  # one colour step, where a value lies on the border of two
        assert (differs > 0).mean() < 1e-3


def test_old_and_new_name_of_one_electrode_are_refused_together() -> None:
    for pair in (("T3", "T7"), ("T4", "T8"), ("T5", "P7"), ("T6", "P8")):
        with pytest.raises(ValueError, match=f"got {pair[0]} and {pair[1]} at one place.*drop one"):
            TopomapRenderer(("Fz", "Pz", *pair), 16)
    old, new = (TopomapRenderer(("Fz", "Cz", name, "Pz"), 16).operator for name in ("T3", "T7"))
    np.testing.assert_array_equal(old, new)


def sine(freq_hz: float, peak_uv: float, n_times: int = 2000) -> np.ndarray:
    return peak_uv * np.sin(2 * np.pi * freq_hz * np.arange(n_times) / SFREQ)


def test_potentials_of_a_sine_are_those_of_the_textbook() -> None:
    signal = np.stack([sine(10.0, 20.0), sine(2.0, 8.0) + 5.0])[None]  # (1, 2, T)
    np.testing.assert_array_equal(map_potential(signal), median_potential(signal))
    np.testing.assert_allclose(map_potential(signal, "rms")[0], [20 / 2**0.5, (32 + 25) ** 0.5], rtol=1e-6)
    np.testing.assert_allclose(map_potential(np.array([[1.0, -3.0, 5.0, -7.0]]), "mean_abs"), [4.0])
    np.testing.assert_allclose(map_potential(signal, "alpha_power", SFREQ)[0], [200.0, 0.0], atol=1e-6)
    np.testing.assert_allclose(map_potential(signal, "delta_power", SFREQ)[0], [0.0, 32.0], atol=1e-6)  # no offset


def test_powers_of_all_bands_add_up_to_the_variance() -> None:
    noise = np.random.default_rng(0).normal(size=(3, 1500))
    powers = [map_potential(noise, kind, 150.0) for kind in POTENTIALS if kind.endswith("_power")]
    spectrum = np.abs(np.fft.rfft(noise - noise.mean(-1, keepdims=True))) ** 2 / 1500**2
    lost = spectrum[:, -1]  # 75 Hz lies above the last band
    np.testing.assert_allclose(np.sum(powers, axis=0), noise.var(axis=-1) - lost, rtol=1e-10)
    last_line = np.cos(np.pi * np.arange(100))[None]  # 50 Hz at 100 Hz: the last line of the spectrum
    np.testing.assert_allclose(map_potential(last_line, "high_gamma_power", 100.0), [1.0])


@pytest.mark.parametrize("kind", POTENTIALS)
def test_tensors_give_what_arrays_give(kind: str) -> None:
    signal = np.random.default_rng(0).normal(scale=20, size=(2, 3, 400)).astype(np.float32)
    result = map_potential(torch.from_numpy(signal), kind)
    assert result.shape == (2, 3)
    assert result.dtype == torch.float32
    np.testing.assert_allclose(result.numpy(), map_potential(signal, kind), rtol=1e-4, atol=1e-5)


def test_errors_of_potentials_say_what_to_do() -> None:
    with pytest.raises(ValueError, match="got potential 'mean', expected one of median, rms, mean_abs, delta_power"):
        map_potential(np.zeros((1, 10)), "mean")
    with pytest.raises(ValueError, match="hold nothing of theta; pass longer segments"):
        map_potential(np.zeros((1, 20)), "theta_power", 200.0)
    with pytest.raises(ValueError, match=r"expected \(\.\.\., C, T\)"):
        map_potential(np.zeros((1, 0)), "rms")
