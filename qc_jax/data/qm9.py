"""QM9 as TFDS's own builder keeps it: what its features are here, in eV, Å and Debye.

R. Ramakrishnan, P. O. Dral, M. Rupp, O. A. von Lilienfeld, Sci. Data 1, 140022 (2014). TFDS leaves
the features in the units of the files (Hartree, Bohr) and in float32: U0 of a molecule of -400
Hartree is then known to 0.8 meV, the atomization energies, which it takes in float64, to 1e-3 meV.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from qc_jax.chem.units import HARTREE_EV
from qc_jax.data.splits import Split
from qc_jax.errors import InputError

MAX_ATOMS = 29
CHARACTERIZED = 130_831  # molecules of the true files, those that did not hold their shape left out
_TRAIN, _VALIDATION = 110_000, 10_000  # of them


class Feature(NamedTuple):
    """What TFDS calls a label, and the factor that makes ours of it."""

    name: str
    factor: float


TARGETS: dict[str, Feature] = {
    "e_homo_ev": Feature("homo", HARTREE_EV),
    "e_lumo_ev": Feature("lumo", HARTREE_EV),
    "e_g_ev": Feature("gap", HARTREE_EV),
    "u0_ev": Feature("U0", HARTREE_EV),
    "u298_ev": Feature("U", HARTREE_EV),
    "h298_ev": Feature("H", HARTREE_EV),
    "g298_ev": Feature("G", HARTREE_EV),
    "u0_atomization_ev": Feature("U0_atomization", HARTREE_EV),
    "u298_atomization_ev": Feature("U_atomization", HARTREE_EV),
    "h298_atomization_ev": Feature("H_atomization", HARTREE_EV),
    "g298_atomization_ev": Feature("G_atomization", HARTREE_EV),
    "zpve_ev": Feature("zpve", HARTREE_EV),
    "dipole_mag_d": Feature("mu", 1.0),
    "polarizability_bohr3": Feature("alpha", 1.0),
    "electronic_extent_bohr2": Feature("r2", 1.0),
    "heat_capacity_calmolk": Feature("Cv", 1.0),
}


def read(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record of TFDS's `qm9` as what `stream.Stream` reads: its atoms without padding."""
    atoms = int(record["num_atoms"])
    return {
        "atomic_numbers": np.asarray(record["charges"][:atoms], np.int32),
        "positions": np.asarray(record["positions"][:atoms], np.float32),
    }


def label(record: Mapping[str, Any], target: str) -> float:
    """One of `TARGETS` of a record, in its unit here."""
    feature = TARGETS[target]
    return float(record[feature.name]) * feature.factor


def split(molecules: int, seed: int) -> Split:
    """The published sizes: 110,000 train, 10,000 validate, the rest tests.

    Shuffled by NumPy's RandomState, as TFDS's configuration `dimenet` is: of seed 42 it is the same
    split. Fewer molecules than QM9 has are split in the same proportions.

    Args:
      molecules: how many, in the order of the configuration `original`.
      seed: of the shuffle.

    Raises:
      InputError: they are too few.
    """
    train = molecules * _TRAIN // CHARACTERIZED
    validation = molecules * _VALIDATION // CHARACTERIZED
    if not train or not validation:
        raise InputError(f"QM9: expected at least 14 molecules to split, got {molecules}")
    order = np.random.RandomState(seed).permutation(molecules).astype(np.int64)
    return Split(
        train=order[:train],
        validation=order[train : train + validation],
        test=order[train + validation :],
        description=f"qm9: of {molecules} molecules {train} train, {validation} validate, the "
        "rest tests",
    )
