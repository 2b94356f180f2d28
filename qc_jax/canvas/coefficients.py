"""Rows of numbers that densities are drawn from, one a pair, beside the features of canvases.

A row is all of `orbitals.Orbitals`, flat, with atomic numbers for elements: it can be taken, stored
and sent as canvas features are. The radial functions are constants of the program that draws.
"""

import functools
import importlib.resources
import sys
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from qc_jax.canvas import densities, orbitals
from qc_jax.canvas.orbitals import FORMS, PRODUCTS, Orbitals
from qc_jax.chem.elements import element
from qc_jax.data import files
from qc_jax.data.table import PairTable
from qc_jax.dftb import cache
from qc_jax.dftb.pseudo import pseudo_atoms
from qc_jax.errors import InputError

# Of images that networks see. By the validation rows better for levels than a linear scale, a root
# and a floor of 1e-4.
SCALE, FLOOR = "log", 1e-2
# Fields of `Orbitals` and the shape of each, in the order of a row.
_FIELDS: dict[str, tuple[int, ...]] = {
    "elements": (2,),
    "distance": (),
    "forms": (len(FORMS), PRODUCTS.shape[1]),
    "amplitudes": (2, 12),
    "sides": (2,),
    "charges": (2,),
    "hubbards": (2,),
}
LENGTH = sum(int(np.prod(shape)) for shape in _FIELDS.values())

_FILE = "radial.npz"  # `tabulate` of all elements that have parameters
_SCHEMA = 1  # of what is kept
_MANY = 200  # pairs, of which it takes long enough to say so


def of_table(table: PairTable) -> Float[np.ndarray, "pairs numbers"]:
    """Return the row of every pair of a table, at its bond lengths, float32.

    They are kept in the user's cache directory: of 2,850 pairs they take 15 s, and minutes where
    the integrals are not kept yet.

    Raises:
      InputError: the table is none of tight binding with PTBP, as its provenance says.
    """
    if not orbitals.are_of(table):
        made = table.provenance.get("engine", "an engine that they do not tell")
        raise InputError(
            f"images=densities: expected data that have eigenvectors (ptbp, or what generate "
            f"--engine=dftb makes with its defaults), got data made by {made}"
        )
    bonds = np.linalg.norm(table.positions[:, 1] - table.positions[:, 0], axis=1)
    names = list(map(str, table.names))
    key = cache.digest(_SCHEMA, orbitals.SCHEMA, names, bonds)
    return _kept(key, tuple(names), bonds.tobytes())


@functools.lru_cache(maxsize=4)  # the trainings of a grid share them
def _kept(key: str, names: tuple[str, ...], bonds: bytes) -> Float[np.ndarray, "pairs numbers"]:
    kept = cache.load("orbitals", key)
    if kept is None or kept.keys() != {"rows"}:
        if len(names) > _MANY:
            print(f"orbitals of {len(names)} pairs are computed, and kept", file=sys.stderr)
        kept = {"rows": of_pairs(names, np.frombuffer(bonds))}
        cache.store("orbitals", key, kept)
    kept["rows"].flags.writeable = False
    return kept["rows"]


def of_pairs(
    pairs: Sequence[str], distances: ArrayLike | None = None
) -> Float[np.ndarray, "pairs numbers"]:
    """Return the rows of pairs like 'C_O', the atom named first on the left, float32.

    Args:
      pairs: N names.
      distances: [N] Å; the relaxed ones unless given.

    Raises:
      InputError, NotConverged: as `orbitals.solve`.
    """
    names = list(pairs)
    found = orbitals.solve(names, distances)[1]
    numbers = [[element(symbol).atomic_number for symbol in name.split("_")] for name in names]
    found = found._replace(elements=jnp.asarray(numbers))
    columns = [np.asarray(getattr(found, name)).reshape(len(names), -1) for name in _FIELDS]
    return np.concatenate(columns, axis=1).astype(np.float32)


def draw(
    rows: Float[Array, "pairs numbers"],
    size: int,
    channels: Sequence[str] = tuple(densities.CHANNELS),
    scale: str = SCALE,
    turn: Float[Array, "pairs 2 2"] | None = None,
) -> Float[Array, "pairs size size channels"]:
    """Draw the images of rows, as `densities.draw` does, but for the `FLOOR` of a log scale.

    Args:
      rows: [N, `LENGTH`].
      size: pixels along each side.
      channels: names of `densities.CHANNELS`.
      scale: of `densities.SCALES`.
      turn: an orthogonal matrix for each image; see `densities.draw`.

    Raises:
      InputError: rows of another length, or as `densities.draw`.
    """
    found = fields(jnp.asarray(rows, jnp.float32))
    radial, place = _radial()
    numbers = jnp.round(found["elements"]).astype(jnp.int32)
    found["elements"] = jnp.asarray(place)[jnp.clip(numbers, 0, len(place) - 1)]
    return densities.draw(
        Orbitals(**found), jnp.asarray(radial), size, channels, scale, turn=turn, floor=FLOOR
    )


def fields(rows: Any) -> dict[str, Any]:
    """Return rows [N, `LENGTH`] by the fields of `orbitals.Orbitals`; 'elements' are numbers.

    Raises:
      InputError: rows of another length.
    """
    if rows.ndim != 2 or rows.shape[1] != LENGTH:
        raise InputError(f"coefficients: expected shape (N, {LENGTH}), got {rows.shape}")
    ends = np.cumsum([int(np.prod(shape)) for shape in _FIELDS.values()])
    return {
        name: rows[:, end - int(np.prod(shape)) : end].reshape(len(rows), *shape)
        for (name, shape), end in zip(_FIELDS.items(), ends, strict=True)
    }


def tabulate(symbols: Sequence[str]) -> dict[str, np.ndarray]:
    """Return what the shipped file of radial functions holds, of some elements.

    Returns:
      'numbers' [elements] atomic numbers, and 'values' [elements, knots + 1, 3] float32, R_s, R_p
      and R_d (bohr^(-3/2)) at the knots of `orbitals.splines`.
    """
    atoms, max_l = pseudo_atoms(symbols), orbitals.published_shells(symbols)
    numbers = np.array([element(symbol).atomic_number for symbol in symbols], np.int32)
    values = [orbitals.at_knots(atoms[s], "spd".index(max_l.get(s, "d"))) for s in symbols]
    return {"numbers": numbers, "values": np.stack(values).astype(np.float32)}


@functools.cache
def _radial() -> tuple[Float[np.ndarray, "elements knots 12"], np.ndarray]:
    """Return the radial functions of all elements that have some, and by atomic number which.

    They are shipped: the pseudo-atoms themselves take a minute and a half where none is kept.
    """
    with importlib.resources.as_file(importlib.resources.files(__package__) / _FILE) as path:
        kept = files.read_npz(path, "radial functions")
    table = np.stack([orbitals.through_knots(values) for values in kept["values"]])
    place = np.zeros(kept["numbers"].max() + 1, np.int32)
    place[kept["numbers"]] = np.arange(len(table))
    return table.astype(np.float32), place
