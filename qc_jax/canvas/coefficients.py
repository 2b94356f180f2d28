"""Rows of numbers that densities are drawn from, one a pair, beside the features of canvases.

A row is all of `orbitals.Orbitals`, flat: it can be taken, stored and sent as canvas features are.
For elements it has atomic numbers, plus those of `_BASES`, so that a row says whose radial
functions it needs. These are constants of the program that draws.
"""

import functools
import importlib.resources
import sys
import warnings
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from qc_jax.canvas import densities, methods, orbitals, xtb_orbitals
from qc_jax.canvas.methods import GFN2_XTB, PTBP
from qc_jax.canvas.orbitals import FORMS, PRODUCTS, Orbitals
from qc_jax.canvas.radial import at_knots, through_knots
from qc_jax.chem.elements import element
from qc_jax.data import files
from qc_jax.data.table import PairTable
from qc_jax.dftb import cache
from qc_jax.dftb.pseudo import pseudo_atoms
from qc_jax.errors import InputError
from qc_jax.xtb import basis
from qc_jax.xtb.solutions import require

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

# Added to the atomic numbers in a row, by the method whose radial functions are meant.
_BASES = {PTBP: 0, GFN2_XTB: 1000}

_FILE = "radial.npz"  # `tabulate` of all elements that have parameters
_SCHEMA = 1  # of what is kept
_KEPT: dict[str, np.ndarray] = {}  # rows of the last tables, which the trainings of a grid share
_TABLES = 4
_MANY = 200  # pairs, of which it takes long enough to say so


def of_table(table: PairTable) -> Float[np.ndarray, "pairs numbers"]:
    """Return the row of every pair of a table, at its bond lengths, float32.

    They are kept in the user's cache directory: 2,850 pairs take 15 s, and of PTBP minutes where
    the integrals are not kept yet.

    Raises:
      InputError: the table is none whose orbitals are known, or tblite is needed and not installed.
    """
    method, names = check(table), list(map(str, table.names))
    bonds = np.linalg.norm(table.positions[:, 1] - table.positions[:, 0], axis=1)
    asked: tuple[object, ...] = (_SCHEMA, orbitals.SCHEMA, names, bonds)
    known = xtb_orbitals.known_of(table) if method == GFN2_XTB else None
    if known is not None:
        asked += (method, *known)
    rows = _KEPT.get(key := cache.digest(*asked))
    if rows is not None:
        return rows
    kept = cache.load("orbitals", key)
    if kept is None or kept.keys() != {"rows"}:
        if len(names) > _MANY:
            print(f"orbitals of {len(names)} pairs are computed, and kept", file=sys.stderr)
        if known is None:
            kept = {"rows": of_pairs(names, bonds)}
        else:
            kept = {"rows": _flat(names, xtb_orbitals.solve_known(names, known)[1], method)}
        cache.store("orbitals", key, kept)
    kept["rows"].flags.writeable = False
    while len(_KEPT) >= _TABLES:
        del _KEPT[next(iter(_KEPT))]  # the oldest
    _KEPT[key] = kept["rows"]
    return kept["rows"]


def check(table: PairTable) -> str:
    """Return the method of a table's orbitals, one of `methods.METHODS`.

    Raises:
      InputError: as `of_table`; no orbital is computed for that.
    """
    method = methods.method_of(table.provenance)
    if method is None:
        made = table.provenance.get("engine", "an engine that they do not tell")
        if made in ("dftb", "tblite"):
            made += " with other options"
        raise InputError(
            "images=densities: expected data that have eigenvectors (ptbp, gfn2_xtb, or what "
            f"generate --engine=dftb or tblite makes with its defaults), got data made by {made}"
        )
    if method == GFN2_XTB:
        require("images=densities of ")
    return method


def available(table: PairTable) -> bool:
    """Return whether `of_table` gives something; warns where tblite alone is missing for that."""
    if methods.method_of(table.provenance) is None:
        return False
    try:
        check(table)
    except InputError as error:
        warnings.warn(f"left out: {error}", stacklevel=2)
        return False
    return True


def of_pairs(
    pairs: Sequence[str], distances: ArrayLike | None = None, method: str = PTBP
) -> Float[np.ndarray, "pairs numbers"]:
    """Return the rows of pairs like 'C_O', the atom named first on the left, float32.

    Args:
      pairs: N names.
      distances: [N] Å; the relaxed ones unless given.
      method: of `methods.METHODS`.

    Raises:
      InputError, NotConverged: as `methods.solve`.
    """
    names = list(pairs)
    return _flat(names, methods.solve(names, distances, method)[1], method)


def _flat(names: Sequence[str], found: Orbitals, method: str) -> Float[np.ndarray, "pairs numbers"]:
    numbers = [[element(symbol).atomic_number for symbol in name.split("_")] for name in names]
    found = found._replace(elements=jnp.asarray(numbers) + _BASES[method])
    columns = [np.asarray(getattr(found, name)).reshape(len(names), -1) for name in _FIELDS]
    return np.concatenate(columns, axis=1).astype(np.float32)


def method_of(rows: Float[np.ndarray, "pairs numbers"]) -> str:
    """Return the method of `methods.METHODS` that some rows are of.

    Raises:
      InputError: they are of several, or of none.
    """
    known = np.asarray(rows)[:, :2]
    bases = np.unique(1000 * (known[np.isfinite(known).all(axis=1)] // 1000))
    names = [name for name, base in _BASES.items() if base in bases]
    if len(names) != 1 or len(bases) != 1:
        raise InputError(f"coefficients: expected rows of one method, got {names or 'none'}")
    return names[0]


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
      and R_d (bohr^(-3/2)) at the knots of `radial.splines`.
    """
    atoms, max_l = pseudo_atoms(symbols), orbitals.published_shells(symbols)
    numbers = np.array([element(symbol).atomic_number for symbol in symbols], np.int32)
    values = [at_knots(atoms[s], "spd".index(max_l.get(s, "d"))) for s in symbols]
    return {"numbers": numbers, "values": np.stack(values).astype(np.float32)}


@functools.cache
def _radial() -> tuple[Float[np.ndarray, "elements knots 12"], np.ndarray]:
    """Return the radial functions of all elements of both methods, and by a row's number which.

    They are shipped: the pseudo-atoms themselves take a minute and a half where none is kept.
    """
    with importlib.resources.as_file(importlib.resources.files(__package__) / _FILE) as path:
        kept = files.read_npz(path, "radial functions")
    slater = np.arange(1, len(basis.shipped().hubbards) + 1)
    numbers = np.concatenate([kept["numbers"], slater + _BASES[GFN2_XTB]])
    tables = [through_knots(values) for values in kept["values"]]
    tables += [xtb_orbitals.splines(int(number)) for number in slater]
    place = np.zeros(numbers.max() + 1, np.int32)
    place[numbers] = np.arange(len(tables))
    return np.stack(tables).astype(np.float32), place
