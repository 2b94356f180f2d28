"""Exchange and correlation against libxc."""

import pathlib

import jax
import numpy as np
import pytest

from qc_jax.dftb import xc
from qc_jax.errors import InputError

LIBXC = pathlib.Path(__file__).parents[1] / "fixtures" / "dftb_libxc.npz"  # its script beside it


@pytest.mark.parametrize("functional", xc.FUNCTIONALS)
def test_energies_and_derivatives_are_libxcs(functional):
    kept = np.load(LIBXC)
    with jax.enable_x64(True):
        ours = xc.exchange_correlation(kept["rho"], kept["sigma"], functional)
        e, e_rho, e_sigma = map(np.asarray, ours)
    np.testing.assert_allclose(e, kept[f"{functional}_e"], rtol=2e-8)
    np.testing.assert_allclose(e_rho, kept[f"{functional}_e_rho"], rtol=5e-8)
    if functional == "pbe":
        np.testing.assert_allclose(e_sigma, kept["pbe_e_sigma"], rtol=4e-6)


def test_no_density_has_no_energy():
    with jax.enable_x64(True):
        for functional in xc.FUNCTIONALS:
            for value in xc.exchange_correlation(np.zeros(1), np.zeros(1), functional):
                assert float(value[0]) == 0


def test_unknown_functional_is_named():
    with pytest.raises(InputError, match="unknown functional 'blyp'; choose one of: lda, pbe"):
        xc.exchange_correlation(np.ones(1), np.ones(1), "blyp")
