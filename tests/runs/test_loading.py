"""What a work directory says must agree with what was trained there."""

import json
import re

import pytest

import qc_jax
from qc_jax.errors import InputError


@pytest.fixture(scope="module")
def trained(small_table, tmp_path_factory):
    """A run in a directory, and its config.json."""
    path = tmp_path_factory.mktemp("trained") / "run"
    task = qc_jax.prepare(small_table, "e_homo_ev")
    qc_jax.fit(qc_jax.create("pair_mean"), task, qc_jax.TrainConfig(epochs=1)).save(path)
    return path, json.loads((path / "config.json").read_text())


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("target", "e_lumo_ev", "target or targets: expected e_homo_ev, as in result.json, got e_"),
        ("data", "gfn2_xtb", "data: expected .*, as in result.json, got gfn2_xtb; it was changed"),
        ("data_fingerprint", "0" * 16, "data_fingerprint: expected .*, got 0000000000000000; it"),
    ],
)
def test_an_edited_config_is_refused(trained, field, value, words):
    path, config = trained
    try:
        (path / "config.json").write_text(json.dumps({**config, field: value}))
        with pytest.raises(InputError, match=f"^{re.escape(str(path))}/config.json: {words}"):
            qc_jax.load(path)
    finally:
        (path / "config.json").write_text(json.dumps(config))
    assert qc_jax.load(path).targets == ("e_homo_ev",)


def test_an_empty_name():
    with pytest.raises(InputError, match="a model's name, got an empty name"):
        qc_jax.load("")


def test_a_directory_of_several_trainings_names_where_they_are(trained, tmp_path):
    (tmp_path / "trainings").mkdir()
    with pytest.raises(InputError, match=rf"expected one, of {tmp_path}/trainings/NAME"):
        qc_jax.load(tmp_path)
