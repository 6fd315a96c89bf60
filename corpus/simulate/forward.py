"""Dipoles in a head of four spheres to scalp potentials, by MNE's spherical forward model (no download).

Sources are a shell of points at the depth of the cortex plus two at the eyes; three orthogonal dipoles at each.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from corpus.montage import ELECTRODE_NAMES, electrode_positions
from corpus.simulate.preset import TEN_TWENTY

CENTRE_M = np.array([0.0, 0.015, 0.045])  # sphere through the 19 electrodes of the 10-20 system (least squares)
RADIUS_M = 0.095
CORTEX_M = 0.074  # 20 mm below the scalp
CORTEX_POINTS = 600
LOWEST_POINT = -0.4  # cosine from the vertex: no sources in the neck
EYES_M = np.array([[-0.0274, 0.0773, -0.0007], [0.0274, 0.0773, -0.0007]])  # pulled back into the sphere of the brain
EARS = ("A1", "A2")


@lru_cache(maxsize=1)
def source_positions() -> NDArray[np.float64]:
    """Cortical points (even spiral on a sphere), then the left and the right eye: (S, 3), metres, head frame."""
    i = np.arange(CORTEX_POINTS) + 0.5
    height = 1 - (1 - LOWEST_POINT) * i / CORTEX_POINTS
    turn = np.pi * (1 + np.sqrt(5)) * i
    ring = np.sqrt(1 - height**2)
    shell = np.stack([ring * np.cos(turn), ring * np.sin(turn), height], axis=1)
    return np.concatenate([CENTRE_M + CORTEX_M * shell, EYES_M])


def lead_field(ch_names: Sequence[str]) -> NDArray[np.float64]:
    """Potential against infinity of unit dipoles along x, y and z: (C, S, 3), microvolts per nanoampere metre."""
    rows, lead = _all_electrodes()
    names = [name.lower() for name in ch_names]
    unknown = [name for name, key in zip(ch_names, names, strict=True) if key not in rows]
    if unknown:
        raise ValueError(f"got {', '.join(unknown)}, expected 10-20 or 10-10 names such as Fp1: correct ch_names")
    return lead[[rows[name] for name in names]]


@lru_cache(maxsize=1)
def _all_electrodes() -> tuple[dict[str, int], NDArray[np.float64]]:
    """Every known electrode at once (0.2 s), so that any montage is a choice of rows."""
    import mne

    positions = dict(zip(ELECTRODE_NAMES, electrode_positions(ELECTRODE_NAMES), strict=True))
    info = mne.create_info(list(ELECTRODE_NAMES), 200.0, "eeg", verbose="error")
    info.set_montage(mne.channels.make_dig_montage(positions, coord_frame="head"), verbose="error")
    sphere = mne.make_sphere_model(tuple(CENTRE_M), RADIUS_M, verbose="error")
    points = source_positions()
    outward = (points - CENTRE_M) / np.linalg.norm(points - CENTRE_M, axis=1, keepdims=True)
    space = mne.setup_volume_source_space(pos={"rr": points, "nn": outward}, sphere=sphere, verbose="error")
    forward = mne.make_forward_solution(info, None, space, sphere, meg=False, eeg=True, verbose="error")
    if forward["nsource"] != len(points):
        raise RuntimeError(f"got {forward['nsource']} sources, expected {len(points)}: move sources into the brain")
    order = [forward["sol"]["row_names"].index(name) for name in ELECTRODE_NAMES]
    volts_per_am = forward["sol"]["data"][order].reshape(len(order), len(points), 3)
    return {name.lower(): row for row, name in enumerate(ELECTRODE_NAMES)}, volts_per_am * 1e-3


@lru_cache(maxsize=64)
def head_of(ch_names: tuple[str, ...], reference: str) -> "Head":
    """The head under a montage, from a cache: its fields depend on nothing else."""
    return Head(ch_names, reference)


@lru_cache(maxsize=1024)
def _patch_weights(anchors: tuple[str, ...], width_rad: float) -> NDArray[np.float64]:
    """How strongly each source takes part in round patches below `anchors`: (S,)."""
    points = source_positions()
    outward = (points - CENTRE_M) / np.linalg.norm(points - CENTRE_M, axis=1, keepdims=True)
    towards = electrode_positions(anchors) - CENTRE_M
    towards /= np.linalg.norm(towards, axis=1, keepdims=True)
    angle = np.arccos(np.clip(outward @ towards.T, -1, 1))
    weight = np.exp(-0.5 * (angle / width_rad) ** 2).sum(1)
    weight[-len(EYES_M) :] = 0
    weight.flags.writeable = False
    return weight


class Head:
    """Scalp fields over a montage.

    Fields are potentials against the ears over `layout`: the C requested electrodes, then those of the 10-20 system
    that are missing among them. So amplitudes mean the same on every montage, and what a source reaches does not depend
    on the recording's reference. A field's largest absolute value over the 10-20 system is 1.
    """

    def __init__(self, ch_names: tuple[str, ...], reference: str = "average") -> None:
        """Load the head with electrodes `ch_names`, measured against the 10-20 "average" or the mean of both "ears"."""
        given = {name.lower() for name in ch_names}
        self.ch_names = tuple(ch_names)
        self.layout = (*ch_names, *(name for name in TEN_TWENTY if name.lower() not in given))
        self.positions_m = electrode_positions(self.layout)
        row = {name.lower(): number for number, name in enumerate(self.layout)}
        self._standard = [row[name.lower()] for name in TEN_TWENTY]
        self._reference = reference
        self._lead = lead_field(self.layout) - lead_field(EARS).mean(0)
        self._points = source_positions()
        self._patches: dict[tuple[tuple[str, ...], float], NDArray[np.float64]] = {}
        self._background: NDArray[np.float64] | None = None
        self._outward = (self._points - CENTRE_M) / np.linalg.norm(self._points - CENTRE_M, axis=1, keepdims=True)

    def recorded(self, field_uv: NDArray[np.float64]) -> NDArray[np.float64]:
        """What is recorded of a field (layout, ...): the requested electrodes against the reference, (C, ...)."""
        minus = field_uv[self._standard].mean(0) if self._reference == "average" else 0.0
        return field_uv[: len(self.ch_names)] - minus

    def patch(
        self, anchors: tuple[str, ...], width_rad: float, tilt: ArrayLike = (0.0, 0.0, 0.0)
    ) -> NDArray[np.float64]:
        """Field of synchronous round patches of outward dipoles, one below each anchor: (layout,), positive outside.

        Args:
            anchors: Electrodes over the centres of the patches.
            width_rad: Standard deviation of each patch, as an angle at the centre of the head.
            tilt: Vector added to every outward unit dipole, to turn the patch like the wall of a sulcus.
        """
        if np.any(tilt):
            return self._field(_patch_weights(anchors, width_rad)[:, None] * (self._outward + np.asarray(tilt)))
        if (anchors, width_rad) not in self._patches:
            field = self._field(_patch_weights(anchors, width_rad)[:, None] * self._outward)
            field.flags.writeable = False
            self._patches[anchors, width_rad] = field
        return self._patches[anchors, width_rad]

    def eyes(self, turn: Sequence[float]) -> NDArray[np.float64]:
        """Field when both corneae (positive) move along `turn`, in head axes (right, front, up): (layout,)."""
        moment = np.zeros_like(self._points)
        moment[-len(EYES_M) :] = turn
        return self._field(moment)

    def network(self, anchors: Sequence[str], width_rad: float, coherence: float) -> NDArray[np.float64]:
        """Mixes K independent unit series into patches whose activity shares `coherence` of its variance: (layout, K).

        The largest root mean square over the 10-20 system is 1.
        """
        shared = np.full((len(anchors), len(anchors)), coherence) + (1 - coherence) * np.eye(len(anchors))
        fields = np.stack([self.patch((anchor,), width_rad) for anchor in anchors], axis=1)
        mixing = fields @ np.linalg.cholesky(shared)
        return mixing / np.sqrt((mixing[self._standard] ** 2).sum(1).max())

    def background(self) -> NDArray[np.float64]:
        """Mixes C independent unit series into the field of independent dipoles everywhere in the cortex: (C, C).

        Square root of the channel covariance, so it is exactly the sum over all dipoles; against the 10-20 average, the
        mean square over the 10-20 system is 1.
        """
        if self._background is not None:
            return self._background
        lead = self._lead[:, : -len(EYES_M)].reshape(len(self.layout), -1)
        standard = lead[self._standard] - lead[self._standard].mean(0)
        recorded = self.recorded(lead)
        values, vectors = np.linalg.eigh(recorded @ recorded.T / (standard**2).sum(1).mean())
        self._background = vectors * np.sqrt(np.clip(values, 0, None))
        return self._background

    def _field(self, moment: NDArray[np.float64]) -> NDArray[np.float64]:
        field = np.einsum("csd,sd->c", self._lead, moment)
        return field / np.abs(field[self._standard]).max()
