"""What a record holds, and how a table becomes records."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from qc_jax import canvas
from qc_jax.canvas import coefficients
from qc_jax.data import targets
from qc_jax.data.table import PairTable


def _tensor(shape: tuple[int, ...], dtype: Any, doc: str, **kwargs: Any) -> tfds.features.Tensor:
    return tfds.features.Tensor(shape=shape, dtype=dtype, doc=doc, **kwargs)


# A name that is also a target would silently hide it; tests compare the two lists.
_PAIR = {
    "name": tfds.features.Text(
        doc="Pair like 'Ag_Al': the symbols in alphabetical order, which is the atom order."
    ),
    "row": tfds.features.Scalar(
        np.int32, doc="Place in the table or file that the records were made from, from 0."
    ),
    "atomic_numbers": _tensor((2,), np.int32, "Atomic numbers."),
    "positions": _tensor(
        (2, 3), np.float32, "Å; along z, the first atom below; of a published file as it has them."
    ),
    "populations": _tensor(
        (2, 16),
        np.float32,
        "Mulliken populations in electrons by (l, m): s; p, m = -1 to 1; d, m = -2 to 2; "
        "f, m = -3 to 3. NaN where not known.",
    ),
    "charges": _tensor((2,), np.float32, "Mulliken charges, e."),
    "dipole": _tensor((3,), np.float32, "Debye, from negative to positive charge."),
    "canvas": _tensor(
        (32, 32, 10),
        np.float32,
        "The ten-channel image: row, column, channel.",
        # array_record compresses by itself: 48 MB on disk; with ZLIB 51 MB, and slower.
        encoding=tfds.features.Encoding.BYTES,
    ),
}
# Of configurations with densities alone.
_DENSITIES = {
    "densities": _tensor(
        (coefficients.LENGTH,),
        np.float32,
        "Numbers of the orbitals, of which qc_jax.datasets.drawing.DrawDensities, a decoder, draws "
        "density images of any size.",
    ),
}
# Of bond-length scans alone; the names of extras are those of `PairTable.extras`.
_POINT = {
    "forces": _tensor((2, 3), np.float32, "eV/Å on each atom: the negative energy gradient."),
    "bond_ratio": tfds.features.Scalar(np.float32, doc="Distance over that of the relaxed pair."),
    "continuous": tfds.features.Scalar(
        np.float32,
        doc="1 where a continuous curve leads to the relaxed pair, 0 behind a jump to another "
        "self-consistent solution.",
    ),
}
_TARGETS = {
    target.name: tfds.features.Scalar(
        np.float32, doc=f"{target.unit}: {target.definition}. NaN where undefined."
    )
    for target in targets.TARGETS.values()
}


def features(curves: bool, densities: bool = False) -> tfds.features.FeaturesDict:
    """Return the features of a record; a bond-length scan has forces and its place in it too.

    Args:
      curves: whether it is of a scan.
      densities: whether it holds what densities are drawn from.
    """
    more = (_DENSITIES if densities else {}) | (_POINT if curves else {})
    return tfds.features.FeaturesDict(_PAIR | more | _TARGETS)


def examples(
    table: PairTable, first_row: int = 0, densities: bool = False
) -> Iterator[dict[str, Any]]:
    """Return the records of a table, in its order, as many features as it has.

    Args:
      table: the pairs.
      first_row: the place of its first row.
      densities: whether they hold what densities are drawn from.

    Raises:
      InputError: those are asked for, and the table's pairs have none.
    """
    columns: dict[str, np.ndarray] = {
        "atomic_numbers": table.atomic_numbers.astype(np.int32),
        "canvas": canvas.canvases(table),
    }
    floats = {key: getattr(table, key) for key in ("positions", "populations", "charges", "dipole")}
    if table.forces is not None:
        floats["forces"] = table.forces
    floats |= {key: column for key, column in table.extras.items() if key in _POINT}
    if densities:
        floats["densities"] = coefficients.of_table(table)
    floats |= {target: table.targets[target] for target in targets.TARGETS}
    columns |= {key: column.astype(np.float32) for key, column in floats.items()}
    for row, name in enumerate(table.names):
        yield {
            "name": str(name),
            "row": first_row + row,
            **{key: column[row] for key, column in columns.items()},
        }
