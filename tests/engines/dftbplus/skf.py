"""Slater-Koster files in the true format, with grids of a few points and integrals made up.

They say which shells there are, which is all that this package reads of them; `dftb+` would read
them, and compute nonsense.
"""

import math
import pathlib
from collections.abc import Mapping

from qc_jax.chem.elements import element

LETTERS = "spdf"
# By whether the format is the extended one.
COLUMNS = {
    False: "dd dd dd pd pd pp pp sd sp ss",
    True: "ff ff ff ff df df df dd dd dd pf pf pd pd pp pp sf sd sp ss",
}
SPACING, POINTS = 0.5, 9


def text(a: str, b: str, first: str, second: str, extended: bool = False) -> str:
    """A-B.skf of the elements `a` and `b` with shells up to the letters `first` and `second`."""
    shells = LETTERS[:4] if extended else LETTERS[:3]
    lines = ["@ with f"] if extended else []
    lines.append(f"{SPACING},  {POINTS}, {len(shells)}")  # the last one is some sets' own
    if a == b:
        high_to_low = list(reversed(shells))
        energies = [-1.0 / (1 + shells.index(s)) if _up_to(s, first) else 0.0 for s in high_to_low]
        electrons = [1.0 if s == "s" else 0.0 for s in high_to_low]
        # As sets do: a Hubbard parameter for every shell, commas here and there.
        lines.append(
            f"{' '.join(f'{energy:.8f}' for energy in energies)}, -0.04, "
            f"{' '.join(['0.4'] * len(shells))}, {' '.join(f'{n:.1f}' for n in electrons)}"
        )
    lines.append(f"{element(a).mass_amu}, 19*0.0")
    columns = COLUMNS[extended].split()
    lines.append(f"{2 * len(columns)}*1.0")  # a distance that nobody computed
    for point in range(2, POINTS):
        lines.append(" " + " ".join(_repeated(row(first, second, point, columns))))
    lines += ["Spline", "1 2.0", "1.0 2.0 -0.1", "1.0 2.0 0.1 -0.1 0.1 -0.1 0.0 0.0"]
    return "\n".join(lines) + "\n"


def _up_to(letter: str, highest: str) -> bool:
    return LETTERS.index(letter) <= LETTERS.index(highest)


def row(first: str, second: str, point: int, columns: list[str]) -> list[str]:
    """The integrals at one distance: Hamiltonian, then overlap."""
    words = []
    for sign in (-1, 1):
        for i, (a, b) in enumerate(columns):
            there = _up_to(a, first) and _up_to(b, second)
            value = sign * math.exp(-SPACING * point) / (i + 1)
            words.append(f"{value:.12e}" if there else "0.0")
    return words


def _repeated(words: list[str]) -> list[str]:
    """0.0 0.0 0.0 → 3*0.0."""
    short: list[str] = []
    for word in words:
        count, _, last = short[-1].rpartition("*") if short else ("", "", "")
        if last == word:
            short[-1] = f"{int(count or 1) + 1}*{word}"
        else:
            short.append(word)
    return short


def write(directory: pathlib.Path, momenta: Mapping[str, str]) -> pathlib.Path:
    """The files for all pairs of some elements, by element the letter of its highest shell."""
    directory.mkdir(parents=True, exist_ok=True)
    for a, first in momenta.items():
        for b, second in momenta.items():
            extended = "f" in (first, second)
            (directory / f"{a}-{b}.skf").write_text(text(a, b, first, second, extended))
    return directory
