"""The basis of GFN2-xTB: published fits, and what tblite says of its parameters."""

import numpy as np
import pytest

from qc_jax.xtb import basis


@pytest.mark.parametrize(
    ("n", "k", "exponents", "coefficients"),
    [
        # R. F. Stewart, J. Chem. Phys. 52, 431 (1970), and the STO-3G of every program.
        (1, 0, [2.22766058, 0.405771156, 0.109817510], [0.154328967, 0.535328142, 0.444634542]),
        (3, 2, [0.522911225, 0.163959588, 0.063866300], [0.168659606, 0.584798482, 0.405677952]),
    ],
)
def test_fits_are_the_published_ones(n, k, exponents, coefficients):
    found = basis.fit(n, k, 3)
    np.testing.assert_allclose(found[0], exponents, rtol=1e-5)
    np.testing.assert_allclose(found[1], coefficients, rtol=1e-5)


def test_shipped_shells_are_those_of_tblite():
    shells, given = basis.shipped(), basis._parameters()["element"]
    there = shells.weights.any(axis=-1)
    assert len(given) == len(shells.hubbards) == 86
    assert there.sum() == sum(len(own["shells"]) for own in given.values())
    carbon = given["C"]
    exponents, _ = basis.fit(2, 1, 4)
    np.testing.assert_allclose(
        shells.exponents[5, 1, :4], exponents * carbon["slater"][1] ** 2, rtol=1e-6
    )
    np.testing.assert_array_equal(shells.electrons[5], [*carbon["refocc"], 0])
    assert shells.hubbards[5] == carbon["gam"]


def test_shells_are_normalised_within_reach():
    r = np.linspace(0, 6, 4001) ** 2  # as far as the splines go, bohr
    for number in (1, 6, 47, 55, 87 - 1):
        squares = np.trapezoid(basis.radial(number, r) ** 2 * r[:, None] ** 2, r, axis=0)
        there = basis.shipped().weights[number - 1].any(axis=-1)
        np.testing.assert_allclose(squares, there, atol=1e-6)
