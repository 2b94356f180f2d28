"""Free atoms of the exact form against another program's: Gaussians, libxc, no grid in r."""

import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from qc_jax.dftb import exact_atom, pseudo, published_atom
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


@pytest.mark.slow
def test_a_finer_grid_of_the_published_form_comes_to_the_exact_one(monkeypatch):
    """2s of neon, which the published grid has 6e-4 hartree too high: it begins at 0.01/Z bohr."""
    neon = parameters("Ne")
    radius, power = pseudo.free_radius("Ne"), pseudo.FREE_POWER
    with jax.enable_x64(True):
        grid = exact_atom.make_grid(10, radius, power)
        one = jax.tree.map(lambda x: x[None], grid)
        atom = pseudo.solve_exact(pseudo.exact_configuration(neon), jnp.array([radius]), power, one)
        exact = float(atom.levels[0][list(neon.configuration).index("2s")])
        assert 5e-4 < neon.onsite["s"] - exact < 7e-4
        # As if Z were 1000: the grid then begins a hundred times nearer.
        coarse = published_atom.make_grid
        monkeypatch.setattr(published_atom, "make_grid", lambda z, points: coarse(100 * z, points))
        held = jax.tree.map(jnp.asarray, pseudo.configurations([neon]))
        solve = jax.vmap(
            lambda configuration: published_atom.solve_atom(
                configuration, radius, power, points=8000
            )
        )
        fine = solve(held)
    level = float(fine.levels[0][list(neon.configuration).index("2s")])
    assert abs(level - exact) < 2e-5 and float(fine.residual[0]) < 1e-8
