"""Numbers that take minutes to compute, kept as .npz files in the user's cache directory."""

import hashlib
import pathlib
import warnings
from collections.abc import Mapping

import numpy as np

from qc_jax.data import files
from qc_jax.errors import InputError


def directory() -> pathlib.Path | None:
    """Return the directory of cached numbers, or None where none are kept."""
    return files.cache_directory("dftb")


def digest(*parts: object) -> str:
    """Return a key of 16 hexadecimal digits for arrays and for what has a `repr` of its own."""
    total = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            total.update(repr((part.shape, part.dtype.str)).encode())
            total.update(np.ascontiguousarray(part).tobytes())
        else:
            total.update(repr(part).encode())
        total.update(b"\0")
    return total.hexdigest()[:16]


def load(name: str, key: str) -> dict[str, np.ndarray] | None:
    """Return the arrays kept as `name` under `key`; None where none are whole."""
    where = directory()
    if where is None:
        return None
    try:
        with np.load(where / f"{name}-{key}.npz", allow_pickle=False) as kept:
            return {field: kept[field] for field in kept.files}
    except files.DAMAGE:
        return None


def store(name: str, key: str, arrays: Mapping[str, np.ndarray]) -> None:
    """Keep arrays as `name` under `key`, or warn where the directory cannot be written to."""
    where = directory()
    if where is None:
        return
    try:
        where.mkdir(parents=True, exist_ok=True)
        with (
            files.atomic_write(where / f"{name}-{key}.npz") as unfinished,
            open(unfinished, "wb") as out,
        ):
            np.savez_compressed(out, **arrays)  # type: ignore[arg-type]
    except (InputError, OSError) as error:
        warnings.warn(f"not kept for later runs: {error}", stacklevel=2)
