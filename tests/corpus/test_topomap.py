"""Scalp maps: parity with MNE-Python, pictures, captions."""

import re
import subprocess
import sys

import matplotlib
import mne
import numpy as np
import open_clip
import pytest
import torch
from mne.channels.layout import _auto_topomap_coords
from mne.viz.topomap import _make_head_outlines, _setup_interp

from corpus.montage import electrode_positions, region_of, side_of
from corpus.topomap import TopomapRenderer, describe_map, median_potential, project_to_plane
from corpus.topomap.raster import colour_words
from encoders.topomap import TINY_CLIP

LAYOUTS = {
    name: tuple(listed.split())
    for name, listed in {
        "emotiv-14": "AF3 F7 F3 FC5 T7 P7 O1 O2 P8 T8 FC6 F4 F8 AF4",
        "10-20-19": "Fp1 Fp2 F3 F4 C3 C4 P3 P4 O1 O2 F7 F8 T7 T8 P7 P8 Fz Cz Pz",
        "eegmmidb-64": "FC5 FC3 FC1 FCz FC2 FC4 FC6 C5 C3 C1 Cz C2 C4 C6 CP5 CP3 CP1 CPz CP2 CP4 CP6 Fp1 Fpz Fp2 AF7 "
        "AF3 AFz AF4 AF8 F7 F5 F3 F1 Fz F2 F4 F6 F8 FT7 FT8 T7 T8 T9 T10 TP7 TP8 P7 P5 P3 P1 Pz P2 P4 P6 P8 PO7 PO3 "
        "POz PO4 PO8 O1 Oz O2 Iz",
    }.items()
}
NAMES_19, NAMES_64 = LAYOUTS["10-20-19"], LAYOUTS["eegmmidb-64"]
SIZE = 64
WHITE, NEUTRAL = [255, 255, 255], [247, 246, 246]


def make_info(ch_names: tuple[str, ...], montage: mne.channels.DigMontage | None = None) -> mne.Info:
    """An MNE info with our electrode table as its montage, or with the given one."""
    info = mne.create_info(list(ch_names), 200.0, "eeg")
    table = dict(zip(ch_names, electrode_positions(ch_names), strict=True))
    return info.set_montage(montage or mne.channels.make_dig_montage(table, coord_frame="head"))


def interpolate_with_mne(info: mne.Info, potential: np.ndarray, size: int) -> np.ndarray:
    """MNE's own map of one potential, (size*size,), first row in front, as its plot_topomap computes it for EEG."""
    points = _auto_topomap_coords(info, None, ignore_overlap=True, to_sphere=True, sphere=None)
    outlines = _make_head_outlines(np.array([0.0, 0.0, 0.0, 0.095]), points, "head", (0.0, 0.0))
    _, x, y, interpolator = _setup_interp(points, size, "cubic", "head", outlines, "mean")
    return interpolator.set_values(potential).set_locations(x, y)()[::-1].ravel()


def relative_error(ch_names: tuple[str, ...], info: mne.Info, n_maps: int = 4) -> float:
    renderer, rng = TopomapRenderer(ch_names, SIZE), np.random.default_rng(0)
    inside = renderer.operator.any(axis=1)
    errors = []
    for potential in rng.normal(scale=30, size=(n_maps, len(ch_names))):
        expected = interpolate_with_mne(info, potential, SIZE)[inside]
        errors.append(np.abs(renderer.operator[inside] @ potential - expected).max() / np.ptp(expected))
    return max(errors)


def colour_table() -> np.ndarray:
    return colour_words().view(np.uint8).reshape(257, 4)[:, :3]


def random_maps(n_maps: int, n_chans: int = 19, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(scale=30, size=(n_maps, n_chans))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_operator_equals_the_interpolator_of_mne(layout):
    names = LAYOUTS[layout]
    assert relative_error(names, make_info(names)) < 1e-6


@pytest.mark.parametrize("layout", LAYOUTS)
def test_map_equals_mne_with_its_own_template_up_to_the_rounding_of_our_table(layout):
    names = LAYOUTS[layout]
    info = make_info(names, mne.channels.make_standard_montage("colin27_1005"))
    assert relative_error(names, info) < 2e-4  # positions are rounded to a micrometre; one colour step is 4e-3


def test_projection_equals_mne():
    expected = _auto_topomap_coords(make_info(NAMES_64), None, ignore_overlap=True, to_sphere=True, sphere=None)
    np.testing.assert_allclose(project_to_plane(electrode_positions(NAMES_64)), expected, atol=1e-12)


def test_two_electrodes_equal_mne():
    assert relative_error(("C3", "C4"), make_info(("C3", "C4"))) < 1e-6


@pytest.mark.parametrize(
    "names", [("C3", "C4"), ("Fz", "Cz", "Pz"), ("F3", "F4", "Oz"), ("Fpz", "Fz", "Cz", "Pz", "Oz")]
)
def test_small_and_straight_layouts_reproduce_their_electrodes(names):
    renderer = TopomapRenderer(names, 201)
    points = project_to_plane(electrode_positions(names))
    radius = max(0.095, 1.01 * np.linalg.norm(points, axis=1).max())
    column, row = ((points * [1, -1] / radius + 1) * 100).round().astype(int).T
    at_electrodes = renderer.operator.reshape(201, 201, -1)[row, column]
    np.testing.assert_allclose(at_electrodes, np.eye(len(names)), atol=0.05)
    np.testing.assert_allclose(renderer.operator.sum(axis=1)[renderer.operator.any(axis=1)], 1, atol=1e-4)


def test_single_electrode_gives_the_colour_of_its_sign():
    positive, negative, zero = TopomapRenderer(("Cz",), 32)(np.array([[5.0], [-0.1], [0.0]]))
    assert positive[16, 16].tolist() == [103, 0, 31]
    assert negative[16, 16].tolist() == [5, 48, 97]
    assert zero[16, 16].tolist() == NEUTRAL
    assert len(np.unique(positive.reshape(-1, 3), axis=0)) == 2  # and white


def test_picture_has_the_front_up_left_on_the_left_and_white_around():
    potential = np.zeros((3, 19))
    potential[:2] = project_to_plane(electrode_positions(NAMES_19)).T  # grows to the right, and to the front
    right, front, zero = TopomapRenderer(NAMES_19, 100)(potential)
    assert right.shape == (100, 100, 3)
    assert right.dtype == np.uint8
    redness = right[..., 0].astype(int) - right[..., 2]
    assert redness[40:60, 10:30].max() < 0 < redness[40:60, 70:90].min()
    redness = front[..., 0].astype(int) - front[..., 2]
    assert redness[70:90, 40:60].max() < 0 < redness[10:30, 40:60].min()
    outside = np.hypot(*(np.indices((100, 100)) - 49.5)) > 49.5
    assert (right[outside] == WHITE).all()
    assert (zero[~outside] == NEUTRAL).all()


def test_colours_ignore_amplitude_and_mirror_with_sign():
    renderer, potential = TopomapRenderer(NAMES_19, SIZE), random_maps(3)
    picture = renderer(potential)
    assert (np.abs(renderer(potential * 1e-6).astype(int) - picture) > 2).mean() < 1e-3
    table = colour_table().tolist()
    step, mirrored = (
        np.array([table.index(colour) for colour in maps.reshape(-1, 3).tolist()])
        for maps in (picture, renderer(-potential))
    )
    inside = step != 256
    assert np.abs((255 - step - mirrored)[inside]).max() <= 1
    assert {0, 255} & set(step.tolist())


def test_colour_table_is_matplotlibs():
    expected = matplotlib.colormaps["RdBu_r"](np.arange(256))[:, :3] * 255
    assert np.abs(colour_table()[:256] - expected).max() <= 1


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_tensor_on_the_cpu_draws_what_numpy_draws(dtype):
    renderer, potential = TopomapRenderer(NAMES_19), random_maps(20).astype(np.float32)
    tensor = torch.from_numpy(potential).to(dtype).requires_grad_()
    drawn = renderer(tensor)
    assert drawn.shape == (20, 224, 224, 3)
    assert drawn.dtype == torch.uint8
    assert drawn.device == tensor.device
    assert not drawn.requires_grad
    np.testing.assert_array_equal(drawn.numpy(), renderer(potential))


def test_the_way_of_a_gpu_draws_what_numpy_draws():
    renderer, potential = TopomapRenderer(NAMES_19, SIZE), np.concatenate([random_maps(20), np.zeros((1, 19))])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        drawn = renderer._draw_on_device(torch.from_numpy(potential).float()).reshape(21, SIZE, SIZE, 3).numpy()
    differs = drawn != renderer(potential)
    assert differs.mean() < 1e-4  # a value on the border between two colour steps
    assert np.abs(drawn.astype(int) - renderer(potential)).max() <= 8


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_draws_what_numpy_draws():
    renderer, potential = TopomapRenderer(NAMES_19), random_maps(300)
    drawn = renderer(torch.from_numpy(potential).cuda())
    assert drawn.is_cuda
    assert (drawn.cpu().numpy() != renderer(potential)).mean() < 1e-3


def test_batches_of_none_and_of_one():
    renderer = TopomapRenderer(NAMES_19, SIZE)
    assert renderer(np.empty((0, 19))).shape == (0, SIZE, SIZE, 3)
    assert renderer(torch.empty(0, 19)).shape == (0, SIZE, SIZE, 3)
    many = random_maps(17)
    np.testing.assert_array_equal(renderer(many)[16:], renderer(many[16:]))


def test_operators_are_cached_and_read_only():
    first, second = TopomapRenderer(list(NAMES_19), SIZE), TopomapRenderer(NAMES_19, SIZE)
    assert first.operator is second.operator
    assert first.operator.shape == (SIZE * SIZE, 19)
    assert first.operator.dtype == np.float32
    with pytest.raises(ValueError, match="read-only"):
        first.operator[0, 0] = 1


def test_errors_say_what_to_do():
    renderer = TopomapRenderer(NAMES_19, SIZE)
    with pytest.raises(ValueError, match=r"got potential_uv \(19,\), expected \(B, 19\)"):
        renderer(np.zeros(19))
    for bad in (np.full((1, 19), np.nan), torch.full((1, 19), torch.inf)):
        with pytest.raises(ValueError, match="finite"):
            renderer(bad)
    with pytest.raises(ValueError, match="T3 and T7 at one place"):
        TopomapRenderer(("Cz", "T3", "T7"))
    with pytest.raises(ValueError, match="got 0 channels"):
        TopomapRenderer(())


def test_import_needs_neither_torch_nor_mne():
    code = "import sys, numpy as np, corpus, corpus.topomap as t; t.TopomapRenderer(('C3', 'C4'), 8)(np.ones((1, 2)));"
    code += "sys.exit(' '.join({'torch', 'mne', 'matplotlib'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stderr.strip() == ""


def test_median_potential_takes_the_middle_sample():
    signal = np.arange(2 * 3 * 2000).reshape(2, 3, 2000)
    np.testing.assert_array_equal(median_potential(signal), signal[:, :, 1000])
    assert torch.equal(median_potential(torch.from_numpy(signal)), torch.from_numpy(signal[:, :, 1000]))
    with pytest.raises(ValueError, match="expected"):
        median_potential(signal[..., :0])


def listed_areas(caption: str) -> dict[str, set[str]]:
    """The areas under each of the five words of a caption."""
    levels = ("Strongly negative", "Mildly negative", "Near zero", "Mildly positive", "Strongly positive")
    parts = (sentence.split(": ") for sentence in caption.rstrip(".").split(". "))
    return {part[0]: set(part[1].split(", ")) for part in parts if part[0] in levels}


def test_caption_tells_the_truth():
    potential = np.zeros(19)
    potential[[NAMES_19.index(name) for name in ("O2", "P4", "P8")]] = 40, 30, 30
    potential[[NAMES_19.index(name) for name in ("F3", "F7", "Fp1")]] = -10, -10, -15
    caption = describe_map(potential, NAMES_19, seed=0)
    assert listed_areas(caption)["Strongly positive"] == {"right posterior"}
    assert listed_areas(caption)["Mildly negative"] == {"left frontal"}
    assert len(set.union(*listed_areas(caption).values())) == 9
    assert "O2 (right occipital)" in caption
    assert "Fp1 (left frontal)" in caption
    assert "The positive pole is stronger." in caption
    assert "focal" in caption
    assert re.search("right (much )?(more positive|higher) than left", caption.lower())
    assert re.search("back (much )?(more positive|higher) than front", caption.lower())


def test_seed_changes_the_words_and_not_the_facts():
    potential = random_maps(1)[0]
    captions = [describe_map(potential, NAMES_19, seed) for seed in range(20)]
    assert captions == [describe_map(potential, NAMES_19, seed) for seed in range(20)]
    assert len(set(captions)) == 20
    assert all(listed_areas(caption) == listed_areas(captions[0]) for caption in captions)
    extremes = [
        f"{name} ({side_of(name)} {region_of(name)})"
        for name in (NAMES_19[potential.argmax()], NAMES_19[potential.argmin()])
    ]
    assert all(extreme in caption for extreme in extremes for caption in captions)


def test_different_maps_have_different_captions():
    planes = np.column_stack([project_to_plane(electrode_positions(NAMES_19)), np.full(19, 0.05)])  # two slopes, level
    gradients = np.random.default_rng(0).normal(size=(1000, 3)) @ planes.T
    assert len({describe_map(potential, NAMES_19, seed=0) for potential in random_maps(1000)}) >= 999
    assert len({describe_map(potential, NAMES_19, seed=0) for potential in gradients}) >= 200


def test_captions_of_flat_and_one_sided_maps():
    flat = describe_map(np.zeros(19), NAMES_19, seed=1).lower()
    assert "flat" in flat or "zero" in flat
    positive = describe_map(np.linspace(1, 2, 19), NAMES_19, seed=0)
    assert "Positive throughout" in positive or "Red all over" in positive
    assert "pole" not in positive
    assert "Cz (midline central)" in describe_map(np.array([-3.0]), ("Cz",), seed=0)
    with pytest.raises(ValueError, match="finite"):
        describe_map(np.full(19, np.nan), NAMES_19, seed=0)
    with pytest.raises(ValueError, match="expected"):
        describe_map(np.zeros((1, 19)), NAMES_19, seed=0)


def test_captions_fit_the_text_tower_of_the_tiny_clip():
    tokenizer = open_clip.SimpleTokenizer()
    longest = max(
        len(tokenizer.encode(describe_map(potential, names, seed))) + 2  # start and end of text
        for names in LAYOUTS.values()
        for seed, potential in enumerate(random_maps(100, len(names)))
    )
    assert longest <= TINY_CLIP["text_cfg"]["context_length"]
