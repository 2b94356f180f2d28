"""The published file as a table: every row that can be one, and what is wrong with the others."""

import hashlib
import os
from typing import Any

import numpy as np

from qc_jax.canvas import FEATURES, decode
from qc_jax.chem import elements
from qc_jax.chem.units import EBOHR_DEBYE
from qc_jax.data import files
from qc_jax.data.table import PairTable
from qc_jax.data.targets import TARGETS
from qc_jax.engines.published.archive import read_arrays
from qc_jax.engines.published.checks import Rows, disagreements
from qc_jax.engines.published.columns import label_columns, metadata_columns
from qc_jax.errors import InputError

PUBLISHED_FILE = "dataset_combined.npz"
PUBLISHED_DOI = "10.5281/zenodo.20631934"  # CC-BY-4.0
PUBLISHED_MD5 = "a35d349814ca9e12a8413289c015de49"  # as its authors state it

_MISSING_ELEMENT = "X"  # what the authors' builder writes where there is no geometry
# A canvas holds numbers of electrons, 10 times a charge at most: hundreds.
_MOST_PIXEL = 1e6
_AT_ONCE = 1024  # canvases that are turned or decoded: 250 MB with what decoding needs


def read(path: str | os.PathLike) -> PairTable:
    """Return the table of a file like the published `dataset_combined.npz`, in its row order.

    The file holds pickles; they are read without `pickle`, and can build nothing but plain data.
    Populations by orbital are not in it (NaN): the canvases are the stored ones, and charges are
    decoded from them. The dipole is that of the labels, where they lack it that of the metadata.
    Of the 37 labels the targets are columns of the table, the others, and any further ones, its
    extras; a label that is None or missing is NaN.

    A row that cannot be a row of a table is left out; one that contradicts itself stays, because
    the published results are of all rows. Two rows of one pair both stay as well.

    Args:
      path: of the file.

    Returns:
      A table. In its provenance: 'file', 'sha256', 'md5', 'doi' (of the published file; None for
      another), 'rows' of the file, 'left_out' and 'disagreements' by name (with the row behind it
      where the name is taken) with the reasons, each a kind, a colon and the numbers, and
      'missing': in how many rows a label or a field of the metadata is not given.

    Raises:
      InputError: the file is missing, damaged, hostile or of another format; a label is no number;
        no row is left.
    """
    path = os.fspath(path)
    columns: dict[str, Any] = {}

    def read_columns(arrays: dict[str, np.ndarray]) -> None:
        names = [_printable(str(name)) for name in arrays["pair_names"]]
        columns["names"] = names
        columns["labels"] = label_columns(arrays.pop("labels"), names)
        columns["metadata"] = metadata_columns(arrays.pop("metadata"), names)

    arrays = read_arrays(path, read_columns)
    names: list[str] = columns["names"]
    labels, missing_labels = columns["labels"]
    metadata, missing_metadata = columns["metadata"]
    dipole = _dipoles(labels, metadata)
    reasons = [_unfit(arrays, names[row], dipole, row) for row in range(len(names))]
    keep = np.flatnonzero([reason is None for reason in reasons])
    if not len(keep):
        raise InputError(f"{path}: none of its {len(names)} rows can be read; {reasons[0]}")

    canvases = _channels_last(arrays.pop("images"), keep)
    features, residual = _decode(canvases)
    rows = Rows(
        names=np.array([names[row] for row in keep]),
        atomic_numbers=_atomic_numbers(arrays["elements"][keep]),
        positions=arrays["geometries"][keep, :, :3],
        electrons=arrays["geometries"][keep, :, 3],
        labels={name: column[keep] for name, column in labels.items()},
        metadata={name: column[keep] for name, column in metadata.items()},
        features=features,
        residual=residual,
        dipole=dipole[keep],
    )
    provenance = {
        "engine": "published",
        "file": os.path.basename(path),
        **_digests(path),
        "rows": len(names),
        "left_out": _by_name(names, {row: r for row, r in enumerate(reasons) if r is not None}),
        "disagreements": _by_name(
            names, {int(keep[row]): found for row, found in disagreements(rows).items()}
        ),
        "missing": {"labels": missing_labels, "metadata": missing_metadata},
    }
    return PairTable(
        names=rows.names,
        atomic_numbers=rows.atomic_numbers,
        positions=rows.positions,
        populations=np.full((len(keep), 2, 16), np.nan),
        charges=rows.charges,
        dipole=rows.dipole,
        targets={name: rows.labels[name] for name in TARGETS},
        provenance=provenance,
        canvases=canvases,
        extras={name: column for name, column in rows.labels.items() if name not in TARGETS},
    )


def _channels_last(images: np.ndarray, keep: np.ndarray) -> np.ndarray:
    """Return the rows `keep` (rising) with the channels last, in the memory of `images`."""
    n, channels, height, width = images.shape
    turned = images.reshape(n, height, width, channels)
    for start in range(0, len(keep), _AT_ONCE):
        # A row moves to its own place or to one before it, which has been read already.
        block = images[keep[start : start + _AT_ONCE]].transpose(0, 2, 3, 1)
        turned[start : start + len(block)] = block
    return turned[: len(keep)]


def _unfit(arrays: dict[str, np.ndarray], name: str, dipole: np.ndarray, row: int) -> str | None:
    """Return why a row of the file cannot be a row of a table, or None."""
    symbols = [_printable(str(symbol)) for symbol in arrays["elements"][row]]
    if _MISSING_ELEMENT in symbols:
        return f"element: {_MISSING_ELEMENT!r}, which stands for a missing geometry"
    try:
        expected = elements.pair_name(*symbols)
    except InputError as error:
        return f"element: {error}"
    if name != expected or name != "_".join(symbols):
        return f"name: {name!r} with the atoms {' and '.join(symbols)}, expected {expected!r}"
    positions = arrays["geometries"][row, :, :3]
    if not np.isfinite(positions).all():
        return "geometry: a position is not finite"
    if (positions[0] == positions[1]).all():
        return "geometry: both atoms at one place, as for a missing one"
    image = arrays["images"][row]
    if not np.abs(image).max() <= _MOST_PIXEL:
        return f"image: a pixel of {np.abs(image).max():g}, expected at most {_MOST_PIXEL:g}"
    if not np.isfinite(dipole[row]).all():
        return "dipole: neither in the labels nor in the metadata"
    return None


def _dipoles(labels: dict[str, np.ndarray], metadata: dict[str, np.ndarray]) -> np.ndarray:
    """Return the dipoles, [N, 3] Debye."""
    stated = np.stack([labels[f"dipole_{axis}_d"] for axis in "xyz"], axis=-1)
    known = np.isfinite(stated).all(axis=-1, keepdims=True)
    return np.where(known, stated, metadata["dipole_moment"] * EBOHR_DEBYE)


def _decode(canvases: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    features = np.empty((len(canvases), len(FEATURES)), np.float32)
    residual = np.empty(len(canvases), np.float32)
    for start in range(0, len(canvases), _AT_ONCE):
        some = slice(start, start + _AT_ONCE)
        features[some], residual[some] = decode(canvases[some])
    return features, residual


def _atomic_numbers(symbols: np.ndarray) -> np.ndarray:
    numbers = [[elements.element(str(symbol)).atomic_number for symbol in row] for row in symbols]
    return np.array(numbers, dtype=np.int32)


def _by_name(names: list[str], by_row: dict[int, Any]) -> dict[str, Any]:
    """Return the same by name; a name that is taken gets its row behind it."""
    named: dict[str, Any] = {}
    for row, value in by_row.items():
        name = names[row]
        named[f"{name} (row {row})" if name in named else name] = value
    return named


def _digests(path: str) -> dict[str, str | None]:
    with files.open_regular(path, "rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        file.seek(0)
        md5 = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    return {"sha256": sha256, "md5": md5, "doi": PUBLISHED_DOI if md5 == PUBLISHED_MD5 else None}


def _printable(name: str) -> str:
    return name if name.isascii() and name.isprintable() else ascii(name)[1:-1]
