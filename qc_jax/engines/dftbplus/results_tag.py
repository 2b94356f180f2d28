"""results.tag: numbers with 15 digits, which the texts (detailed.out, band.out) print with fewer.

A name, its type and rank, its shape, then the numbers, the first index running fastest.
"""

import dataclasses
import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from qc_jax.chem import units
from qc_jax.engines.dftbplus.band import Bands
from qc_jax.engines.dftbplus.detailed import Detailed
from qc_jax.engines.dftbplus.fortran import number
from qc_jax.engines.dftbplus.populations import OrbitalRow, by_orbital
from qc_jax.engines.engine import EngineError, FailureKind

_HEADING = re.compile(r"(\w+) *:(\w+):(\d+):([\d,]*)")
_MOST_NUMBERS = 100_000  # a pair has some hundreds

# Half of the last digit that the texts print, doubled for rounding: eight decimals of electrons
# and dipoles, ten of hartree, four of eV, five of occupations.
_ELECTRONS, _HARTREE, _EV, _FILLING, _DIPOLE = 2e-8, 2e-10, 1e-4, 1e-5, 2e-8
_CONSTANT = 1e-6  # relative: the hartree and the Debye of another year


@dataclasses.dataclass(frozen=True)
class ResultsTag:
    """What results.tag says of a pair, in the order of the input; None where it does not.

    Attributes:
      levels_ev: by spin channel.
      occupations: electrons, of the levels.
      orbital_charges: populations [channels][2][orbitals of the larger atom], 0 behind the smaller.
      charges: e.
      fermi_levels_ev: by spin channel.
      mermin_ev: the Mermin free energy.
      dipole: Debye.
    """

    levels_ev: Float[np.ndarray, "channels levels"] | None
    occupations: Float[np.ndarray, "channels levels"] | None
    orbital_charges: Float[np.ndarray, "channels 2 orbitals"] | None
    charges: Float[np.ndarray, "2"] | None
    fermi_levels_ev: Float[np.ndarray, " channels"] | None
    mermin_ev: float | None
    dipole: Float[np.ndarray, "3"] | None


def parse(text: str, channels: int) -> ResultsTag:
    """Return what the text of a results.tag says.

    Args:
      text: of the file.
      channels: 1, or 2 with spin.

    Raises:
      EngineError: it is cut short, unreadable, or not of two atoms.
    """
    arrays = _arrays(text)

    def get(name: str, shape: tuple[int, ...]) -> np.ndarray | None:
        found = arrays.get(name)
        if found is None:
            return None
        fits = len(found.shape) == len(shape) and all(
            want in (0, got) for want, got in zip(shape, found.shape, strict=True)
        )
        if not fits:
            raise FailureKind.FILES.error(
                f"{name} in results.tag has shape {found.shape}, expected "
                f"{tuple(n or 'any' for n in shape)}".replace("'", "")
            )
        return found

    levels = get("eigenvalues", (channels, 1, 0))
    filling = get("filling", (channels, 1, 0))
    fermi = get("fermi_level", (channels,))
    mermin = get("mermin_energy", ())
    dipole = get("dipole_moments", (1, 3))
    if levels is not None and filling is not None and levels.shape != filling.shape:
        raise FailureKind.FILES.error("eigenvalues and filling of results.tag do not fit")
    return ResultsTag(
        levels_ev=None if levels is None else levels[:, 0] * units.HARTREE_EV,
        occupations=None if filling is None else filling[:, 0],
        orbital_charges=get("orbital_charges", (channels, 2, 0)),
        charges=get("gross_atomic_charges", (2,)),
        fermi_levels_ev=None if fermi is None else fermi * units.HARTREE_EV,
        mermin_ev=None if mermin is None else float(mermin) * units.HARTREE_EV,
        dipole=None if dipole is None else dipole[0] * units.EBOHR_DEBYE,
    )


def _arrays(text: str) -> dict[str, np.ndarray]:
    """Return the arrays of real numbers by name, the last index first."""
    arrays: dict[str, np.ndarray] = {}
    lines = iter(enumerate(text.splitlines(), start=1))
    for at, line in lines:
        if not line.strip():
            continue
        heading = _HEADING.fullmatch(line.strip())
        if heading is None:
            raise FailureKind.FILES.error(f"unexpected {line[:60]!r} in line {at} of results.tag")
        name, kind, rank, sizes = heading.groups()
        shape = [int(size) for size in sizes.split(",") if size]
        count = math.prod(shape)
        if len(shape) != int(rank) or count > _MOST_NUMBERS or name in arrays:
            raise FailureKind.FILES.error(f"unexpected {line.strip()!r} in results.tag")
        words: list[str] = []
        while len(words) < count:
            at, line = next(lines, (at + 1, ""))
            if not line.strip() or _HEADING.fullmatch(line.strip()):
                raise FailureKind.FILES.error(
                    f"{name} in results.tag is cut short: {len(words)} of {count}"
                )
            words += line.split()
        if len(words) > count:
            raise FailureKind.FILES.error(f"{name} in results.tag: more than {count} numbers")
        if kind == "real":
            values = [number(word, f"{name} in results.tag") for word in words]
            arrays[name] = np.array(values).reshape(shape[::-1])
    return arrays


def refine(tag: ResultsTag, out: Detailed, bands: Bands | None) -> tuple[Detailed, Bands | None]:
    """Return what the texts say, with the digits of results.tag.

    Raises:
      EngineError: they contradict it.
    """
    changes: dict[str, Any] = {}
    if tag.orbital_charges is not None:
        rows = _orbitals(tag.orbital_charges, out.orbital_rows)
        changes["orbital_rows"] = rows
        changes["populations"] = by_orbital(rows)
    pairs = (
        ("charges", "charges", _ELECTRONS, FailureKind.CHARGES),
        ("fermi_levels_ev", "Fermi level", _HARTREE * units.HARTREE_EV, FailureKind.ENERGY),
        ("mermin_ev", "Mermin free energy", _HARTREE * units.HARTREE_EV, FailureKind.ENERGY),
        ("dipole", "dipole moment", _DIPOLE * units.EBOHR_DEBYE, FailureKind.DIPOLE),
    )
    for field, label, tolerance, kind in pairs:
        precise = getattr(tag, field)
        if precise is not None:
            allowed = tolerance + _CONSTANT * np.abs(precise)
            _agree(kind, label, precise, getattr(out, field), allowed, "detailed.out")
            changes[field] = precise if isinstance(precise, float) else precise.tolist()
    if bands is not None and tag.levels_ev is not None and tag.occupations is not None:
        scale = _EV + _CONSTANT * np.abs(tag.levels_ev)
        _agree(FailureKind.BANDS, "levels", tag.levels_ev, bands.energies, scale, "band.out")
        _agree(
            FailureKind.BANDS, "filling", tag.occupations, bands.occupations, _FILLING, "band.out"
        )
    if tag.levels_ev is not None and tag.occupations is not None:
        bands = Bands(tag.levels_ev, tag.occupations)
    return dataclasses.replace(out, **changes), bands


def _orbitals(
    precise: Float[np.ndarray, "channels 2 orbitals"], rows: Sequence[Sequence[OrbitalRow]]
) -> list[list[OrbitalRow]]:
    """Return the rows with the digits of results.tag."""
    refined = []
    for values, channel in zip(precise, rows, strict=True):
        places = [0, 0]
        new = []
        for row in channel:
            place = places[row.atom]
            places[row.atom] += 1
            if place >= values.shape[1]:
                raise FailureKind.POPULATIONS.error(
                    f"{values.shape[1]} orbitals of atom {row.atom + 1} in results.tag, more in "
                    "detailed.out"
                )
            value = float(values[row.atom, place])
            _agree(
                FailureKind.POPULATIONS,
                f"the population of {row.label} of atom {row.atom + 1}",
                value,
                row.population,
                _ELECTRONS,
                "detailed.out",
            )
            new.append(row._replace(population=value))
        for atom, place in enumerate(places):
            if values[atom, place:].any():
                raise FailureKind.POPULATIONS.error(
                    f"more orbitals of atom {atom + 1} in results.tag than in detailed.out"
                )
        refined.append(new)
    return refined


def _agree(
    kind: FailureKind, what: str, precise: object, text: object, tolerance: object, file: str
) -> None:
    a, b = np.asarray(precise, np.float64), np.asarray(text, np.float64)
    if a.shape != b.shape:
        raise EngineError(kind, f"{what}: shape {a.shape} in results.tag, {b.shape} in {file}")
    off = np.abs(a - b) - np.asarray(tolerance)
    if (off > 0).any():
        at = np.unravel_index(int(np.argmax(off)), a.shape)
        raise EngineError(
            kind, f"{what}: {a[at]:.10g} in results.tag, {b[at]:.10g} in {file}: not of one run"
        )
