"""The table of targets: what each label means, its unit, and which inputs leak it.

A model that reads an input named in `leaked_by` can compute the target in closed form; a score
on such a target says nothing about chemistry, and is marked wherever it is shown.
"""

import dataclasses
from collections.abc import Iterable

from qc_jax.errors import choose

# The inputs a model may read, in the words of `Target.leaked_by`.
INPUTS = (
    *("atomic_numbers", "positions", "canvas", "densities"),
    *("populations", "charges", "dipole"),
)

_CHARGE_INPUTS = ("canvas", "densities", "populations", "charges")


@dataclasses.dataclass(frozen=True)
class Target:
    """One label: its column name, unit, definition, and the inputs that leak it.

    With `log_scale` a model is trained on the logarithm: the label spans decades. The `kind` is
    'regression'; or 'classification' of a label that is 0 or 1, of which a model predicts the
    probability of 1, is trained by cross-entropy, and is scored by the class it thinks likelier.
    """

    name: str
    unit: str
    definition: str
    leaked_by: tuple[str, ...] = ()
    log_scale: bool = False
    kind: str = "regression"

    @property
    def is_class(self) -> bool:
        """Return whether it is a class, 0 or 1."""
        return self.kind == "classification"

    @property
    def error_unit(self) -> str:
        """Return the unit of its mean absolute error; of a class what that is."""
        return "error rate" if self.is_class else self.unit


_TABLE = (
    Target("e_g_ev", "eV", "gap, LUMO − HOMO; 0 where one level is both"),
    Target("e_homo_ev", "eV", "highest level that holds electrons"),
    Target("e_lumo_ev", "eV", "lowest level that can take an electron"),
    Target("band_energy_ev", "eV", "sum of orbital energies times occupations"),
    Target(
        "repulsive_energy_ev",
        "eV",
        "pairwise repulsion between the cores, a function of the elements and their distance",
        ("positions", "densities"),
    ),
    Target("mermin_free_energy_ev", "eV", "total energy − T·S of the electronic occupations"),
    Target("total_energy_ev", "eV", "electronic, repulsion and dispersion energy"),
    Target("i_ev", "eV", "ionisation potential I = −HOMO"),
    Target("a_ev", "eV", "electron affinity A = −LUMO"),
    Target("chi_ev", "eV", "electronegativity χ = (I + A)/2"),
    Target("mu_ev", "eV", "chemical potential μ = −χ"),
    Target("eta_ev", "eV", "hardness η = (I − A)/2"),
    Target("softness_evinv", "1/eV", "softness 1/(2η); undefined at zero gap", log_scale=True),
    Target(
        "electrophilicity_ev",
        "eV",
        "electrophilicity μ²/(2η); undefined at zero gap",
        log_scale=True,
    ),
    Target("dipole_mag_d", "Debye", "size of the dipole moment", ("canvas", "densities", "dipole")),
    Target(
        "dipole_z_d",
        "Debye",
        "z component of the dipole moment; pairs lie along z, the first atom below",
        # The canvas holds the dipole's size and, for four pairs in five, its sign in the charges.
        ("canvas", "densities", "dipole"),
    ),
    Target("distance_ang", "Å", "bond length", ("positions", "densities")),
    Target("q_maxabs", "e", "largest |atomic charge|", _CHARGE_INPUTS),
    Target("q_absmean", "e", "mean |atomic charge|", _CHARGE_INPUTS),
    Target("q_std", "e", "standard deviation of the atomic charges", _CHARGE_INPUTS),
    Target("fermi_level_ev", "eV", "Fermi level of the occupations"),
)

TARGETS: dict[str, Target] = {target.name: target for target in _TABLE}

# Labels of pairs that no table needs to hold, since they follow from its others.
_CLASS_TABLE = (
    Target(
        "metal_like",
        "",
        "1 where one level is HOMO and LUMO, so that the gap is 0; 0 where it is not, or where no "
        "level is left to be LUMO. An odd number of electrons always makes it 1",
        ("densities",),  # those of the HOMO and of the LUMO are then the same
        kind="classification",
    ),
)
CLASS_TARGETS: dict[str, Target] = {target.name: target for target in _CLASS_TABLE}
PAIR_TARGETS = TARGETS | CLASS_TARGETS

# Labels that larger structures have beside those of pairs: QM9's (R. Ramakrishnan et al., Sci. Data
# 1, 140022, 2014; at 298.15 K where no other temperature is told) and CrysMTM's.
_STRUCTURE_TABLE = (
    Target("u0_ev", "eV", "internal energy at 0 K, zero-point energy included"),
    Target("u298_ev", "eV", "internal energy"),
    Target("h298_ev", "eV", "enthalpy"),
    Target("g298_ev", "eV", "free energy"),
    Target("u0_atomization_ev", "eV", "u0_ev less that of the free atoms"),
    Target("u298_atomization_ev", "eV", "u298_ev less that of the free atoms"),
    Target("h298_atomization_ev", "eV", "h298_ev less that of the free atoms"),
    Target("g298_atomization_ev", "eV", "g298_ev less that of the free atoms"),
    Target("zpve_ev", "eV", "zero-point vibrational energy"),
    Target("polarizability_bohr3", "a0³", "isotropic polarizability"),
    Target("electronic_extent_bohr2", "a0²", "electronic spatial extent"),
    Target("heat_capacity_calmolk", "cal/(mol K)", "heat capacity at constant volume"),
    # No labels of a structure: the errors of what follows from energies are told under these names.
    Target("force_ev_ang", "eV/Å", "a component of the force on an atom"),
    Target("virial_ev", "eV", "a component of stress times volume, an atom"),
    Target("energy_per_atom_ev", "eV", "total energy over the number of atoms"),
    # Geometry, measured against the phase's own at 0 K.
    Target("displacement_ang", "Å", "largest displacement of an atom", ("positions",)),
    Target("volume_change_ang3", "Å³", "volumetric expansion", ("positions",)),
    Target("bond_change_ang", "Å", "change of the Ti-O bond length", ("positions",)),
)

STRUCTURE_TARGETS: dict[str, Target] = {target.name: target for target in _STRUCTURE_TABLE}
ALL_TARGETS = TARGETS | STRUCTURE_TARGETS | CLASS_TARGETS  # in the order in which they are shown

# The 20 targets of the published benchmark; the Fermi level is extra.
BENCHMARK_TARGETS: tuple[str, ...] = tuple(name for name in TARGETS if name != "fermi_level_ev")


def target(name: str) -> Target:
    """Return the target called `name`.

    Raises:
      InputError: no such target; the message lists them.
    """
    choose("target", name, ALL_TARGETS)
    return ALL_TARGETS[name]


def leaking_inputs(name: str, inputs: Iterable[str]) -> tuple[str, ...]:
    """Return which of a model's `inputs` leak the target; empty when none does."""
    read = set(inputs)
    return tuple(item for item in target(name).leaked_by if item in read)
