"""What a study is of where no flag says so."""

import types

from qc_jax.runs.config import RunConfig
from qc_jax.runs.workdir import Workdir
from qc_jax.studies import registry


def test_all_targets_of_a_training_count(tmp_path):
    """A model that learns several at once has `target` beside them, which nobody asked for."""
    config = RunConfig.from_dict({"model": "egnn", "targets": "e_lumo_ev,e_g_ev"}).to_dict()
    Workdir(tmp_path / "trainings" / "one").claim(config)
    flags = types.SimpleNamespace(asked=lambda *given: given)
    names, targets, _ = registry.grid("elements", Workdir(tmp_path), flags, models_given=False)
    assert (names, targets) == (("egnn",), ("e_g_ev", "e_lumo_ev"))
