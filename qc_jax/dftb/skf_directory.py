"""A directory of Slater-Koster files: its elements, what they lack, and the shells they mean."""

import dataclasses
import hashlib
import os
import re
from collections.abc import Iterable, Mapping, Sequence

from qc_jax.chem import elements
from qc_jax.data import files
from qc_jax.dftb import skf
from qc_jax.dftb.skf import LETTERS, Atom
from qc_jax.errors import InputError, choose

_FILE = re.compile(r"([A-Z][a-z]?)-([A-Z][a-z]?)\.skf")


@dataclasses.dataclass(frozen=True)
class ParameterSet:
    """What the pairs of some elements need of a directory, checked.

    Attributes:
      directory: where the files are.
      angular_momenta: letter of the highest shell, by element.
      files: how many files the pairs need.
      sha256: of their names and contents together.
    """

    directory: str
    angular_momenta: Mapping[str, str]
    files: int
    sha256: str


def symbols_in(directory: str) -> tuple[str, ...]:
    """Return the elements whose homonuclear file is in `directory`, sorted.

    Raises:
      InputError: it is no directory, or has none.
    """
    try:
        names = os.listdir(directory)
    except OSError as error:
        raise InputError(
            f"{directory}: expected a directory of Slater-Koster files: {error.strerror}"
        ) from error
    pairs = [match.groups() for match in map(_FILE.fullmatch, names) if match]
    found = tuple(sorted({first for first, second in pairs if first == second}))
    if not found:
        raise InputError(
            f"{directory}: expected Slater-Koster files named like H-H.skf and H-O.skf, found none"
        )
    return found


def parse_momenta(words: Iterable[str], option: str) -> dict[str, str]:
    """Return the letters of highest shells by element, of words like 'O:p'.

    Raises:
      InputError: one is no such word, or names an element again; it names the option.
    """
    momenta: dict[str, str] = {}
    for word in words:
        symbol, colon, letter = word.strip().partition(":")
        if not colon or symbol in momenta:
            raise InputError(f"{option}: expected each element once, like S:d,O:p, got {word!r}")
        momenta[symbol] = letter
    return momenta


def open_set(
    directory: str,
    symbols: Sequence[str] | None = None,
    angular_momenta: Mapping[str, str] | None = None,
    remedy: str = "--angular_momenta={}:{}",
) -> ParameterSet:
    """Return the parameters for all pairs of `symbols`, each file read once and checked.

    Args:
      directory: where the files are.
      symbols: elements; all that have a homonuclear file unless given.
      angular_momenta: 's', 'p', 'd' or 'f' for the elements where `highest_shell` is not to decide.
      remedy: how messages give them, with places for an element and a letter.

    Raises:
      InputError: files are missing or damaged, a shell has no integrals, or nothing says which
        shells an element has.
    """
    there = symbols_in(directory)
    given = dict(angular_momenta or {})
    for symbol, letter in given.items():
        choose("element of the angular momenta", symbol, there)
        choose(f"angular momentum of {symbol}", letter, LETTERS)
    symbols = sorted(set(there if symbols is None else symbols))
    for symbol in symbols:
        elements.element(symbol)
    pairs = [(first, second) for first in symbols for second in symbols]
    names = [skf.file_name(*pair) for pair in pairs]
    missing = [name for name in names if not os.path.isfile(os.path.join(directory, name))]
    if missing:
        some = ", ".join(missing[:5]) + (" …" if len(missing) > 5 else "")
        raise InputError(
            f"{directory}: {len(missing)} of the {len(names)} files that the pairs of "
            f"{' '.join(symbols)} need are missing: {some}"
        )
    atoms, shells, sha256 = _read_all(directory, pairs)
    momenta = {}
    for symbol, atom in atoms.items():
        path = os.path.join(directory, skf.file_name(symbol, symbol))
        momenta[symbol] = given.get(symbol) or highest_shell(
            atom, shells[symbol, symbol], symbol, path, remedy
        )
    for (first, second), present in shells.items():
        lost = _needed(momenta[first], momenta[second]) - present
        if lost:
            raise InputError(
                f"{os.path.join(directory, skf.file_name(first, second))}: no integrals between "
                f"the shells {', '.join(sorted(lost))}, expected them for {first} up to "
                f"{momenta[first]} and {second} up to {momenta[second]}; "
                f"{remedy.format(second, momenta[second])} says how far"
            )
    return ParameterSet(directory, momenta, len(names), sha256)


def _read_all(
    directory: str, pairs: Iterable[tuple[str, str]]
) -> tuple[dict[str, Atom], dict[tuple[str, str], frozenset[str]], str]:
    """Return the free atoms, the pairs of shells in each file, and the SHA-256 of all files."""
    atoms, shells = {}, {}
    digest = hashlib.sha256()
    for first, second in pairs:
        name = skf.file_name(first, second)
        path = os.path.join(directory, name)
        content = files.read_bytes(path)
        digest.update(f"{name} {len(content)}\n".encode())
        digest.update(content)
        file = skf.parse(content.decode("utf-8", "replace"), path, first, second)
        shells[first, second] = file.shells
        if file.atom is not None:
            atoms[first] = file.atom
    return atoms, shells, digest.hexdigest()


def _needed(first: str, second: str) -> set[str]:
    """Return the pairs of shells in A-B.skf, with shells up to `first` on A, `second` on B."""
    lower = LETTERS[: LETTERS.index(first) + 1]
    upper = LETTERS[: LETTERS.index(second) + 1]
    return {a + b for i, a in enumerate(lower) for b in upper[i:]}


def highest_shell(atom: Atom, shells: frozenset[str], symbol: str, path: str, remedy: str) -> str:
    """Return the letter of the highest shell of an element, read off its homonuclear file.

    A file does not say which shells belong to the basis. Taken is the highest one that overlaps or
    interacts with itself on the neighbour, if the rest of the file agrees: the shells below it have
    integrals too, it has an energy or electrons, and no shell above it has electrons. Hubbard
    parameters decide nothing, since many sets write them for shells that they do not have; nor do
    energies of shells without integrals. Where the authors of a set mean fewer shells than its
    files hold, only `angular_momenta` can say so. `remedy` is as of `open_set`.

    Raises:
      InputError: the file contradicts itself.
    """
    letters = [letter for letter in LETTERS if letter * 2 in shells]
    above = [
        letter
        for letter, electrons in atom.occupations.items()
        if electrons and letter not in letters
    ]
    why = None
    if not letters:
        why = "it has no integrals"
    elif above:
        why = f"it has electrons in {above[0]}, but no integrals for it"
    elif "".join(letters) != LETTERS[: len(letters)]:
        why = f"it has integrals for {', '.join(letters)}, but not for every shell below"
    elif not atom.energies[letters[-1]] and not atom.occupations[letters[-1]]:
        why = f"it has integrals for {letters[-1]}, but neither an energy nor electrons"
    if why:
        raise InputError(
            f"{path}: does not tell which shells {symbol} has: {why}; say it, like "
            f"{remedy.format(symbol, letters[-1] if letters else 's')}"
        )
    return letters[-1]
