"""Predictions of test rows, written and read."""

import numpy as np
import pytest

from qc_jax.errors import InputError
from qc_jax.evaluate import predictions


@pytest.fixture
def some():
    return predictions.Predictions(
        targets=("e_homo_ev", "e_lumo_ev"),
        names=np.array(["C_O", "Ag_Al"]),
        true=np.array([[-9.0, -8.0], [-5.0, -5.0]], np.float32),
        predicted=np.array([[-9.5, -8.0], [-4.0, -4.75]], np.float32),
    )


def test_round_trip(some, tmp_path):
    some.write(tmp_path / "predictions.npz")
    got = predictions.read(tmp_path / "predictions.npz")
    assert got.targets == some.targets
    for name in ("names", "true", "predicted"):
        np.testing.assert_array_equal(getattr(got, name), getattr(some, name))
    np.testing.assert_array_equal(got.errors("e_homo_ev"), [0.5, 1.0])
    np.testing.assert_array_equal(got.errors("e_lumo_ev"), [0.0, 0.25])


def test_damage_is_told(some, tmp_path):
    path = tmp_path / "predictions.npz"
    with pytest.raises(InputError, match=r"predictions\.npz: no such file"):
        predictions.read(path)
    some.write(path)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(InputError, match=r"predictions\.npz: not predictions of test rows"):
        predictions.read(path)
    some._replace(predicted=some.predicted[:1]).write(path)
    with pytest.raises(InputError, match=r"expected numbers of shape \(2, 2\), got .* \(1, 2\)"):
        predictions.read(path)
    np.savez(path, names=some.names)
    with pytest.raises(InputError, match="targets"):
        predictions.read(path)
