"""From symbols to the arrays of `hamiltonian.Molecule`, padded to a common size where asked."""

import itertools
from collections.abc import Sequence

import numpy as np

from qc_jax.dftb.hamiltonian import ABSENT, Bonds, Molecule
from qc_jax.dftb.parametrization import Parametrization
from qc_jax.dftb.rotation import ORBITALS, SHELL


def build(
    symbols: Sequence[str],
    parametrization: Parametrization,
    shell_resolved: bool = False,
    padded_to: tuple[int, int, int] | None = None,
) -> Molecule:
    """Return the arrays of a molecule.

    Args:
      symbols: of its atoms.
      parametrization: with the elements and pairs of elements that it needs.
      shell_resolved: whether each shell has a charge and a Hubbard parameter of its own; otherwise
        each atom, with the Hubbard parameter of its s shell, as DFTB+ does by default.
      padded_to: numbers of bonds, orbitals and sites, at least the molecule's own.
    """
    of_atom = [parametrization.shells[symbol] for symbol in symbols]
    slots, energies, sites, site_atoms, hubbards, neutral = [], [], [], [], [], []
    for atom, shells in enumerate(of_atom):
        for l in range(shells.max_l + 1):  # noqa: E741
            if l == 0 or shell_resolved:
                site_atoms.append(atom)
                hubbards.append(shells.hubbards[l])
                neutral.append(0.0)
            neutral[-1] += shells.electrons[l]
            for orbital in np.flatnonzero(l == SHELL):
                slots.append(ORBITALS * atom + int(orbital))
                energies.append(shells.energies[l])
                sites.append(len(site_atoms) - 1)
    indices = list(itertools.combinations(range(len(symbols)), 2))
    rows = [parametrization.row(symbols[i], symbols[j]) for i, j in indices]
    n_bonds, n_orbitals, n_sites = padded_to or (len(indices), len(slots), len(site_atoms))
    pad = n_orbitals - len(slots)
    one_hot = np.zeros((n_orbitals, n_sites))
    one_hot[np.arange(len(sites)), sites] = 1
    # Another pair of atoms stands in for bonds that are not there; one atom alone has itself.
    spare = n_bonds - len(indices)

    def bonds(values: Sequence[int], dtype: type) -> np.ndarray:
        return np.array([*values, *[0] * spare], dtype=dtype)

    return Molecule(
        Bonds(
            bonds([i for i, _ in indices], np.int32),
            bonds([j for _, j in indices], np.int32),
            bonds([row for row, _ in rows], np.int32),
            bonds([swapped for _, swapped in rows], bool),
            bonds([True] * len(indices), bool),
        ),
        np.array(slots + [0] * pad, dtype=np.int32),
        np.array([True] * len(slots) + [False] * pad),
        np.array(energies + [ABSENT] * pad),
        one_hot,
        np.array(site_atoms + [0] * (n_sites - len(site_atoms)), dtype=np.int32),
        np.array(hubbards + [1.0] * (n_sites - len(site_atoms))),
        np.array(neutral + [0.0] * (n_sites - len(site_atoms))),
        np.array(float(sum(neutral))),
    )
