"""detailed.out: convergence, charges, populations, energies and dipole of the last step.

The file is written anew in every step. A run that stops halfway leaves whole energy lines in it and
no word of failure; what it lacks then are the lines 'SCC converged' and 'Geometry converged', the
last of the file.
"""

import dataclasses
import re
from collections.abc import Sequence

from qc_jax.chem import units
from qc_jax.engines.dftbplus.fortran import number
from qc_jax.engines.dftbplus.populations import (
    OrbitalRow,
    by_orbital,
    check_shells,
    orbital_rows,
)
from qc_jax.engines.engine import EngineError, FailureKind

# '(up)' in a heading is the total, unless there is '(down)' too.
_CHANNELS = (["up"], ["up", "down"])
_ENERGY = re.compile(r"(.+?):\s*(\S+)\s+H\s+(\S+)\s+eV")
_OF_CHANNEL = ("Fermi level", "Band energy", "TS")  # one for each spin channel
_OF_PAIR = (
    "Total Electronic energy",
    "Repulsive energy",
    "Total energy",
    "Total Mermin free energy",
)
_OPTIONAL = ("Dispersion energy", "Halogen correction energy")  # parts of the total where computed
# No tolerance that anyone sets is wider (electrons; DFTB+'s own is 1e-5).
_MAX_SCC_ERROR = 1e-2
# Sums of numbers with eight decimals, and of energies with ten.
_ELECTRON_ROUNDING = 1e-6
_HARTREE_ROUNDING = 1e-8


@dataclasses.dataclass(frozen=True)
class Detailed:
    """What detailed.out says of a converged pair, atoms in the order of the input.

    Attributes:
      step: of the geometry optimisation.
      scc_iteration, scc_total_hartree, scc_difference_hartree, scc_error: the last one of the
        self-consistent cycle.
      total_charge: e.
      charges: [2] e.
      populations: [2][16] electrons by (l, m), of all shells and both spins.
      atom_populations: [2] electrons.
      orbitals: in the basis.
      orbital_rows: the populations once more, by spin channel, as they are listed.
      electrons: by spin channel: one channel, or two.
      band_energies_ev: by spin channel.
      fermi_levels_ev: by spin channel.
      repulsive_ev, total_ev, mermin_ev: energies.
      dipole: [3] Debye.
    """

    step: int
    scc_iteration: int
    scc_total_hartree: float
    scc_difference_hartree: float
    scc_error: float
    total_charge: float
    charges: list[float]
    populations: list[list[float]]
    atom_populations: list[float]
    orbitals: int
    orbital_rows: list[list[OrbitalRow]]
    electrons: list[float]
    band_energies_ev: list[float]
    fermi_levels_ev: list[float]
    repulsive_ev: float
    total_ev: float
    mermin_ev: float
    dipole: list[float]


def parse(text: str) -> Detailed:
    """Read the text of a detailed.out.

    Raises:
      EngineError: something is missing, unreadable, not converged or contradicts itself.
    """
    file = _File(text)
    step = _converged_step(file)
    channels = re.findall(r"^Orbital populations \((.+)\)$", "\n".join(file.lines), re.MULTILINE)
    if not channels:
        raise FailureKind.POPULATIONS.error("no 'Orbital populations' in detailed.out")
    if channels not in _CHANNELS:
        raise FailureKind.POPULATIONS.error(
            f"of {', '.join(channels)} in detailed.out, expected up, or up and down"
        )
    electrons = [number(*file.one(f"Nr. of electrons ({channel})")) for channel in channels]
    rows = _orbital_rows(file, channels)
    populations = by_orbital(rows)
    atoms = _atom_populations(file, channels)
    _check_populations(populations, atoms, electrons)
    iteration, *scc = _scc_row(file)
    energies = _energies(file, channels)
    if not abs(scc[0] - energies["Total Electronic energy"][0]) <= 1e-7 * max(1, abs(scc[0])):
        raise FailureKind.ENERGY.error(
            f"{scc[0]:.8g} H after the last SCC iteration, but a total electronic energy "
            f"of {energies['Total Electronic energy'][0]:.8g} H in detailed.out"
        )
    total_charge = number(*file.one("Total charge"))
    charges = _by_atom(file.block("Atomic gross charges (e)"), "gross charge")
    if not abs(sum(charges) - total_charge) <= _ELECTRON_ROUNDING:
        raise FailureKind.CHARGES.error(
            f"they sum to {sum(charges):.8f}, the total charge in detailed.out is "
            f"{total_charge:.8f}"
        )
    ev = {label: [h * units.HARTREE_EV for h in hartree] for label, hartree in energies.items()}
    return Detailed(
        step=step,
        scc_iteration=int(iteration),
        scc_total_hartree=scc[0],
        scc_difference_hartree=scc[1],
        scc_error=scc[2],
        total_charge=total_charge,
        charges=charges,
        populations=populations,
        atom_populations=atoms,
        orbitals=len(rows[-1]),
        orbital_rows=rows,
        electrons=electrons,
        band_energies_ev=ev["Band energy"],
        fermi_levels_ev=ev["Fermi level"],
        repulsive_ev=ev["Repulsive energy"][0],
        total_ev=ev["Total energy"][0],
        mermin_ev=ev["Total Mermin free energy"][0],
        dipole=_dipole(file),
    )


class _File:
    """The lines of detailed.out, found by how they begin."""

    def __init__(self, text: str):
        self.lines = [line.strip() for line in text.splitlines()]

    def each(self, label: str) -> list[str]:
        """Return what stands behind 'label:', of every such line."""
        start = f"{label}:"
        return [line.removeprefix(start).strip() for line in self.lines if line.startswith(start)]

    def one(self, label: str) -> tuple[str, str]:
        """Return what stands behind 'label:' in the one such line, and what to call it."""
        found = self.each(label)
        if len(found) != 1:
            raise FailureKind.FILES.error(
                f"{len(found) or 'no'} '{label}' in detailed.out, expected 1"
            )
        return found[0], f"'{label}' in detailed.out"

    def block(self, heading: str) -> list[list[str]]:
        """Return the words of the rows under the one such heading and the names of the columns."""
        if self.lines.count(heading) != 1:
            count = self.lines.count(heading) or "no"
            raise FailureKind.FILES.error(f"{count} '{heading}' in detailed.out, expected 1")
        rows = []
        for line in self.lines[self.lines.index(heading) + 2 :]:
            if not line:
                break
            rows.append(line.split())
        return rows


def _converged_step(file: _File) -> int:
    """Return the step of the optimisation; it and its self-consistent cycle have converged."""
    for line in file.lines:
        if "SCC is NOT converged" in line:
            raise FailureKind.SCC.error(f"'{line}' in detailed.out")
        if "Geometry did NOT converge" in line:
            raise FailureKind.GEOMETRY.error(f"'{line}' in detailed.out")
        if line.startswith("Calculation with static geometry"):
            raise FailureKind.GEOMETRY.error(f"'{line}' in detailed.out, expected a relaxed one")
        if line.startswith(("K-points in absolute space", "Volume:", "Total lattice derivs")):
            raise FailureKind.PERIODIC.error(f"'{line}' in detailed.out, expected two atoms alone")
    for kind, flag in (
        (FailureKind.SCC, "SCC converged"),
        (FailureKind.GEOMETRY, "Geometry converged"),
    ):
        if flag not in file.lines:
            raise EngineError(kind, f"no line '{flag}' in detailed.out")
    step, field = file.one("Geometry optimization step")
    if "," in step:
        raise FailureKind.PERIODIC.error(f"{field} is {step!r}, expected two atoms alone")
    if not step.isdecimal():
        raise FailureKind.NUMBERS.error(f"{field}: expected a whole number, got {step!r}")
    return int(step)


def _orbital_rows(file: _File, channels: Sequence[str]) -> list[list[OrbitalRow]]:
    """Return the orbitals by spin channel, held against the shells where those are listed."""
    found = []
    for channel in channels:
        heading, shells = f"Orbital populations ({channel})", f"l-shell populations ({channel})"
        rows = orbital_rows(file.block(heading), heading)
        if shells in file.lines:
            check_shells(rows, file.block(shells), shells)
        found.append(rows)
    return found


def _atom_populations(file: _File, channels: Sequence[str]) -> list[float]:
    """Return electrons of each atom, of both spins."""
    by_channel = [
        _by_atom(file.block(f"Atom populations ({channel})"), f"atom population ({channel})")
        for channel in channels
    ]
    return [sum(channel) for channel in zip(*by_channel, strict=True)]


def _by_atom(rows: list[list[str]], what: str) -> list[float]:
    """Return the values of rows 'atom value', of which there are two."""
    if [row[0] for row in rows] != ["1", "2"] or any(len(row) != 2 for row in rows):
        raise FailureKind.POPULATIONS.error(
            f"{what} of {len(rows)} atoms in detailed.out, expected 2"
        )
    return [number(row[1], f"{what} of atom {row[0]} in detailed.out") for row in rows]


def _check_populations(
    orbitals: list[list[float]], atoms: list[float], electrons: list[float]
) -> None:
    for atom, (population, total) in enumerate(zip(orbitals, atoms, strict=True), start=1):
        if not abs(sum(population) - total) <= _ELECTRON_ROUNDING:
            raise FailureKind.POPULATIONS.error(
                f"orbitals of atom {atom} sum to {sum(population):.8f}, the atom "
                f"population in detailed.out is {total:.8f}"
            )
    if not abs(sum(atoms) - sum(electrons)) <= _ELECTRON_ROUNDING:
        raise FailureKind.POPULATIONS.error(
            f"atoms sum to {sum(atoms):.8f}, the number of electrons in detailed.out "
            f"is {sum(electrons):.8f}"
        )


def _scc_row(file: _File) -> list[float]:
    """Return iteration, total electronic energy, its change and the error of the last iteration."""
    heads = [i for i, line in enumerate(file.lines) if line.startswith("iSCC ")]
    if len(heads) != 1:
        raise FailureKind.SCC.error(f"{len(heads) or 'no'} iterations in detailed.out, expected 1")
    words = file.lines[heads[0] + 1].split()
    if len(words) != 4:
        raise FailureKind.SCC.error(f"unexpected iteration {' '.join(words)!r} in detailed.out")
    fields = ("iSCC", "Total electronic", "Diff electronic", "SCC error")
    values = [number(w, f"'{f}' in detailed.out") for w, f in zip(words, fields, strict=True)]
    if not abs(values[3]) <= _MAX_SCC_ERROR:
        raise FailureKind.SCC.error(
            f"converged in detailed.out, but with an error of {values[3]:.1e}"
        )
    return values


def _energies(file: _File, channels: Sequence[str]) -> dict[str, list[float]]:
    """Return energies in hartree by label, a list each."""
    expected = dict.fromkeys(_OF_CHANNEL, len(channels)) | dict.fromkeys(_OF_PAIR, 1)
    found: dict[str, list[float]] = {label: [] for label in (*expected, *_OPTIONAL)}
    for line in file.lines:
        match = _ENERGY.fullmatch(line)
        if match and match[1] in found:
            found[match[1]].append(_hartree(*match.groups()))
    for label, count in expected.items():
        if len(found[label]) != count:
            raise FailureKind.FILES.error(
                f"{len(found[label]) or 'no'} '{label}' in H and eV in detailed.out, "
                f"expected {count}"
            )
    more = sum(sum(found[label]) for label in _OPTIONAL)
    electronic, repulsive, total, mermin = (found[label][0] for label in _OF_PAIR)
    for label, value, parts in (
        ("Total energy", total, electronic + repulsive + more),
        ("Total Mermin free energy", mermin, total - sum(found["TS"])),
    ):
        if not abs(value - parts) <= _HARTREE_ROUNDING:
            raise FailureKind.ENERGY.error(
                f"'{label}' in detailed.out is {value:.10f} H, its parts sum to {parts:.10f} H"
            )
    return found


def _hartree(label: str, hartree: str, ev: str) -> float:
    """Return the energy that stands twice: in hartree with ten decimals, in eV with four."""
    field = f"'{label}' in detailed.out"
    value, again = number(hartree, field), number(ev, field)
    # Half of the last digit, and for constants of another year.
    if not abs(value * units.HARTREE_EV - again) <= 1e-4 + 1e-7 * abs(again):
        raise FailureKind.ENERGY.error(
            f"{field} is {hartree} H and {ev} eV, which are not the same"
        )
    return value


def _dipole(file: _File) -> list[float]:
    """Return the dipole moment in Debye; it stands twice, in atomic units too."""
    found: dict[str, list[float]] = {}
    for words in (rest.split() for rest in file.each("Dipole moment")):
        if len(words) != 4 or words[3] in found:
            raise FailureKind.DIPOLE.error(f"unexpected {' '.join(words)!r} in detailed.out")
        found[words[3]] = [number(word, "'Dipole moment' in detailed.out") for word in words[:3]]
    if set(found) != {"au", "Debye"}:
        raise FailureKind.DIPOLE.error("no 'Dipole moment' in au and Debye in detailed.out")
    for atomic, debye in zip(found["au"], found["Debye"], strict=True):
        if not abs(atomic * units.EBOHR_DEBYE - debye) <= 1e-7 + 1e-6 * abs(debye):
            raise FailureKind.DIPOLE.error(
                f"{atomic:.8f} au and {debye:.8f} Debye in detailed.out, which are not the same"
            )
    return found["Debye"]
