"""What `predict` says of structures that are no pairs."""

import numpy as np
import pytest

from qc_jax.data.atoms import Structure
from qc_jax.runs import queries
from qc_jax.runs.ensemble import Ensemble


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:outside of what the model")
def test_a_molecule_has_no_bond_length():
    places = np.array([[0, 0, 0.12], [0, 0.76, -0.48], [0, -0.76, -0.48]])
    water = Structure(np.array([8, 1, 1]), places)
    row = queries.of_structure(Ensemble(["tight_binding/ptbp"]), "water", water)
    undefined = {name for name, value in row["predicted"].items() if value is None}
    assert undefined == {"distance_ang"}
