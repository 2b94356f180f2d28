"""Derivatives of tight binding by the parameters of elements."""

import jax
import numpy as np
import pytest

from qc_jax.dftb import convergence
from qc_jax.dftb import differentiable as of_parameters
from qc_jax.errors import InputError

FIELDS = ("mermin_free_energy_ev", "levels_ev", "gap_ev", "charges_e")


@pytest.mark.slow
def test_all_by_all_parameters():
    """Energy, levels, gap and charges of H-Li against differences of whole computations."""
    function, numbers = of_parameters.parameter_function(["H", "Li"], 1.6)

    def results(numbers):
        found = function(numbers)
        return {name: getattr(found, name) for name in FIELDS}

    def moved(symbol, field, index, step):
        value = np.array(getattr(numbers[symbol], field))
        value[index] += step
        return numbers | {symbol: numbers[symbol]._replace(**{field: value})}

    # Free atoms settle to 1e-8 hartree: shorter steps of their radii would tell nothing.
    cases = [
        ("H", "r0_wave", (), 1e-2),
        ("Li", "r0_density", (), 1e-2),
        ("Li", "sigma_repulsion", (), 1e-3),
        ("H", "onsite", 0, 1e-4),
        ("Li", "onsite", 1, 1e-4),
        ("Li", "hubbard", (), 1e-4),
    ]
    with jax.enable_x64(True), jax.debug_nans(False):
        jacobians = jax.jit(jax.jacrev(results))(numbers)
        run = jax.jit(results)
        for symbol, field, index, step in cases:
            four = [run(moved(symbol, field, index, k * step)) for k in (-2, -1, 1, 2)]
            for name in FIELDS:
                values = np.array([np.asarray(found[name]) for found in four])
                slope = np.tensordot([1, -8, 8, -1], values, 1) / (12 * step)
                exact = np.asarray(getattr(jacobians[name][symbol], field))
                exact = exact if index == () else exact[..., index]
                np.testing.assert_allclose(
                    exact, slope, rtol=2e-6, atol=2e-6, err_msg=f"{name} by {field} of {symbol}"
                )
                # The repulsion is in the energy alone; nothing else is without an effect.
                still = field == "sigma_repulsion" and name != "mermin_free_energy_ev"
                assert np.any(exact) != still, (name, symbol, field)


@pytest.fixture
def failing(monkeypatch):
    """A function that puts electrons which settle, from 1, where `settles` says so."""

    def put(settles) -> list[tuple[float, float]]:
        seen = []

        def electrons(numbers, kt, start):
            jax.debug.callback(lambda *now: seen.append(tuple(map(float, now))), kt, start[0])
            residual = jax.numpy.where(settles(kt, start[0]), 0.0, 1.0)
            return of_parameters.Electrons(*[2 * kt * numbers] * 3, 0 * start - 1, residual)

        made = electrons, np.float64(1.0)
        monkeypatch.setattr(of_parameters, "_function_from", lambda *given: made)
        return seen

    return put


def test_charges_that_settle_by_falling_temperatures(failing):
    seen = failing(lambda kt, start: (kt > 1e-2) | (start > 0))
    kt = convergence.kt_of(300)
    assert of_parameters.parameter_gradient(["H", "H"], 0.75) == pytest.approx(2 * kt)
    jax.effects_barrier()
    assert [start for _, start in seen] == [0, 0, 1, 1, 1] and seen[-1][0] == pytest.approx(kt)


def test_charges_that_do_not_settle_have_no_gradient(failing):
    failing(lambda kt, start: False)
    with pytest.raises(convergence.NotConverged, match=r"do not settle: 1.0e\+00 e are left"):
        of_parameters.parameter_gradient(["H", "H"], 0.75)


def test_bad_input():
    with pytest.raises(InputError, match="unknown quantity 'charges_e'; choose one of: gap_ev"):
        of_parameters.parameter_gradient(["H", "H"], 0.75, quantity="charges_e")
    with pytest.raises(InputError, match="symbols: expected two atoms or more, got 1"):
        of_parameters.parameter_function(["H"], [[0, 0, 0]])
    with pytest.raises(InputError, match=r"closer than the tables reach \(0.212 Å\)"):
        of_parameters.parameter_function(["H", "H"], 0.1)
