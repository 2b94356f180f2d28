"""Training in Python."""

import pytest

import qc_jax
from qc_jax.errors import InputError
from qc_jax.runs.workdir import Workdir


def test_a_directory_keeps_one_training(small_table, tmp_path):
    """Another one would be given its weights."""
    model = qc_jax.create("pair_mean")
    homo, lumo = (qc_jax.prepare(small_table, name) for name in ("e_homo_ev", "e_lumo_ev"))
    first = qc_jax.fit(model, homo, observers=[Workdir(tmp_path / "run")])
    again = qc_jax.fit(model, homo, observers=[Workdir(tmp_path / "run")])
    assert (
        again.predict("C_O") == first.predict("C_O") == qc_jax.load(tmp_path / "run").predict("C_O")
    )
    with pytest.raises(InputError, match="target is 'e_homo_ev' there, 'e_lumo_ev' asked"):
        qc_jax.fit(model, lumo, observers=[Workdir(tmp_path / "run")])


def test_a_directory_keeps_its_initial_weights(small_table, tmp_path):
    """Its checkpoint would be the result whatever weights are given later."""
    model, task = qc_jax.create("gcn", hidden=4, layers=1), qc_jax.prepare(small_table, "e_homo_ev")
    config = qc_jax.TrainConfig(epochs=1)
    workdirs = [Workdir(tmp_path / "run")]
    first = qc_jax.fit(model, task, config, workdirs)
    with pytest.raises(InputError, match=r"^initial: .*run holds a training that started from oth"):
        qc_jax.fit(model, task, config, workdirs, initial=first.variables)
    again = qc_jax.fit(model, task, config, workdirs)
    assert again.predict("C_O") == first.predict("C_O")
