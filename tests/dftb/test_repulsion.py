import math

import jax
import pytest

from qc_jax.dftb.repulsion import repulsion, repulsion_width
from qc_jax.errors import InputError


def test_hydrogen_by_hand():
    """Width √2 · 1.0879024 · 0.31 Å, in bohr."""
    width = math.sqrt(2) * 1.0879024 * 0.31 / 0.529177210903
    assert repulsion_width("H", "H") == pytest.approx(width, rel=1e-9)
    with jax.enable_x64(True):
        value, slope = jax.value_and_grad(repulsion)(1.4, 1.0, 1.0, width)
    assert float(value) == pytest.approx(math.erfc(1.4 / width) / 1.4, rel=1e-12)
    step = 1e-5
    rise = math.erfc((1.4 + step) / width) / (1.4 + step)
    fall = math.erfc((1.4 - step) / width) / (1.4 - step)
    assert float(slope) == pytest.approx((rise - fall) / (2 * step), rel=1e-8)


def test_an_element_without_parameters_is_named():
    with pytest.raises(InputError, match="Uuo"):
        repulsion_width("H", "Uuo")
