"""Free atoms of the exact form against another program's: Gaussians, libxc, no grid in r."""

import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from qc_jax.dftb import exact_atom, pseudo
from qc_jax.dftb.parameters import parameters

FIXTURE = pathlib.Path(__file__).parents[1] / "fixtures" / "pyscf_atoms.json"
PYSCF = json.loads(FIXTURE.read_text())["atoms"]  # its script is beside it


def free_atom(symbol: str, functional: str) -> tuple[float, dict[str, float]]:
    """Energy and levels without relativity, in a box that moves no occupied level by 1e-7."""
    element = parameters(symbol)
    with jax.enable_x64(True):
        grid = exact_atom.make_grid(element.atomic_number, 200.0, 4.0)
        atom = pseudo.solve_exact(
            pseudo.exact_configuration(element),
            jnp.array([200.0]),
            4.0,
            jax.tree.map(lambda x: x[None], grid),
            functional=functional,
            light=1e8,
        )
        levels, energy = np.asarray(atom.levels[0]), float(atom.energy[0])
    return energy, dict(zip(element.configuration, map(float, levels), strict=True))


# Hartree. Gaussians have no cusp at the nucleus, where PBE's potential feels it, and there are none
# tighter than the script's: core levels of PBE and energies show it, valence levels hardly.
CORE = {"lda": 1e-4, "pbe": 5e-4}
VALENCE = 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("functional", ["lda", "pbe"])
@pytest.mark.parametrize("symbol", list(PYSCF))
def test_levels_are_pyscfs(symbol, functional):
    expected = PYSCF[symbol][functional]
    energy, levels = free_atom(symbol, functional)
    valence = parameters(symbol).valence
    for shell, level in expected["levels"].items():
        within = VALENCE if shell in valence else CORE[functional]
        assert abs(levels[shell] - level) < within, shell
    assert abs(energy - expected["energy"]) < max(2e-5, 1.1e-6 * abs(energy))
