"""A set of parameters for some elements, ready for the Hamiltonian: PTBP's or a directory's."""

import dataclasses
import itertools
import os
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from qc_jax.chem import elements
from qc_jax.dftb import interpolation, skf, skf_directory
from qc_jax.dftb.hamiltonian import Repulsion, Tables
from qc_jax.errors import InputError, choose

FORMS = ("published", "exact")
_LETTERS = "spd"


class ClosedForm(NamedTuple):
    """Z_A Z_B erfc(R / width) / R of PTBP.

    Attributes:
      charges: Z_A Z_B of each pair of elements.
      widths: √(s_A² + s_B²), bohr.
    """

    charges: Float[Array, " rows"]
    widths: Float[Array, " rows"]

    def evaluate_one(self, distance: Float[Array, ""], row: Int[Array, ""]) -> Float[Array, ""]:
        """Return the energy in hartree at a distance (bohr) of a row."""
        return self.charges[row] * jax.lax.erfc(distance / self.widths[row]) / distance


class Splines(NamedTuple):
    """Repulsions of Slater-Koster files (`skf.Spline`, `skf.Polynomial`), padded.

    Attributes:
      exponential: a₁, a₂, a₃; NaN-free, only where `starts[0]` is above the distance.
      starts: where the intervals begin; +∞ where padded.
      coefficients: c₀ … c₉ of each interval in powers of R − start.
      cutoffs: beyond which there is none.
    """

    exponential: Float[Array, "rows 3"]
    starts: Float[Array, "rows intervals"]
    coefficients: Float[Array, "rows intervals 10"]
    cutoffs: Float[Array, " rows"]

    def evaluate_one(self, distance: Float[Array, ""], row: Int[Array, ""]) -> Float[Array, ""]:
        """Return the energy in hartree at a distance (bohr) of a row."""
        starts = self.starts[row]
        at = jnp.clip(jnp.sum(starts <= distance) - 1, 0)
        offset = jnp.where(distance < self.cutoffs[row], distance - starts[at], 0.0)
        inside = jnp.polyval(self.coefficients[row, at][::-1], offset)
        a1, a2, a3 = self.exponential[row]
        below = distance < starts[0]
        head = jnp.exp(a2 - a1 * jnp.where(below, distance, starts[0])) + a3
        return jnp.where(below, head, jnp.where(distance < self.cutoffs[row], inside, 0.0))


@dataclasses.dataclass(frozen=True)
class Shells:
    """The free atom as tight binding sees it, by l = 0, 1, 2; hartree and electrons."""

    max_l: int
    energies: tuple[float, float, float]
    hubbards: tuple[float, float, float]
    electrons: tuple[float, float, float]


@dataclasses.dataclass(frozen=True, eq=False)
class Parametrization:
    """Everything that the energy of some elements' compounds needs.

    Attributes:
      name: 'ptbp, published form', or the directory.
      shells: by symbol.
      rows: of the pairs (A, B) of symbols in the tables; each pair in one order only.
      tables: two-centre integrals.
      repulsion: repulsive energies.
      shortest: bohr, where the tables of each row begin.
    """

    name: str
    shells: Mapping[str, Shells]
    rows: Mapping[tuple[str, str], int]
    tables: Tables
    repulsion: Repulsion
    shortest: Float[np.ndarray, " rows"]

    def row(self, first: str, second: str) -> tuple[int, bool]:
        """Return the row of a pair of symbols, and whether it names the second one first."""
        if (first, second) in self.rows:
            return self.rows[first, second], False
        return self.rows[second, first], True


def highest(
    symbol: str, available: int, max_l: Mapping[str, int | str] | int | str | None
) -> int:
    """Return the highest l of an element's basis.

    Args:
      symbol: of the element.
      available: the highest l that it has parameters for.
      max_l: by symbol, or for all: 0, 1, 2 or 's', 'p', 'd'; all shells where it says nothing.

    Raises:
      InputError: it is no angular momentum, or above what the element has.
    """
    asked = max_l.get(symbol) if isinstance(max_l, Mapping) else max_l
    if asked is None:
        return available
    if isinstance(asked, str):
        choose(f"max_l of {symbol}", asked, _LETTERS)
        asked = _LETTERS.index(asked)
    if isinstance(asked, bool) or asked not in (0, 1, 2):
        raise InputError(f"max_l of {symbol}: expected 0, 1, 2 or 's', 'p', 'd', got {asked!r}")
    if asked > available:
        if not isinstance(max_l, Mapping):
            return available
        raise InputError(
            f"max_l of {symbol}: expected at most {_LETTERS[available]!r}, the highest shell of its "
            f"parameters, got {_LETTERS[asked]!r}"
        )
    return int(asked)


def check_max_l(max_l: Mapping[str, int | str] | int | str | None) -> None:
    """Check the symbols of `max_l`.

    Raises:
      InputError: one is no element.
    """
    for symbol in max_l if isinstance(max_l, Mapping) else ():
        elements.element(symbol)


def pairs_of(symbols: Sequence[str]) -> list[tuple[str, str]]:
    """Return every pair of the distinct symbols in one order, each with itself included."""
    distinct = sorted(set(symbols))
    return list(itertools.combinations_with_replacement(distinct, 2))


def from_directory(
    directory: str | os.PathLike,
    symbols: Sequence[str],
    max_l: Mapping[str, int | str] | int | str | None = None,
    pairs: Sequence[tuple[str, str]] | None = None,
) -> Parametrization:
    """Return the parameters of a directory of Slater-Koster files.

    Args:
      directory: where the files are.
      symbols: the elements.
      max_l: see `highest`; without it the files tell (`skf_directory.highest_shell`).
      pairs: of symbols that are needed; all of them unless given.

    Raises:
      InputError: files are missing, damaged or of the extended format with f shells, or do not have
        what `max_l` says.
    """
    directory = os.fspath(directory)
    check_max_l(max_l)
    there = skf_directory.symbols_in(directory)
    for symbol in sorted(set(symbols)):
        choose(f"element of the Slater-Koster files in {directory}", symbol, there)
    pairs = pairs_of(symbols) if pairs is None else pairs
    needed = {*pairs, *((s, s) for s in symbols)}
    files = {
        pair: skf.read(directory, *pair) for pair in sorted(needed | {(b, a) for a, b in needed})
    }
    for pair, file in files.items():
        if file.extended:
            raise InputError(
                f"{os.path.join(directory, skf.file_name(*pair))}: is of the extended format, with "
                "f shells, which are not supported here; expected the simple format"
            )
    shells = {}
    for symbol in sorted(set(symbols)):
        file = files[symbol, symbol]
        assert file.atom is not None
        path = os.path.join(directory, skf.file_name(symbol, symbol))
        asked = max_l.get(symbol) if isinstance(max_l, Mapping) else max_l
        available = (
            max((x for x in _LETTERS if x * 2 in file.shells), key=_LETTERS.index, default="s")
            if asked is not None
            else skf_directory.highest_shell(file.atom, file.shells, symbol, path)
        )
        top = highest(symbol, _LETTERS.index(available), max_l)
        atom = file.atom
        shells[symbol] = _shells(top, atom.energies, atom.hubbards, atom.occupations)
    return Parametrization(
        directory,
        shells,
        {pair: row for row, pair in enumerate(pairs)},
        tables := interpolation.stack(
            [(files[a, b].table, files[b, a].table) for a, b in pairs],
            [(files[a, b].spacing, files[b, a].spacing) for a, b in pairs],
        ),
        splines([files[pair].repulsion for pair in pairs]),
        np.asarray(tables.shortest),
    )


def _shells(
    top: int,
    energies: Mapping[str, float],
    hubbards: Mapping[str, float],
    electrons: Mapping[str, float],
) -> Shells:
    def of(values: Mapping[str, float]) -> tuple[float, float, float]:
        s, p, d = (float(values.get(x, 0.0)) if k <= top else 0.0 for k, x in enumerate(_LETTERS))
        return s, p, d

    return Shells(top, of(energies), of(hubbards), of(electrons))


def splines(repulsions: Sequence[skf.Spline | skf.Polynomial]) -> Splines:
    """Return the repulsions of many files as one object."""
    most = max(len(r.coefficients) if isinstance(r, skf.Spline) else 1 for r in repulsions)
    n = len(repulsions)
    exponential, cutoffs = np.zeros((n, 3)), np.zeros(n)
    starts, coefficients = np.full((n, most), np.inf), np.zeros((n, most, 10))
    for row, one in enumerate(repulsions):
        if isinstance(one, skf.Spline):
            count = len(one.coefficients)
            exponential[row], cutoffs[row] = one.exponential, one.starts[-1]
            starts[row, :count] = one.starts[:-1]
            coefficients[row, :count, :6] = one.coefficients
        else:
            # Σ_i c_i (cutoff − R)^i, i = 2 … 9, about R = 0.
            cutoffs[row], starts[row, 0] = one.cutoff, 0.0
            total = np.polynomial.Polynomial([0.0])
            for power, c in enumerate(one.coefficients, start=2):
                total += c * np.polynomial.Polynomial([one.cutoff, -1.0]) ** power
            coefficients[row, 0, : len(total.coef)] = total.coef
    return Splines(exponential, starts, coefficients, cutoffs)
