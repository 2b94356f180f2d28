"""Every architecture has an experiment card, and every card runs."""

import importlib
import pathlib

import jax
import pytest

from experiments import configs
from qc_jax import models
from qc_jax.errors import InputError
from qc_jax.runs import building, record, scoring
from qc_jax.runs.config import RunConfig
from qc_jax.runs.workdir import Workdir
from qc_jax.train import loop

FOLDER = pathlib.Path(configs.__file__).parent
CARDS = sorted({path.stem for path in FOLDER.glob("*.py")} - {"__init__"})


def card(name: str, preset: str = ""):
    return importlib.import_module(f"experiments.configs.{name}").get_config(preset)


def test_every_model_has_a_card():
    assert {card(name).model.name for name in CARDS} == set(models.available())


@pytest.mark.parametrize("name", CARDS)
def test_a_card_says_how_to_run_it_and_what_to_expect(name):
    text = importlib.import_module(f"experiments.configs.{name}").__doc__
    assert f"--config={name}" in text
    assert "e_homo_ev" in text and "parameters" in text
    model = RunConfig.from_dict(card(name).to_dict()).architecture()
    counted = models.describe(card(name).model.name).parameters
    if model == models.create(card(name).model.name):
        assert f"{counted:,} parameters" in text


@pytest.mark.parametrize("name", CARDS)
def test_the_quick_run_is_of_a_smaller_model(name):
    """All its hyper-parameters are fields, so that the command line can change them."""
    quick, whole = card(name, "quick").to_dict(), card(name).to_dict()
    assert set(quick["model"]) == {"name", *models.defaults(whole["model"]["name"])}
    assert quick["epochs"] == 2 and whole["epochs"] >= 50
    assert quick["model"] != whole["model"] or set(whole["model"]) == {"name"}
    RunConfig.from_dict(quick)


@pytest.mark.slow
@pytest.mark.parametrize("name", CARDS)
def test_the_quick_run(name, tmp_path):
    """On a part of the shipped table, scored; the scripts around it have tests of their own."""
    config = card(name, "quick").to_dict() | {"train_fraction": 0.1}
    # Labels that are missing and masked are NaN, in memory.
    with jax.debug_nans(config["missing_labels"] != "mask"):
        run = building.from_config(config)
        workdir = Workdir(tmp_path / "run")
        record.claim(run, workdir)
        trained = loop.fit(run.model, run.task, run.settings, [workdir])
        result = scoring.score(run, trained.state, {}).result
    assert result["epochs"] == (1 if run.model.closed_form else 2)
    assert 0 < result["test"]["e_homo_ev"]["mae"] < 10


def test_an_unknown_preset():
    with pytest.raises(InputError, match="unknown preset 'tiny'; choose one of: '', quick"):
        card("egnn", "tiny")
