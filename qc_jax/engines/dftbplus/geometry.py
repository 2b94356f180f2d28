"""geo_end.xyz: the geometry of the last step, and the electrons of each atom."""

import dataclasses
import re
from collections.abc import Sequence

import numpy as np

from qc_jax.chem import elements
from qc_jax.dftb.parameters import covered_symbols, parameters
from qc_jax.engines.dftbplus.fortran import number
from qc_jax.engines.engine import FailureKind
from qc_jax.errors import InputError

# Electrons of closed shells: noble gases, and those with filled d and f shells.
_CLOSED_CORES = (0, 2, 10, 18, 28, 36, 46, 54, 68, 78, 86)
_GEN = re.compile(r"^\s*2\s+C\s*\n\s*(\S+(?: +\S+)?)\s*\n\s*1\s+([12])\s.*\n\s*2\s+([12])\s", re.M)


@dataclasses.dataclass(frozen=True)
class Geometry:
    """Two atoms in the order of the file.

    Attributes:
      step: of the geometry optimisation.
      symbols: of the two.
      positions: [2][3] Å.
      populations: [2] electrons: Mulliken populations, not charges.
    """

    step: int
    symbols: list[str]
    positions: list[list[float]]
    populations: list[float]


def parse(text: str) -> Geometry:
    """Read the text of a geo_end.xyz.

    Raises:
      EngineError: it is cut short, unreadable, or of something else than two atoms.
    """
    lines = text.splitlines()
    if not lines or not lines[0].strip().isdecimal():
        begin = lines[0] if lines else ""
        raise FailureKind.GEOMETRY.error(
            f"geo_end.xyz begins with {begin!r}, expected its atoms' count"
        )
    if int(lines[0]) != 2:
        raise FailureKind.GEOMETRY.error(f"{int(lines[0])} atoms in geo_end.xyz, expected 2")
    step = re.fullmatch(r"\s*Geometry Step: *(\d+)\s*", lines[1] if len(lines) > 1 else "")
    if step is None:
        raise FailureKind.GEOMETRY.error("no 'Geometry Step' in line 2 of geo_end.xyz")
    rows = [line.split() for line in lines[2:] if line.strip()]
    if len(rows) != 2:
        raise FailureKind.GEOMETRY.error(f"{len(rows)} rows of atoms in geo_end.xyz, expected 2")
    for row in rows:
        if len(row) != 5:
            raise FailureKind.GEOMETRY.error(
                f"{' '.join(row)!r} in geo_end.xyz, expected symbol, x, y, z, population"
            )
        try:
            elements.element(row[0])
        except InputError as error:
            raise FailureKind.GEOMETRY.error(f"{error}, in geo_end.xyz") from error
    values = [[number(word, f"{row[0]} in geo_end.xyz") for word in row[1:]] for row in rows]
    return Geometry(
        step=int(step[1]),
        symbols=[row[0] for row in rows],
        positions=[row[:3] for row in values],
        populations=[row[3] for row in values],
    )


def check_elements(symbols: Sequence[str], electrons: Sequence[float], given: str | None) -> None:
    """Hold the elements of geo_end.xyz against those of the input, and their valence electrons.

    detailed.out names no element, but an atom's charge and population add up to the electrons of
    its valence shells, around a core of closed shells.

    Args:
      symbols: of the two atoms.
      electrons: in their valence shells.
      given: the text of dftb_in.hsd, which may hold the atoms in the gen format; None without one.

    Raises:
      EngineError: they are not the elements of the calculation, or stand in the other order.
    """
    found = " and ".join(symbols)
    written = _GEN.search(given or "")
    if written is not None:
        kinds = written[1].split()
        asked = [kinds[min(int(kind), len(kinds)) - 1] for kind in written.groups()[1:]]
        if asked != list(symbols):
            raise FailureKind.GEOMETRY.error(
                f"{found} in geo_end.xyz, {' and '.join(asked)} in dftb_in.hsd"
            )
    for atom, (symbol, valence) in enumerate(zip(symbols, electrons, strict=True), start=1):
        core = elements.element(symbol).atomic_number - round(valence)
        of_shells = core in _CLOSED_CORES or 54 < core < 68  # 4f electrons may be in the core
        if not of_shells or abs(valence - round(valence)) > 1e-4:
            raise FailureKind.GEOMETRY.error(
                f"atom {atom} is {symbol} in geo_end.xyz, but its charge and population in "
                f"detailed.out make {valence:.6g} valence electrons"
            )
    if set(symbols) <= set(covered_symbols()):
        usual = [parameters(symbol).valence_electrons for symbol in symbols]
        if usual[0] != usual[1] and np.allclose(electrons, usual[::-1], atol=1e-4):
            raise FailureKind.GEOMETRY.error(
                f"{found} in geo_end.xyz, but the valence electrons in detailed.out are those of "
                f"{' and '.join(symbols[::-1])}"
            )
