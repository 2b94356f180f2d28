"""geo_end.xyz: the geometry of the last step, and the electrons of each atom."""

import dataclasses
import re

from qc_jax.chem import elements
from qc_jax.engines.dftbplus.fortran import number
from qc_jax.engines.engine import EngineError, FailureKind
from qc_jax.errors import InputError


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
    """Reads the text of a geo_end.xyz.

    Raises:
      EngineError: it is cut short, unreadable, or of something else than two atoms.
    """
    lines = text.splitlines()
    if not lines or not lines[0].strip().isdecimal():
        begin = lines[0] if lines else ""
        raise EngineError(
            FailureKind.GEOMETRY, f"geo_end.xyz begins with {begin!r}, expected its atoms' count"
        )
    if int(lines[0]) != 2:
        raise EngineError(FailureKind.GEOMETRY, f"{int(lines[0])} atoms in geo_end.xyz, expected 2")
    step = re.fullmatch(r"\s*Geometry Step: *(\d+)\s*", lines[1] if len(lines) > 1 else "")
    if step is None:
        raise EngineError(FailureKind.GEOMETRY, "no 'Geometry Step' in line 2 of geo_end.xyz")
    rows = [line.split() for line in lines[2:] if line.strip()]
    if len(rows) != 2:
        raise EngineError(
            FailureKind.GEOMETRY, f"{len(rows)} rows of atoms in geo_end.xyz, expected 2"
        )
    for row in rows:
        if len(row) != 5:
            raise EngineError(
                FailureKind.GEOMETRY,
                f"{' '.join(row)!r} in geo_end.xyz, expected symbol, x, y, z, population",
            )
        try:
            elements.element(row[0])
        except InputError as error:
            raise EngineError(FailureKind.GEOMETRY, f"{error}, in geo_end.xyz") from error
    values = [[number(word, f"{row[0]} in geo_end.xyz") for word in row[1:]] for row in rows]
    return Geometry(
        step=int(step[1]),
        symbols=[row[0] for row in rows],
        positions=[row[:3] for row in values],
        populations=[row[3] for row in values],
    )
