"""Every architecture has an experiment card, and every card runs."""

import importlib
import pathlib

import pytest

from experiments import configs, runs
from qc_jax import models
from qc_jax.errors import InputError

FOLDER = pathlib.Path(configs.__file__).parent
CARDS = sorted({path.stem for path in FOLDER.glob("*.py")} - {"__init__", "common"})


def card(name: str, preset: str = ""):
    return importlib.import_module(f"experiments.configs.{name}").get_config(preset)


def test_every_model_has_a_card():
    assert {card(name).model.name for name in CARDS} == set(models.available())


@pytest.mark.parametrize("name", CARDS)
def test_a_card_says_how_to_run_it_and_what_to_expect(name):
    text = importlib.import_module(f"experiments.configs.{name}").__doc__
    assert f"--config=experiments/configs/{name}.py" in text
    assert "e_homo_ev" in text and "parameters" in text
    model, _, _ = runs.model_of(card(name).to_dict())
    counted = models.describe(card(name).model.name).parameters
    if model == models.create(card(name).model.name):
        assert f"{counted:,} parameters" in text


@pytest.mark.parametrize("name", CARDS)
def test_the_quick_run_is_of_a_smaller_model(name):
    """All its hyper-parameters are fields, so that the command line can change them."""
    quick, whole = card(name, "quick").to_dict(), card(name).to_dict()
    assert set(quick["model"]) == {"name", *models.defaults(whole["model"]["name"])}
    assert quick["epochs"] == 2 and whole["epochs"] == 50
    assert quick["model"] != whole["model"] or set(whole["model"]) == {"name"}
    runs.model_of(quick)


@pytest.mark.slow
@pytest.mark.parametrize("name", CARDS)
def test_the_quick_run(name, run_python, tmp_path):
    """As a user starts it; and its pair is predicted."""
    flags = (f"--config=experiments/configs/{name}.py:quick", f"--workdir={tmp_path / 'run'}")
    done = run_python("-m", "experiments.train", *flags)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "parity.png").exists()
    done = run_python("-m", "experiments.predict", f"--workdir={tmp_path / 'run'}", "C", "O")
    assert done.returncode == 0, done.stderr
    assert "e_homo_ev" in done.stdout


def test_an_unknown_preset():
    with pytest.raises(InputError, match="unknown preset 'tiny'; choose one of: '', quick"):
        card("egnn", "tiny")
