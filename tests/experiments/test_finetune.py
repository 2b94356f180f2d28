"""A training that starts from another one's weights, on real frames."""

import contextlib
import importlib
import json
import pathlib

import numpy as np
import pytest

from experiments import finetune, train
from experiments.configs import schnet
from qc_jax.errors import InputError
from qc_jax.evaluate import predictions
from qc_jax.runs import building, cards, initial, record, results, scoring, sources
from qc_jax.runs.config import RunConfig
from qc_jax.runs.loading import load
from qc_jax.runs.workdir import Workdir
from qc_jax.train import loop

FIXTURES = pathlib.Path(__file__).parents[1] / "fixtures"
DATA = f"md17:{FIXTURES / 'md17_ethanol.npz'}"
PUBLISHED = pathlib.Path(__file__).parents[3] / "shared" / "published" / "configuration.json"
KINDS = ("qm9", "md17", "crysmtm")


def card(kind: str, preset: str = "") -> dict:
    module = importlib.import_module(f"experiments.configs.finetune.{kind}")
    return module.get_config(preset).to_dict()


def pretrain(folder: pathlib.Path, small_table) -> pathlib.Path:
    """FOLDER/pre, the work directory of a training of a tiny SchNet on pairs."""
    small_table.save(folder / "table.npz")
    config = schnet.get_config("quick").to_dict()
    config |= {"data": str(folder / "table.npz"), "epochs": 1, "target": "total_energy_ev"}
    config["model"] |= {"hidden": 8, "filters": 8, "interactions": 1, "gaussians": 4}
    run = building.from_config(config)
    workdir = Workdir(folder / "pre")
    record.claim(run, workdir)
    trained = loop.fit(run.model, run.task, run.settings, [workdir])
    scoring.score(run, trained.state, {}).write(workdir)
    return workdir.path


@pytest.fixture(scope="module")
def folder(small_table, tmp_path_factory):
    """pre, a pretrained work directory."""
    return pretrain(tmp_path_factory.mktemp("finetune"), small_table).parent


def asked(folder, source="pre", **changes) -> dict:
    config = card("md17") | {"data": DATA, "data_dir": str(folder / "tfds")}
    config["transfer"] |= {"source": str(folder / source) if source != "scratch" else source}
    config["transfer"] |= changes.pop("transfer", {})
    return config | changes


@pytest.mark.skipif(not PUBLISHED.exists(), reason="the published configuration is not at hand")
@pytest.mark.parametrize("kind", KINDS)
def test_cards_are_the_published_ones(kind):
    published = json.loads(PUBLISHED.read_text())["transfer"][kind]
    config = card(kind)
    for name in ("batch_size", "epochs", "early_stopping_patience", "loss"):
        assert config[name] == published[name], name
    for name in ("lr_scratch", "lr_finetune"):
        assert config["transfer"][name] == published.get(name, published.get("lr"))
    known = published.get("targets") or published["target"]
    assert config["target"] in known.values()
    assert card(kind, "quick")["epochs"] == 2
    assert card(kind, "gotennet")["model"]["heads"] == 2


def test_the_run_takes_the_weights_over(folder):
    config = initial.resolve(asked(folder))
    assert config["lr"] == 1e-5 and config["model"]["hidden"] == 8
    run = initial.read(building.from_config(config))
    head = [f"params/out_{i}/{leaf}" for i in (0, 1) for leaf in ("bias", "kernel")]
    assert list(run.matched.left) == head and len(run.matched.taken) == 10
    assert len(run.config.transfer.weights_sha256) == 64
    assert [len(rows) for rows in run.task.split.parts().values()] == [47, 2, 51]
    kept = initial.read(
        building.from_config(initial.resolve(asked(folder, transfer={"head": "kept"})))
    )
    assert not kept.matched.left
    scratch = initial.resolve(asked(folder, "scratch"))
    assert scratch["lr"] == 1e-4 and scratch["model"]["name"] == "schnet"
    assert initial.read(building.from_config({**scratch, "train_rows": 9})).initial is None


def test_bad_input(folder):
    def read(source="pre", **changes):
        return initial.read(building.from_config(initial.resolve(asked(folder, source, **changes))))

    with pytest.raises(InputError, match="nowhere is not the directory of a training"):
        read("nowhere")
    with pytest.raises(InputError, match=r"scaling=kept: expected labels as .* has them"):
        read(transfer={"scaling": "kept"})
    with pytest.raises(InputError, match="expected 1 to 47 training rows, got 48"):
        read(train_rows=48)
    with pytest.raises(InputError, match="split 'by_type': expected 'collection'"):
        read(split="by_type")
    with pytest.raises(InputError, match=r"train_fraction is of pairs; expected 1\.0 for data"):
        read(train_fraction=0.5)
    with pytest.raises(InputError, match="train_rows is of larger structures; expected 0"):
        building.from_config({**Workdir(folder / "pre").config(), "train_rows": 5})
    with pytest.raises(InputError, match="expected a table of pairs, got larger structures"):
        sources.open_table(DATA, "")


@pytest.mark.parametrize("kind", KINDS)
def test_the_card_follows_from_the_data(kind):
    finetune.FLAGS.reset()
    finetune.FLAGS.parse(["--from=scratch", f"--data={kind}:x", "--workdir=w", "--config.lr=1"])
    assert finetune._CONFIG.value == cards.whole(card(kind) | {"lr": 1.0})


def test_the_target_goes_before_the_cards_targets(monkeypatch):
    got = []
    monkeypatch.setattr(finetune.train, "run", lambda config, *_: got.append(config))
    finetune.FLAGS.reset()
    flags = ["--from=scratch", f"--data={DATA}", "--workdir=w", "--target=e_g_ev"]
    finetune.FLAGS.parse([*flags, "--config.targets=e_homo_ev,e_lumo_ev"])
    finetune.main([])
    assert RunConfig.from_dict(initial.resolve(got[0])).target_names == ("e_g_ev",)


@pytest.mark.slow
def test_as_a_user_starts_it(folder, run_python, tmp_path):
    """Energies and forces, in the files of experiments.train; a second run trains nothing."""
    command = (
        *("-m", "experiments.finetune", f"--from={folder / 'pre'}", f"--data={DATA}"),
        *(f"--data_dir={folder / 'tfds'}", f"--workdir={tmp_path / 'run'}", "--config.epochs=2"),
        *("--config.force_weight=1", "--config.transfer.head=kept", "--config.layer_lr=elements=0"),
    )
    done = run_python(*command)
    assert done.returncode == 0, done.stderr
    assert "14 of 14 variables taken over; learning rates times elements=0" in done.stdout
    again = run_python(*command)
    assert again.stdout == done.stdout[done.stdout.index("schnet on") :]
    assert again.stderr == ""
    workdir = Workdir(tmp_path / "run")
    result = workdir.result()
    rows = results.rows({"training": "run"}, result)
    of_forces = {row["metric"]: row["value"] for row in rows if row["target"] == "force_ev_ang"}
    assert 0.1 < of_forces["mae"] < 10 and 0.5 < of_forces["mae_element_sum"] < 1
    energies = predictions.read(workdir.path / "predictions.npz")
    assert energies.true.dtype == np.float64 and (energies.true < -300).all()
    np.testing.assert_allclose(
        energies.errors("total_energy_ev").mean(), result["test"]["total_energy_ev"]["mae"]
    )
    state = load(workdir.path).state
    before, _, _ = initial._pretrained(str(folder / "pre"))
    frozen = (each.params["elements"]["embedding"] for each in (state, before))
    np.testing.assert_array_equal(next(frozen), next(frozen))
    evaluated = run_python("-m", "experiments.evaluate", f"--workdir={tmp_path / 'run'}")
    assert evaluated.returncode == 0, evaluated.stderr
    mae = f"{result['test']['force_ev_ang']['mae']:#.4g}"
    assert mae in evaluated.stdout


@pytest.mark.slow
def test_the_packed_tight_binding_network_learns_molecules(folder, run_python, tmp_path):
    """Weights of pairs; energies start right on average."""
    done = run_python(
        *("-m", "experiments.finetune", "--from=tight_binding/ptbp", f"--data={DATA}"),
        *(f"--data_dir={folder / 'tfds'}", f"--workdir={tmp_path / 'run'}", "--config.lr=1e-3"),
        *("--config.force_weight=1", "--config.epochs=20", "--config.grad_clip_norm=1.0"),
    )
    assert done.returncode == 0, done.stderr
    assert "13 of 16 variables taken over" in done.stdout
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    maes = [json.loads(line)["validation_mae"] for line in lines]
    assert maes[0]["total_energy_ev"] < 3  # of -309.6
    assert maes[-1]["force_ev_ang"] < 0.7 * maes[0]["force_ev_ang"]


def test_weights_are_read_when_the_processes_are_joined(monkeypatch, tmp_path):
    """Not before: reading them starts JAX, after which processes cannot be joined."""
    joined = []

    class Group:
        @contextlib.contextmanager
        def joined(self):
            joined.append(True)
            yield

    def resolve(config):
        raise InputError(f"read, joined {joined}")

    monkeypatch.setattr(initial, "resolve", resolve)
    with pytest.raises(InputError, match=r"read, joined \[True\]"):
        train.run(card("md17"), str(tmp_path), Group())
