"""The populations in detailed.out: by orbital, by shell and by atom, which must fit together."""

import re
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from qc_jax.data.table import ORBITAL_L, ORBITAL_M
from qc_jax.engines.dftbplus.fortran import number
from qc_jax.engines.engine import FailureKind

_COLUMN = {lm: i for i, lm in enumerate(zip(ORBITAL_L.tolist(), ORBITAL_M.tolist(), strict=True))}
_ORBITAL = re.compile(r"([12]) (\d+) ([0-3]) (-?[0-3]) (\S+) (.+)")  # atom, shell, l, m, value
_SHELL = re.compile(r"([12]) (\d+) ([0-3]) (\S+)")  # atom, shell, l, value
_LABELS = {
    **{"s": (0, 0), "p_y": (1, -1), "p_z": (1, 0), "p_x": (1, 1)},
    **{"d_xy": (2, -2), "d_yz": (2, -1), "d_z2": (2, 0), "d_xz": (2, 1), "d_x2-y2": (2, 2)},
}
_ROUNDING = 5e-9  # electrons, half of the eighth decimal


class OrbitalRow(NamedTuple):
    """One orbital: its atom (0 or 1), shell, l and m, electrons and name."""

    atom: int
    shell: int
    l: int  # noqa: E741 (the quantum number)
    m: int
    population: float
    label: str


def orbital_rows(rows: Sequence[Sequence[str]], heading: str) -> list[OrbitalRow]:
    """Return the rows of a block 'Orbital populations'.

    Raises:
      EngineError: one is unreadable, stands there twice, or has another orbital's name.
    """
    found: dict[tuple[int, int, int, int], OrbitalRow] = {}
    for words in rows:
        match = _ORBITAL.fullmatch(" ".join(words))
        if match is None or (int(match[3]), int(match[4])) not in _COLUMN:
            raise FailureKind.POPULATIONS.error(
                f"row {' '.join(words)!r} of '{heading}' in detailed.out; expected atom 1 or 2, "
                "shell, l up to 3, m, population and label"
            )
        atom, shell, l, m = (int(word) for word in match.groups()[:4])  # noqa: E741
        label = match[6]
        key = (atom, shell, l, m)
        if key in found or _LABELS.get(label, (l, m)) != (l, m):
            raise FailureKind.POPULATIONS.error(
                f"row {' '.join(words)!r} of '{heading}' in detailed.out: "
                + ("stands there twice" if key in found else f"{label} has another l or m")
            )
        value = number(match[5], f"the population of {label} of atom {atom} in detailed.out")
        found[key] = OrbitalRow(atom - 1, shell, l, m, value, label)
    return list(found.values())


def by_orbital(channels: Sequence[Sequence[OrbitalRow]]) -> list[list[float]]:
    """Return [2][16] electrons by (l, m), of all shells and both spins."""
    populations = [[0.0] * len(_COLUMN) for _ in range(2)]
    for rows in channels:
        for row in rows:
            populations[row.atom][_COLUMN[row.l, row.m]] += row.population
    return populations


def check_shells(rows: Sequence[OrbitalRow], shells: Sequence[Sequence[str]], heading: str) -> None:
    """Hold the rows of a block 'l-shell populations' against those of the orbitals.

    Raises:
      EngineError: they contradict each other.
    """
    sums: dict[tuple[int, int, int], float] = defaultdict(float)
    for row in rows:
        sums[row.atom, row.shell, row.l] += row.population
    for words in shells:
        match = _SHELL.fullmatch(" ".join(words))
        key = (int(match[1]) - 1, int(match[2]), int(match[3])) if match else None
        if match is None or key not in sums:
            raise FailureKind.POPULATIONS.error(
                f"row {' '.join(words)!r} of '{heading}' in detailed.out is none of its orbitals'"
            )
        atom, shell, l = key  # noqa: E741
        total = sums.pop(key)
        value = number(match[4], f"the population of shell {shell} of atom {atom + 1}")
        if not abs(value - total) <= _ROUNDING * (2 * l + 2):
            raise FailureKind.POPULATIONS.error(
                f"shell {shell} (l = {l}) of atom {atom + 1} has {value:.8f} electrons in "
                f"'{heading}' of detailed.out, its orbitals sum to {total:.8f}"
            )
    if sums:
        atom, shell, l = next(iter(sums))  # noqa: E741
        raise FailureKind.POPULATIONS.error(
            f"'{heading}' in detailed.out lacks shell {shell} (l = {l}) of atom {atom + 1}"
        )
