"""Cards, dicts, JSON and Python make the same configuration; what is wrong is told in a line."""

import json
import typing

import pytest

from experiments.configs import egnn, multimodal
from qc_jax import models
from qc_jax.errors import InputError
from qc_jax.runs.config import ModelConfig, RunConfig, TransferConfig
from qc_jax.train.config import TrainConfig


def test_cards_json_and_python_are_the_same():
    card = RunConfig.from_dict(egnn.get_config().to_dict())
    assert card == RunConfig(ModelConfig("egnn", models.defaults("egnn")))
    changed = card.replace(epochs=7, split="by_period", transfer={"source": "runs/a"})
    assert changed.train == TrainConfig(epochs=7) and changed.split == "by_period"
    assert changed.transfer == TransferConfig("runs/a")
    assert RunConfig.from_dict(json.loads(json.dumps(changed.to_dict()))) == changed
    images = multimodal.get_config().to_dict()
    assert RunConfig.from_dict(images).to_dict()["model"] == images["model"]


def test_an_architecture_is_the_configuration_that_it_has():
    model = models.create("schnet", hidden=8, outputs=3)
    found = ModelConfig.of(model)
    assert found.name == "schnet" and found.source == "" and found.create(3) == model


def test_several_targets():
    def names(**fields):
        return RunConfig.from_dict({"model": {"name": "gcn"}, **fields}).target_names

    assert names(target="e_g_ev") == ("e_g_ev",)
    assert names(targets="e_g_ev, mu_ev") == ("e_g_ev", "mu_ev")
    assert len(names(targets="all")) == 20


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"epochs": "many"}, "epochs: expected a whole number, got 'many'"),
        ({"epochs": True}, "epochs: expected a whole number, got True"),
        ({"epochs": 2.0}, "epochs: expected a whole number, got 2.0"),
        ({"lr": None}, "lr: expected a number, got None"),
        ({"stream": 1}, "stream: expected true or false, got 1"),
        ({"data": 3}, "data: expected text, got 3"),
        ({"epoch": 3}, "unknown field 'epoch'; choose one of: augment"),
        ({"train_fraction": 0.0}, "train_fraction: expected above 0 to 1, got 0.0"),
        ({"canvas_size": 2}, "canvas size: expected a whole number from"),
        ({"scale_on": "test"}, "unknown scale_on 'test'"),
        ({"targets": "mu_ev,mu_ev"}, "name a target twice"),
        ({"target": "e"}, "unknown target 'e'"),
        ({"sweep": {"stack": -1}}, "sweep.stack: expected at least 0, got -1"),
        ({"sweep": {"stack": "all"}}, "sweep.stack: expected a whole number, got 'all'"),
        ({"sweep": {"seeds": "1"}}, "unknown field of sweep 'seeds'"),
        ({"sweep": 3}, "sweep: expected fields and their values, got 3"),
        ({"transfer": {"head": "old"}}, "unknown transfer.head 'old'"),
        ({"imported": "yes"}, "imported: expected fields and their values, got 'yes'"),
        ({"model": {"name": "egn"}}, "unknown model 'egn'"),
        ({"model": {"name": "egnn", "depth": 3}}, "unknown hyper-parameter of egnn 'depth'"),
        ({"schema": 2}, "schema: expected at most 1, got 2: of a newer qc_jax"),
        ({"schema": "1"}, "schema: expected a whole number from 1, got '1'"),
    ],
)
def test_wrong_fields(fields: dict[str, typing.Any], words: str):
    with pytest.raises(InputError, match=words) as caught:
        RunConfig.from_dict({"model": {"name": "egnn"}, **fields})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("given", [None, [], 3, "egnn"])
def test_no_fields_at_all(given):
    with pytest.raises(InputError, match="expected fields and their values"):
        RunConfig.from_dict(given)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"images": "photo"}, "unknown images 'photo'; choose one of: canvas, densities"),
        ({"images": "densities:rho"}, "unknown channel of densities 'rho'"),
        ({"images": "densities", "canvas_size": 2000}, "expected at most 1024 pixels of densities"),
        (
            {"augment": "rotate"},
            "augment=rotate: expected images=densities; a canvas is no picture",
        ),
        ({"average_symmetries": True}, "average_symmetries: expected images=densities; a canvas"),
        ({"augment": "twist"}, "unknown augment 'twist'; choose one of: exchange, reflect, rotate"),
        (
            {"augment": "exchange", "force_weight": 1.0},
            "augment=exchange: expected a training without forces",
        ),
        (
            {"augment": "exchange", "target": "dipole_z_d"},
            "augment=exchange: dipole_z_d changes its sign with the order of the atoms",
        ),
        (
            {"images": "densities", "model": {"name": "vit", "channels": (1, 2)}},
            "model.channels are of the canvas; expected images=densities:NAME,… to choose",
        ),
        (
            {"images": "densities", "augment": "rotate", "model": "egnn"},
            "augment=rotate: expected a model that reads images",
        ),
        (
            {"images": "densities", "average_symmetries": True, "model": "egnn"},
            "average_symmetries: expected a model that reads images",
        ),
        (
            {"augment": "exchange", "average_symmetries": True},
            "average_symmetries: expected images=densities; a canvas",
        ),
    ],
)
def test_wrong_images(fields, message):
    with pytest.raises(InputError) as error:
        RunConfig.from_dict({"model": "vit", **fields})
    assert message in str(error.value) and "\n" not in str(error.value)


def test_inputs_name_the_kind_of_images():
    config = RunConfig.from_dict({"model": "film_cnn"})
    assert config.inputs == ("atomic_numbers", "positions", "canvas")
    densities = config.replace(images="densities:homo")
    assert densities.inputs == ("atomic_numbers", "positions", "densities")
    assert RunConfig.from_dict({"model": "egnn", "images": "densities"}).inputs[-1] == "positions"
