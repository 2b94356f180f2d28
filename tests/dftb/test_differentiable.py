"""Derivatives of tight binding by the parameters of elements."""

import jax
import numpy as np
import pytest

from qc_jax.dftb import differentiable as of_parameters
from qc_jax.dftb import solve
from qc_jax.errors import InputError


@pytest.mark.slow
def test_gap_by_every_number_of_an_element():
    """Hydrogen fluoride: the gap by differences of whole computations, atoms included."""
    function, numbers = of_parameters.parameter_function(["H", "F"], 0.93)
    found = of_parameters.parameter_gradient(["H", "F"], 0.93)
    with jax.enable_x64(True), jax.debug_nans(False):
        run = jax.jit(function)
        here = run(numbers)
        for symbol, name in (
            ("F", "r0_wave"), ("F", "r0_density"), ("F", "hubbard"), ("H", "r0_wave"),
        ):  # fmt: skip
            value, step = getattr(numbers[symbol], name), 2e-3

            def gap(k, symbol=symbol, name=name, value=value, step=step):
                moved = numbers[symbol]._replace(**{name: value + k * step})
                return float(run(numbers | {symbol: moved}).gap_ev)

            slope = np.dot([1, -8, 8, -1], [gap(k) for k in (-2, -1, 1, 2)]) / (12 * step)
            assert getattr(found[symbol], name) == pytest.approx(slope, rel=2e-6), (symbol, name)
    solution = solve(["H", "F"], 0.93, form="exact")
    assert here.mermin_free_energy_ev == pytest.approx(solution.mermin_free_energy_ev, abs=2e-3)
    np.testing.assert_allclose(here.levels_ev, solution.levels_ev, atol=5e-3)
    np.testing.assert_allclose(here.charges_e, solution.charges_e, atol=1e-4)
    # The repulsion moves no level; the energy feels it alone.
    assert found["F"].sigma_repulsion == 0.0


def test_bad_input():
    with pytest.raises(InputError, match="unknown quantity 'charges_e'; choose one of: gap_ev"):
        of_parameters.parameter_gradient(["H", "H"], 0.75, quantity="charges_e")
    with pytest.raises(InputError, match="symbols: expected two atoms or more, got 1"):
        of_parameters.parameter_function(["H"], [[0, 0, 0]])
    with pytest.raises(InputError, match=r"closer than the tables reach \(0.212 Å\)"):
        of_parameters.parameter_function(["H", "H"], 0.1)
