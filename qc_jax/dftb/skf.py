"""Slater-Koster files: read, checked and written.

`A-B.skf` holds integrals between the orbitals of A and those of B, the angular momentum on A being
the lower one, at R = spacing, 2 spacing, … `A-A.skf` also has the facts of the free atom. Format:
B. Aradi et al., "Format of the v1.0 Slater-Koster files", dftb.org. Read as DFTB+ does, by
Fortran's list-directed input: blanks or commas between numbers, 5*0.0 for five zeros.
"""

import dataclasses
import os
import re
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float

from qc_jax.chem import elements
from qc_jax.data import files
from qc_jax.errors import InputError

LETTERS = "spdf"  # angular momenta 0 to 3
# (l, l') of the columns, once for the Hamiltonian and once more for the overlap; σ, π … each.
COLUMNS_F = (
    *("ff", "ff", "ff", "ff", "df", "df", "df", "dd", "dd", "dd"),
    *("pf", "pf", "pd", "pd", "pp", "pp", "sf", "sd", "sp", "ss"),
)
COLUMNS = tuple(column for column in COLUMNS_F if "f" not in column)


@dataclasses.dataclass(frozen=True)
class Atom:
    """What `A-A.skf` says of the free atom, by letter of the shell: 's', 'p', 'd' and perhaps 'f'.

    Attributes:
      energies: of the orbitals, hartree.
      hubbards: hartree.
      occupations: electrons.
      mass: amu.
    """

    energies: Mapping[str, float]
    hubbards: Mapping[str, float]
    occupations: Mapping[str, float]
    mass: float = 0.0


@dataclasses.dataclass(frozen=True, eq=False)
class Polynomial:
    """The repulsion Σ_i c_i (cutoff − R)^i, i = 2 … 9, below the cutoff; hartree, bohr."""

    coefficients: Float[np.ndarray, "8"]
    cutoff: float


@dataclasses.dataclass(frozen=True, eq=False)
class Spline:
    """The repulsion as a spline; hartree, bohr.

    exp(−a₁ R + a₂) + a₃ below the first interval, Σ_k c_k (R − start)^k in each, 0 beyond the last.

    Attributes:
      exponential: a₁, a₂, a₃.
      starts: where the intervals begin, and where the last one ends.
      coefficients: c₀ … c₅; c₄ and c₅ are 0 but in the last interval.
    """

    exponential: Float[np.ndarray, "3"]
    starts: Float[np.ndarray, " intervals+1"]
    coefficients: Float[np.ndarray, "intervals 6"]


@dataclasses.dataclass(frozen=True, eq=False)
class SlaterKosterFile:
    """One file.

    Attributes:
      spacing: of the distances, bohr.
      table: H, then S, in the columns of `COLUMNS` (`COLUMNS_F` where extended); row i is at
        R = (i + 1) spacing. Hartree.
      atom: of a homonuclear file.
      repulsion: the spline where the file has one.
      extended: whether it is of the extended format, with f shells.
    """

    spacing: float
    table: Float[np.ndarray, "points columns"]
    atom: Atom | None
    repulsion: Polynomial | Spline
    extended: bool = False

    @property
    def shells(self) -> frozenset[str]:
        """Return the pairs of shells, like 'sp', between which any integral is not zero."""
        columns = 2 * (COLUMNS_F if self.extended else COLUMNS)
        # Distances that nobody computed are filled with ones in some sets.
        present = (self.table[~(self.table == 1).all(axis=1)] != 0).any(axis=0)
        return frozenset(c for c, is_in in zip(columns, present, strict=True) if is_in)


def file_name(first: str, second: str) -> str:
    """Return 'H-O.skf'."""
    return f"{first}-{second}.skf"


def read(directory: str | os.PathLike, first: str, second: str) -> SlaterKosterFile:
    """Return what `first`-`second`.skf in `directory` says.

    Raises:
      InputError: it cannot be read, is damaged or another element's; the message has the line.
    """
    path = os.path.join(directory, file_name(first, second))
    return parse(files.read_bytes(path).decode("utf-8", "replace"), path, first, second)


def parse(text: str, path: str, first: str, second: str) -> SlaterKosterFile:
    """Return what a file's text says.

    Args:
      text: its content.
      path: for messages.
      first: symbol of the element that the file names first.
      second: symbol of the other.

    Raises:
      InputError: it is damaged or another element's; the message has the line.
    """
    lines = text.splitlines()
    extended = text.startswith("@")
    at = int(extended)  # the line that is read next
    spacing, points = _numbers(lines, at, 2, path)
    if not (spacing > 0 and points >= 2 and points == int(points)):
        raise InputError(
            f"{path}: line {at + 1}: expected the grid's spacing and number of points, got "
            f"{lines[at]!r}"
        )
    at += 1
    atom = None
    if first == second:
        atom = _atom(lines, at, extended, path, first)
        at += 1
    elif len(_expanded(lines[at]).split() if at < len(lines) else ()) in (10, 13):
        raise InputError(
            f"{path}: line {at + 1}: holds an atom's energies, as in the file of one element with "
            f"itself; expected the file of {first} with {second}"
        )
    # DFTB+ reads mass, polynomial and cutoff; the ten numbers behind them mean nothing.
    polynomial = _numbers(lines, at, 10, path)
    at += 1
    columns = COLUMNS_F if extended else COLUMNS
    rows = int(points) - 1  # DFTB+ reads one less than there are points
    table = _table(lines[at : at + rows], rows, 2 * len(columns), at, path)
    repulsion = _spline(lines, at + rows, path) or Polynomial(
        np.array(polynomial[1:9]), polynomial[9]
    )
    return SlaterKosterFile(spacing, table, atom, repulsion, extended)


def _atom(lines: Sequence[str], at: int, extended: bool, path: str, symbol: str) -> Atom:
    """Return the free atom of line `at`, with the mass in the next."""
    n = 4 if extended else 3
    values = _numbers(lines, at, 3 * n + 1, path)
    if len(_expanded(lines[at]).split()) > 3 * n + 1:
        raise InputError(
            f"{path}: line {at + 1}: expected {3 * n + 1} numbers, the energies, Hubbards and "
            f"occupations of {symbol}, got {lines[at][:80]!r}"
        )
    mass = _numbers(lines, at + 1, 1, path)[0]
    expected = elements.element(symbol).mass_amu
    if mass > 0 and abs(mass - expected) > max(0.5, 0.01 * expected):
        raise InputError(
            f"{path}: line {at + 2}: the mass {mass:g} is another element's; expected "
            f"{expected:g}, that of {symbol}"
        )
    letters = LETTERS[n - 1 :: -1]
    energies, hubbards, occupations = (
        dict(zip(letters, values[k : k + n], strict=True)) for k in (0, n + 1, 2 * n + 1)
    )
    return Atom(energies, hubbards, occupations, mass)


def _table(
    body: Sequence[str], rows: int, columns: int, at: int, path: str
) -> Float[np.ndarray, "rows columns"]:
    expected = f"expected {rows} lines of {columns} numbers behind line {at}"
    if len(body) < rows:
        raise InputError(f"{path}: the file ends within the integrals; {expected}")
    try:
        table = np.loadtxt(map(_expanded, body), usecols=range(columns), ndmin=2, comments=None)
    except ValueError as error:
        raise InputError(f"{path}: the integrals cannot be read: {error}; {expected}") from error
    if len(table) != rows or not np.isfinite(table).all():
        raise InputError(f"{path}: an empty line or no number among the integrals; {expected}")
    return table


def _spline(lines: Sequence[str], start: int, path: str) -> Spline | None:
    """Return the spline behind line `start`, None where there is none."""
    at = next((i for i in range(start, len(lines)) if lines[i].strip() == "Spline"), None)
    if at is None:
        return None
    intervals, cutoff = _numbers(lines, at + 1, 2, path)
    if not (intervals >= 1 and intervals == int(intervals)):
        raise InputError(
            f"{path}: line {at + 2}: expected the number of intervals and the cutoff, got "
            f"{lines[at + 1]!r}"
        )
    n = int(intervals)
    exponential = np.array(_numbers(lines, at + 2, 3, path))
    values = np.zeros((n, 8))
    for i in range(n):
        count = 8 if i == n - 1 else 6  # the last one is of fifth order
        values[i, :count] = _numbers(lines, at + 3 + i, count, path)
    starts = np.append(values[:, 0], cutoff)  # DFTB+ goes by the cutoff, not by the last end
    if not np.all(np.diff(starts) > 0):
        raise InputError(
            f"{path}: line {at + 4}: expected intervals of the repulsion that rise to its cutoff "
            f"{cutoff:g}, got ones that begin at {', '.join(f'{x:g}' for x in starts[:-1][:5])} …"
        )
    return Spline(exponential, starts, values[:, 2:])


def _expanded(line: str) -> str:
    """Return a line of Fortran's numbers in Python's spelling."""
    line = line.replace(",", " ")
    if "*" in line:
        line = re.sub(r"(\d+)\*(\S+)", lambda match: f"{match[2]} " * int(match[1]), line)
    return re.sub("[dD]", "e", line) if "d" in line or "D" in line else line


def _numbers(lines: Sequence[str], at: int, count: int, path: str) -> list[float]:
    """Return the first `count` numbers of line `at`, all finite."""
    line = lines[at] if at < len(lines) else ""
    try:
        values = [float(word) for word in _expanded(line).split()[:count]]
    except ValueError:
        values = []
    if len(values) < count or not np.isfinite(values).all():
        raise InputError(f"{path}: line {at + 1}: expected {count} numbers, got {line[:80]!r}")
    return values


def to_text(file: SlaterKosterFile) -> str:
    """Return the text of a file in the simple format; `parse` gives the same numbers.

    Raises:
      InputError: it has f shells.
    """
    if file.extended:
        raise InputError("Slater-Koster files are written in the simple format, without f shells")
    lines = [f"{file.spacing!r} {len(file.table) + 1}"]
    mass = 0.0
    if file.atom is not None:
        mass = file.atom.mass
        by_shell = [file.atom.energies, {"": 0.0}, file.atom.hubbards, file.atom.occupations]
        lines.append(
            " ".join(repr(float(m[x])) for m in by_shell for x in ("dps" if "" not in m else ("",)))
        )
    repulsion = file.repulsion
    polynomial = [0.0] * 9
    if isinstance(repulsion, Polynomial):
        polynomial = [*map(float, repulsion.coefficients), repulsion.cutoff]
    lines.append(" ".join(map(repr, [mass, *polynomial])) + " 10*0.0")
    lines += [" ".join(f"{value:.16e}" for value in row) for row in file.table]
    if isinstance(repulsion, Spline):
        n = len(repulsion.coefficients)
        lines += ["Spline", f"{n} {float(repulsion.starts[-1])!r}"]
        lines.append(" ".join(f"{value:.16e}" for value in repulsion.exponential))
        for i, row in enumerate(repulsion.coefficients):
            ends = f"{float(repulsion.starts[i])!r} {float(repulsion.starts[i + 1])!r}"
            count = 6 if i == n - 1 else 4
            lines.append(f"{ends} " + " ".join(f"{value:.16e}" for value in row[:count]))
    return "\n".join(lines) + "\n"
