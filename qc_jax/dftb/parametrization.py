"""A set of parameters for some elements, ready for the Hamiltonian: PTBP's or a directory's."""

import dataclasses
import itertools
import os
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float

from qc_jax.chem import elements
from qc_jax.dftb import interpolation, parameters, repulsion, skf, skf_directory
from qc_jax.dftb.hamiltonian import Repulsion, Tables
from qc_jax.dftb.pseudo import FORMS
from qc_jax.errors import InputError, choose

_LETTERS = "spd"
MaxL = Mapping[str, int | str] | int | str | None


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
        """Return the row of a pair of symbols, and whether it names the second one first.

        Raises:
          InputError: the parameters were not loaded for this pair.
        """
        if (first, second) in self.rows:
            return self.rows[first, second], False
        if (second, first) not in self.rows:
            raise InputError(f"no parameters for {first} with {second} in {self.name}")
        return self.rows[second, first], True


def highest(symbol: str, available: int, max_l: MaxL) -> int:
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
            f"max_l of {symbol}: expected at most {_LETTERS[available]!r}, the highest shell that "
            f"it has parameters for, got {_LETTERS[asked]!r}"
        )
    return int(asked)


def check_max_l(max_l: MaxL) -> None:
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
    max_l: MaxL = None,
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
        what `max_l` says, or electrons above it.
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
            else skf_directory.highest_shell(
                file.atom, file.shells, symbol, path, "max_l={{{!r}: {!r}}}"
            )
        )
        top = highest(symbol, _LETTERS.index(available), max_l)
        atom = file.atom
        shells[symbol] = _shells(symbol, top, atom.energies, atom.hubbards, atom.occupations)
    return Parametrization(
        directory,
        shells,
        {pair: row for row, pair in enumerate(pairs)},
        tables := interpolation.stack(
            [(files[a, b].table, files[b, a].table) for a, b in pairs],
            [(files[a, b].spacing, files[b, a].spacing) for a, b in pairs],
        ),
        repulsion.of_files([files[pair].repulsion for pair in pairs]),
        np.asarray(tables.shortest),
    )


def _shells(
    symbol: str,
    top: int,
    energies: Mapping[str, float],
    hubbards: Mapping[str, float],
    electrons: Mapping[str, float],
) -> Shells:
    for letter in reversed(skf.LETTERS[top + 1 :]):
        if electrons.get(letter, 0.0) > 0:  # it would lose them without a word
            raise InputError(
                f"max_l of {symbol}: expected at least {letter!r}, where its free atom has "
                f"{electrons[letter]:g} electrons, got {_LETTERS[top]!r}"
            )

    def of(values: Mapping[str, float]) -> tuple[float, float, float]:
        s, p, d = (float(values.get(x, 0.0)) if k <= top else 0.0 for k, x in enumerate(_LETTERS))
        return s, p, d

    return Shells(top, of(energies), of(hubbards), of(electrons))


# In the published files atoms' numbers have six decimals.
_DECIMALS = 6
_SPACING = 0.02  # bohr, between their rows
SHORTEST = 0.40  # bohr, where the tables of PTBP begin


def from_ptbp(
    symbols: Sequence[str],
    form: str = "published",
    max_l: MaxL = None,
    pairs: Sequence[tuple[str, str]] | None = None,
    smooth: bool = False,
) -> Parametrization:
    """Return the PTBP parameters, with tables of our own.

    Args:
      symbols: the elements.
      form: 'published', as the dataset was computed, with on-site energies and Hubbards of six
        decimals and a spline as repulsion, or 'exact'.
      max_l: see `highest`.
      pairs: of symbols that are needed; all of them unless given.
      smooth: in the published form, whether curves are smooth and quickly made, and within about 1
        meV; otherwise they have every row of the published files, which are jagged.

    Raises:
      InputError: an element has no parameters, not the shells that `max_l` says, or electrons above
        them; no such form.
    """
    from qc_jax.dftb import tables

    choose("form", form, FORMS)
    check_max_l(max_l)
    shells = ptbp_shells(symbols, form, max_l)
    pairs = list(pairs_of(symbols) if pairs is None else pairs)
    closed = repulsion.closed_form(pairs)
    if form == "published" and not smooth:
        rows = [tables.slater_koster_tables(*pair, form=form) for pair in pairs]
        integrals: Tables = interpolation.stack(rows, [(_SPACING, _SPACING)] * len(pairs))
    else:
        integrals = tables.pair_tables(pairs, form=form)
    return Parametrization(
        f"ptbp, {form} form",
        shells,
        {pair: row for row, pair in enumerate(pairs)},
        integrals,
        repulsion.published(closed) if form == "published" else closed,
        np.full(len(pairs), SHORTEST),
    )


def ptbp_shells(
    symbols: Sequence[str],
    form: str = "published",
    max_l: MaxL = None,
) -> dict[str, Shells]:
    """Return the free atoms of PTBP; arguments and errors as of `from_ptbp`."""
    shells = {}
    for symbol in sorted(set(symbols)):
        atom = parameters.parameters(symbol)
        letters = [shell[-1] for shell in atom.valence]
        top = highest(symbol, _LETTERS.index(letters[-1]), max_l)
        electrons = {shell[-1]: atom.configuration[shell] for shell in atom.valence}
        onsite, hubbard = atom.onsite, atom.hubbard
        if form == "published":
            onsite, hubbard = (
                {x: round(v, _DECIMALS) for x, v in one.items()} for one in (onsite, hubbard)
            )
        shells[symbol] = _shells(symbol, top, onsite, hubbard, electrons)
    return shells
