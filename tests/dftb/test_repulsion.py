import math

import jax
import pytest

from qc_jax.dftb import repulsion
from qc_jax.errors import InputError


def test_hydrogen_by_hand():
    """Width √2 · 1.0879024 · 0.31 Å, in bohr."""
    width = math.sqrt(2) * 1.0879024 * 0.31 / 0.529177210903
    closed = repulsion.closed_form([("H", "H")])
    assert closed.widths[0] == pytest.approx(width, rel=1e-9)
    with jax.enable_x64(True):
        value, slope = jax.value_and_grad(closed.evaluate_one)(1.4, 0)
    assert float(value) == pytest.approx(math.erfc(1.4 / width) / 1.4, rel=1e-12)
    step = 1e-5
    rise = math.erfc((1.4 + step) / width) / (1.4 + step)
    fall = math.erfc((1.4 - step) / width) / (1.4 - step)
    assert float(slope) == pytest.approx((rise - fall) / (2 * step), rel=1e-8)


def test_the_published_spline_follows_and_ends():
    published = repulsion.published(repulsion.closed_form([("O", "H")]))
    with jax.enable_x64(True):
        at = [float(published.evaluate_one(r, 0)) for r in (0.3, 1.0, 2.01, 9.0)]
    closed = [float(published.closed.evaluate_one(r, 0)) for r in (0.3, 1.0, 2.01)]
    assert at[:3] == pytest.approx(closed, abs=1e-6) and at[3] == 0.0


def test_an_element_without_parameters_is_named():
    with pytest.raises(InputError, match="Uuo"):
        repulsion.closed_form([("H", "Uuo")])
