"""QM9's features in our units, and its split."""

import numpy as np
import pytest

from qc_jax.chem.units import HARTREE_EV
from qc_jax.data.targets import target
from qc_jax.datasets import qm9
from qc_jax.errors import InputError


def test_every_feature_has_a_target_of_its_unit():
    for name, feature in qm9.TARGETS.items():
        assert feature.factor == (HARTREE_EV if target(name).unit == "eV" else 1.0)
    assert qm9.label({"gap": np.float32(0.25)}, "e_g_ev") == 0.25 * HARTREE_EV


def test_padding_is_taken_off():
    record = {
        "num_atoms": np.int64(2),
        "charges": np.array([8, 1, 0, 0]),
        "positions": np.arange(12, dtype="f4").reshape(4, 3),
    }
    found = qm9.read(record)
    assert found["atomic_numbers"].tolist() == [8, 1] and found["positions"].shape == (2, 3)


def test_published_sizes():
    split = qm9.split(qm9.CHARACTERIZED, 42)
    assert [len(rows) for rows in split.parts().values()] == [110_000, 10_000, 10_831]
    # What TFDS's configuration dimenet does with the numbers of the molecules.
    ids = np.arange(1, qm9.CHARACTERIZED + 1) * 3
    expected = np.random.RandomState(42).permutation(ids)
    np.testing.assert_array_equal(ids[split.train], expected[:110_000])
    np.testing.assert_array_equal(ids[split.test], expected[120_000:])


def test_fewer_molecules_in_the_same_proportions():
    split = qm9.split(59, 1)
    assert [len(rows) for rows in split.parts().values()] == [49, 4, 6]
    assert sorted(np.concatenate(list(split.parts().values()))) == list(range(59))
    assert "of 59 molecules 49 train, 4 validate" in split.description
    with pytest.raises(InputError, match="expected at least 14 molecules to split, got 13"):
        qm9.split(13, 0)
