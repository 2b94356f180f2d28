"""What a work directory gives back, and what has none."""

import jax
import numpy as np
import pytest

from qc_jax.errors import InputError
from qc_jax.train import loop
from qc_jax.train.restore import open_trained, targets_of
from qc_jax.train.workdir import Workdir
from tests.dynamics import toys


@pytest.mark.slow
def test_a_training_comes_back_as_it_was_kept(tmp_path, monkeypatch):
    kept = []
    fit = loop.fit
    monkeypatch.setattr(loop, "fit", lambda *args: kept.append(fit(*args)))
    workdir = toys.train(tmp_path, epochs=1)
    found = open_trained(workdir)
    assert found.targets == ("total_energy_ev",) and found.config["model"]["name"] == "schnet"
    state = kept[0].state
    for part in ("params", "scaler"):
        ours, theirs = (np.concatenate(_leaves(getattr(one, part))) for one in (found.state, state))
        np.testing.assert_array_equal(ours, theirs)


def _leaves(tree):
    return [np.ravel(leaf) for leaf in jax.tree.leaves(tree)]


def test_nothing_to_restore(tmp_path):
    with pytest.raises(InputError, match=r"is not a work directory of experiments\.train"):
        open_trained(tmp_path)
    config = toys.config(tmp_path)
    Workdir(tmp_path / "run").claim(config)
    with pytest.raises(InputError, match="holds no checkpoint; train first"):
        open_trained(tmp_path / "run")


def test_targets():
    assert targets_of({"targets": "", "target": "e_g_ev"}) == ("e_g_ev",)
    assert targets_of({"targets": "e_g_ev, mu_ev"}) == ("e_g_ev", "mu_ev")
    with pytest.raises(InputError, match="name a target twice"):
        targets_of({"targets": "mu_ev,mu_ev"})
