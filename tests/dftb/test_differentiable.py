"""Derivatives of tight binding by the parameters of elements."""

import jax
import numpy as np
import pytest

from qc_jax.dftb import differentiable as of_parameters
from qc_jax.errors import InputError


@pytest.mark.slow
def test_gap_by_a_confinement_radius():
    """Hydrogen: the gap by differences of whole computations, atoms included."""
    function, numbers = of_parameters.parameter_function(["H", "H"], 0.75)
    found = of_parameters.parameter_gradient(["H", "H"], 0.75)["H"]
    with jax.enable_x64(True), jax.debug_nans(False):
        run, step = jax.jit(function), 1e-3

        def gap(k):
            moved = numbers["H"]._replace(r0_wave=numbers["H"].r0_wave + k * step)
            return float(run({"H": moved}).gap_ev)

        slope = np.dot([1, -8, 8, -1], [gap(k) for k in (-2, -1, 1, 2)]) / (12 * step)
    assert found.r0_wave == pytest.approx(slope, rel=1e-6)
    # The repulsion moves no level, nor does a charge's own interaction where there is none.
    assert found.sigma_repulsion == 0.0 and abs(found.hubbard) < 1e-9


@pytest.mark.slow
@pytest.mark.parametrize(("symbols", "distance"), [(["H", "F"], 0.93), (["Na", "Cl"], 2.4)])
def test_everything_by_all_numbers_of_an_element(symbols, distance):
    """Radii, width, on-site energies and Hubbard, all moved at once along one direction."""
    function, numbers = of_parameters.parameter_function(symbols, distance)
    still = jax.tree.map(np.zeros_like, numbers)
    weights = {"r0_wave": 1.0, "r0_density": -2.0, "sigma_repulsion": 0.1, "hubbard": 0.2}
    step = 1e-3
    with jax.enable_x64(True), jax.debug_nans(False):
        run = jax.jit(lambda at, along: jax.jvp(function, (at,), (along,)))
        for symbol in symbols:
            own = still[symbol]._replace(onsite=np.array([0.1, -0.2, 0.3]), **weights)
            along = jax.tree.map(np.float64, still | {symbol: own})

            def moved(k, along=along):
                at = jax.tree.map(lambda x, d: x + k * step * d, numbers, along)
                return run(at, still)[0]

            found = run(numbers, along)[1]
            values = [moved(k) for k in (-2, -1, 1, 2)]
            for name in ("mermin_free_energy_ev", "levels_ev", "charges_e", "gap_ev"):
                four = np.array([getattr(value, name) for value in values])
                slope = np.tensordot([1, -8, 8, -1], four, 1) / (12 * step)
                scale = np.abs(slope).max()
                assert scale > 1e-3
                np.testing.assert_allclose(
                    getattr(found, name), slope, atol=1e-5 * scale, err_msg=f"{symbol} {name}"
                )


def test_bad_input():
    with pytest.raises(InputError, match="unknown quantity 'charges_e'; choose one of: gap_ev"):
        of_parameters.parameter_gradient(["H", "H"], 0.75, quantity="charges_e")
    with pytest.raises(InputError, match="symbols: expected two atoms or more, got 1"):
        of_parameters.parameter_function(["H"], [[0, 0, 0]])
    with pytest.raises(InputError, match=r"closer than the tables reach \(0.212 Å\)"):
        of_parameters.parameter_function(["H", "H"], 0.1)
