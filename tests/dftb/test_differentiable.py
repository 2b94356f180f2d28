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


def test_bad_input():
    with pytest.raises(InputError, match="unknown quantity 'charges_e'; choose one of: gap_ev"):
        of_parameters.parameter_gradient(["H", "H"], 0.75, quantity="charges_e")
    with pytest.raises(InputError, match="symbols: expected two atoms or more, got 1"):
        of_parameters.parameter_function(["H"], [[0, 0, 0]])
    with pytest.raises(InputError, match=r"closer than the tables reach \(0.212 Å\)"):
        of_parameters.parameter_function(["H", "H"], 0.1)
