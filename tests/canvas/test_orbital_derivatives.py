"""Derivatives of images by the bond length, of self-consistent orbitals that follow it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from qc_jax.canvas import densities
from qc_jax.errors import InputError

# C_O: LUMO of π orbitals; O_O: HOMO and LUMO are π*, which are half filled; Cs_F: charges that
# move; Ag_Al: d orbitals, and a HOMO with one electron.
PAIRS = ["C_O", "O_O", "Cs_F", "Ag_Al"]
LENGTHS = np.array([1.25, 1.3, 2.6, 2.6])


@pytest.mark.slow
def test_slopes_are_those_of_whole_computations():
    with jax.enable_x64(True):
        draw = lambda at: densities.render(PAIRS, at, 8)  # noqa: E731
        given = jnp.asarray(LENGTHS)
        images, slopes = jax.jvp(draw, (given,), (jnp.ones(len(PAIRS)),))
        np.testing.assert_allclose(images, draw(LENGTHS), atol=1e-6)

        def difference(step):
            return (np.asarray(draw(LENGTHS + step)) - np.asarray(draw(LENGTHS - step))) / step / 2

        expected = (4 * difference(0.01) - difference(0.02)) / 3
        off = np.abs(slopes - expected).max(axis=(1, 2))
        largest = np.abs(expected).max(axis=(1, 2))
        there = largest > 1e-3  # no d, and no potential of equal atoms
        assert there.sum() > 35 and (off[there] < 1e-3 * largest[there]).all(), off / largest

        # Held coefficients are another slope: the response is not small.
        radial, state = densities.solve(PAIRS, LENGTHS)
        held = lambda r: densities.draw(state._replace(distance=r), radial, 8)  # noqa: E731
        _, partial = jax.jvp(held, (state.distance,), (jnp.ones_like(state.distance),))
        partial = partial / 0.529177
        assert (np.abs(partial - expected)[there.nonzero()[0], :, :, 0].max() > 0.05).all()

        def loss(at):
            return jnp.sum(densities.render(PAIRS, at, 8, ["density", "homo"]) ** 2)

        gradient = np.asarray(jax.jit(jax.grad(loss))(given))
        chosen = [list(densities.CHANNELS).index(name) for name in ("density", "homo")]
        of_images = 2 * (np.asarray(images) * np.asarray(slopes))[..., chosen].sum(axis=(1, 2, 3))
        np.testing.assert_allclose(gradient, of_images, rtol=1e-4)


@pytest.mark.slow
def test_distances_at_which_there_is_nothing_are_nan():
    with jax.enable_x64(True), jax.debug_nans(False):
        draw = lambda at: densities.render(["H_H"], at[None, None], 4, ["density"])  # noqa: E731
        found = np.asarray(jax.vmap(draw)(jnp.array([0.8, 20.0, 0.05])))
    assert np.isfinite(found[0]).all() and np.isnan(found[1:]).all()


@pytest.mark.parametrize(
    ("pairs", "parameters", "wide", "message"),
    [
        (["H_H"], "ptbp", False, "expected float64 where they are traced, within jax.enable_x64"),
        (["H_H", "C_O"], "ptbp", True, "expected one for each of 2 pairs, or a row for each, got"),
        (["H_H"], "gfn2_xtb", True, "expected numbers, not traced: GFN2-xTB has no derivatives"),
    ],
)
def test_what_cannot_be_traced_is_one_line(pairs, parameters, wide, message):
    with jax.enable_x64(wide), pytest.raises(InputError) as error:
        jax.jit(lambda at: densities.render(pairs, at, 4, parameters=parameters))(jnp.ones(1))
    assert message in str(error.value) and "\n" not in str(error.value)
