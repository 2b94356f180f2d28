"""The PTBP parameters: three numbers an element, with its configuration and on-site energies.

`ptbp_parameters.csv` holds them, with its source: M. Cui, K. Reuter, J. T. Margraf, J. Chem. Theory
Comput. 2024 (doi 10.1021/acs.jctc.4c00228).
"""

import csv
import dataclasses
import functools
import importlib.resources
import re

from qc_jax.chem.elements import element
from qc_jax.chem.units import BOHR_ANG
from qc_jax.errors import InputError

# Which elements go without the empty d shells that PTBP has for them. In the published dataset He,
# Ne, Ar and Kr have no virtual orbital, Xe and Rn have some, and Al has no d.
_THIRD_AND_FOURTH = ("Mg", "Al", "Si", "P", "S", "Cl", "Ar", "Ga", "Ge", "As", "Se", "Br", "Kr")
_FIFTH_AND_SIXTH = ("In", "Sn", "Sb", "Te", "I", "Xe", "Rn")
CONVENTIONS: dict[str, tuple[str, ...]] = {
    "published": _THIRD_AND_FOURTH,
    "main_group_p": (*_THIRD_AND_FOURTH, *_FIFTH_AND_SIXTH),
    "all": (),
}

_SHELL = re.compile(r"([1-7])([spdf])(\d+)")


@dataclasses.dataclass(frozen=True)
class ElementParameters:
    """What makes one element's tight binding.

    Attributes:
      symbol: like 'Ag'.
      atomic_number: Z.
      configuration: electrons of every shell, {'1s': 2.0, …}, empty valence shells included.
      valence: the basis, in order of l, at most one shell of each l.
      r0_wave: bohr, confinement (r/r0)^power of the run whose orbitals are the basis.
      r0_density: bohr, of the run whose density is superposed.
      power: of both confinements.
      sigma_repulsion: width of the atom's charge in the repulsion, in covalent radii.
      onsite: {'s': hartree, …}, levels of the free atom.
      hubbard: {'s': hartree, …}, their derivatives by their own occupation.
    """

    symbol: str
    atomic_number: int
    configuration: dict[str, float]
    valence: tuple[str, ...]
    r0_wave: float
    r0_density: float
    power: float
    sigma_repulsion: float
    onsite: dict[str, float]
    hubbard: dict[str, float]

    @property
    def repulsion_width(self) -> float:
        """Return the width s of the repulsion, bohr: `sigma_repulsion` covalent radii."""
        return self.sigma_repulsion * element(self.symbol).covalent_radius_ang / BOHR_ANG

    @property
    def valence_electrons(self) -> float:
        """Return how many electrons the neutral atom has in its valence shells."""
        return sum(self.configuration[shell] for shell in self.valence)


def quantum_numbers(shell: str) -> tuple[int, int]:
    """Return (n, l) of a shell written like '4d'."""
    return int(shell[0]), "spdf".index(shell[1])


def parameters(symbol: str) -> ElementParameters:
    """Return the parameters of an element, given its symbol.

    Raises:
      InputError: the set has no such element; those it has are named.
    """
    known = _table()
    if symbol not in known:
        raise InputError(
            f"no PTBP parameters for element {symbol!r}; expected one of: {', '.join(known)}"
        )
    return known[symbol]


def covered_symbols() -> tuple[str, ...]:
    """Return the symbols of all elements that have parameters, by atomic number."""
    return tuple(_table())


@functools.cache
def _table() -> dict[str, ElementParameters]:
    text = importlib.resources.files("qc_jax.dftb").joinpath("ptbp_parameters.csv").read_text()
    rows = csv.DictReader(line for line in text.splitlines() if not line.startswith("#"))
    cores: dict[str, dict[str, float]] = {}
    table = {}
    for row in rows:
        configuration = _shells(row["configuration"], cores)
        valence = sorted(_shells(row["valence"], cores), key=lambda shell: "spdf".index(shell[1]))
        cores[f"[{row['symbol']}]"] = configuration
        table[row["symbol"]] = ElementParameters(
            symbol=row["symbol"],
            atomic_number=int(row["atomic_number"]),
            configuration=configuration,
            valence=tuple(valence),
            r0_wave=float(row["r0_wave"]),
            r0_density=float(row["r0_density"]),
            power=float(row["power"]),
            sigma_repulsion=float(row["sigma_repulsion"]),
            onsite={shell: float(row[f"e_{shell}"]) for shell in "spd" if row[f"e_{shell}"]},
            hubbard={shell: float(row[f"u_{shell}"]) for shell in "spd" if row[f"u_{shell}"]},
        )
    return table


def _shells(text: str, cores: dict[str, dict[str, float]]) -> dict[str, float]:
    """Return the electrons of each shell of '[He] 2s2 2p2'; a core's empty shells drop out."""
    shells: dict[str, float] = {}
    for word in text.split():
        if word in cores:
            shells |= {shell: held for shell, held in cores[word].items() if held}
        else:
            n, letter, held = _SHELL.fullmatch(word).groups()  # type: ignore[union-attr]
            shells[n + letter] = float(held)
    return shells
