"""Vectors of maps on disk: a frozen tower sees each map of a fixed corpus once, not once an epoch."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

_ID_BYTES = 16
_PICTURE = "RdBu_r in 256 steps, Clough-Tocher, 224 pixels"  # another way of drawing needs another text


class MapFeatureCache:
    """Vectors (D,) of a tower, found again by the map they belong to.

    The files are named after the sha256 of the tower (weights and settings) and of the way in which maps are drawn, so
    another tower or another colour scale starts anew. A map is known by its values, electrode names and potentials:
    they stand in for the id of a segment, and a segment that changes is not mistaken for what it was. With random crops
    nearly every map is new, so the cache grows by each of them and saves nothing.

    Args:
        folder: of the files, created where it is missing; two for each process that writes.
        tower: its fingerprint (`TopomapEncoder.fingerprint`).
        width: D.
        limit_uv: of the colour scale.
        rank: of this process; it appends to its own files, and reads those that all processes had left at the start.
    """

    def __init__(
        self, folder: str | Path, tower: str, width: int, limit_uv: float | None = None, rank: int = 0
    ) -> None:
        self.width = width
        key = hashlib.sha256(f"{tower} {_PICTURE} {limit_uv}".encode()).hexdigest()[:32]
        Path(folder).mkdir(parents=True, exist_ok=True)
        self._ids = Path(folder) / f"{key}-{rank}.ids"
        self._vectors = self._ids.with_suffix(".f32")
        self._found: dict[bytes, np.ndarray] = {}
        for path in sorted(Path(folder).glob(f"{key}-*.ids")):
            self._found |= self._read(path)
        self._drop_half_written()

    def __len__(self) -> int:
        return len(self._found)

    def __call__(self, potential_uv: Tensor, ch_names: Sequence[str], compute: Callable[[Tensor], Tensor]) -> Tensor:
        """Look up the vectors of maps; what is not there is computed, written and returned.

        Args:
            potential_uv: (B, C) µV.
            ch_names: C electrode names.
            compute: (b, C) µV to (b, D), called with the unknown maps alone.

        Returns:
            (B, D) float32 on the device of the potentials: for each map what `compute` returned when it was new.
        """
        names = "\0".join(ch_names).encode() + b"\0"
        rows = potential_uv.detach().float().cpu().numpy()
        ids = [hashlib.blake2b(names + row.tobytes(), digest_size=_ID_BYTES).digest() for row in rows]
        unknown = {one: i for i, one in enumerate(ids) if one not in self._found}
        if unknown:
            vectors = compute(potential_uv[list(unknown.values())]).detach().float().cpu().numpy()
            self._append(list(unknown), vectors)
        return torch.from_numpy(np.stack([self._found[one] for one in ids])).to(potential_uv.device)

    def _count(self, path: Path) -> int:
        """Whole entries of a pair of files."""
        vectors = path.with_suffix(".f32")
        if not (path.exists() and vectors.exists()):
            return 0
        return min(path.stat().st_size // _ID_BYTES, vectors.stat().st_size // (4 * self.width))

    def _read(self, path: Path) -> dict[bytes, np.ndarray]:
        count = self._count(path)
        if count == 0:
            return {}
        ids, rows = path.read_bytes(), np.memmap(path.with_suffix(".f32"), np.float32, "r", shape=(count, self.width))
        return {ids[i * _ID_BYTES : (i + 1) * _ID_BYTES]: rows[i] for i in range(count)}

    def _drop_half_written(self) -> None:
        """Cut this process's files to whole entries: one that was killed may have left half of one."""
        count = self._count(self._ids)
        for path, size in ((self._ids, _ID_BYTES), (self._vectors, 4 * self.width)):
            if path.exists():
                with path.open("r+b") as file:
                    file.truncate(count * size)

    def _append(self, ids: list[bytes], vectors: np.ndarray) -> None:
        with self._vectors.open("ab") as file:
            file.write(vectors.tobytes())
        with self._ids.open("ab") as file:
            file.write(b"".join(ids))
        self._found |= dict(zip(ids, vectors, strict=True))
