"""Sweeps as a user runs them."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from experiments.configs import gcn
from qc_jax import models
from qc_jax.data.table import open_table
from qc_jax.data.targets import BENCHMARK_TARGETS
from qc_jax.errors import InputError
from qc_jax.runs import grids, sweep
from qc_jax.runs.config import RunConfig
from qc_jax.runs.workdir import Workdir
from tests.conftest import SCRIPT_ENVIRONMENT
from tests.experiments.kill_grid import kill_and_compare, lines

TRAIN = ("-m", "experiments.train", "--config=experiments/configs/gcn.py:quick")


def config(**changes):
    card = gcn.get_config("quick")
    card.sweep.update(changes)
    return card.to_dict()


def test_every_combination_has_a_name():
    assert not sweep.is_swept(config())
    expanded = sweep.expand(config(target="all", seed="1,2", lr="1e-3, 0.01", dropout="0.0,0.5"))
    assert len(expanded) == len(BENCHMARK_TARGETS) * 8
    one = expanded["e_g_ev-seed2-lr0.01-dropout0.5"]
    assert (one["target"], one["seed"], one["lr"], one["model"]["dropout"]) == (
        *("e_g_ev", 2, 0.01, 0.5),
    )
    assert not sweep.is_swept(one)
    swept = sweep.expand(config(model="schnet,egnn"))
    assert swept["egnn"]["model"]["name"] == "egnn" and "cutoff" in swept["schnet"]["model"]


def test_the_model_of_the_card_keeps_its_fields():
    swept = sweep.expand(config(model="gcn,schnet"))
    assert swept["gcn"]["model"] == config()["model"] != models.defaults("gcn")
    assert swept["schnet"]["model"] == {"name": "schnet", **models.defaults("schnet")}


def test_numbers_that_agree_to_six_digits_have_names_of_their_own():
    expanded = sweep.expand(config(seed="42,20240101,20240102"))
    assert {name: one["seed"] for name, one in expanded.items()} == {
        f"seed{seed}": seed for seed in (42, 20240101, 20240102)
    }
    rates = {"lr0.001": 1e-3, "lr1e-05": 1e-5, "lr0.0012345671": 0.0012345671}
    expanded = sweep.expand(config(lr="1e-3,0.00001,0.0012345671,0.0012345672"))
    got = {name: one["lr"] for name, one in expanded.items()}
    assert got == rates | {"lr0.0012345672": 0.0012345672}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"seed": "1,x"}, "sweep.seed=1,x: expected numbers with commas between"),
        ({"lr": "0.1,0.1"}, "sweep.lr=0.1,0.1: expected different values"),
        ({"lr": "0.001,1e-3"}, "sweep.lr=0.001,1e-3: expected different values"),
        ({"seed": "7,07"}, "sweep.seed=7,07: expected different values"),
        ({"target": "a:b,a.b"}, r"sweep: expected different names of trainings, got a\.b twice"),
        ({"model": "egnn", "dropout": "0.1"}, "sweep.dropout: egnn has no dropout"),
        ({"model": "egn"}, "unknown model 'egn'"),
    ],
)
def test_bad_input(changes, words):
    with pytest.raises(InputError, match=words):
        sweep.expand(config(**changes))


def test_a_training_is_no_path(tmp_path):
    with pytest.raises(InputError, match="training k_fold:1/5: expected a name without '/'"):
        sweep.Sweep({"k_fold:1/5": config()}, tmp_path / "sweep")
    assert not (tmp_path / "sweep").exists()


def test_a_name_that_is_taken_leaves_nothing_half_made(tmp_path):
    configs = sweep.expand(config(seed="1,2"))
    data = {"data": "ptbp", "data_dir": "", "data_fingerprint": open_table("ptbp").fingerprint()}
    Workdir(tmp_path, config_name="sweep.json").claim(data)
    taken = RunConfig.from_dict({**configs["seed2"], "epochs": 9}).to_dict()
    Workdir(tmp_path / "trainings" / "seed2").claim(taken)
    with pytest.raises(InputError, match=r"seed2 holds another run .*epochs is 9 there, 2 asked"):
        sweep.Sweep(configs, tmp_path)
    assert not (tmp_path / "trainings" / "seed1").exists()


def test_a_later_sweep_may_have_some_of_what_has_ended(tmp_path):
    sweep.Sweep(sweep.expand(config(seed="1,2")), tmp_path, stack=2)
    configs = sweep.expand(config(seed="2,3"))
    with pytest.raises(InputError, match=r"stacks\.json: seed1 is trained together with others"):
        sweep.Sweep(configs, tmp_path, stack=2)
    for name in ("seed1", "seed2"):
        Workdir(tmp_path / "trainings" / name).write_failure("not finite")
    assert len(sweep.Sweep(configs, tmp_path, stack=2)) == 2
    stacks = json.loads((tmp_path / "stacks.json").read_text())
    assert stacks == [["seed1", "seed2"], ["seed3"]]


@pytest.fixture(scope="module")
def swept(run_python, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("sweep") / "run"
    flags = ("--config.sweep.target=e_homo_ev,softness_evinv", "--config.sweep.seed=1,2")
    done = run_python(*TRAIN, f"--workdir={workdir}", *flags)
    assert done.returncode == 0, done.stderr
    return workdir, flags, done


@pytest.mark.slow
def test_results(swept, run_python):
    """Of each training; each is the work directory of a run, and no other is there."""
    workdir, _, done = swept
    got = [line for line in lines(workdir) if line["metric"] == "mae"]
    names = [line["training"] for line in got]
    assert names == [f"{t}-seed{s}" for t in ("e_homo_ev", "softness_evinv") for s in (1, 2)]
    assert sorted(path.name for path in (workdir / "trainings").iterdir()) == sorted(names)
    for line in got:
        result = json.loads((workdir / "trainings" / line["training"] / "result.json").read_text())
        assert float(line["value"]) == result["test"][line["target"]]["mae"]
        assert line["status"] == "finished" and line["epochs"] == "2"
    assert " ± " in done.stdout and "softness_evinv" in done.stdout
    shown = run_python(
        "-m", "experiments.predict", f"--workdir={workdir}/trainings/{names[0]}", "C", "O"
    )
    assert shown.returncode == 0 and "e_homo_ev" in shown.stdout, shown.stderr


@pytest.mark.slow
def test_one_of_them_alone_gives_the_same(swept, run_python, tmp_path):
    workdir, _, _ = swept
    flags = ("--config.target=e_homo_ev", "--config.seed=2", f"--workdir={tmp_path / 'run'}")
    done = run_python(*TRAIN, *flags)
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    line = next(line for line in lines(workdir) if line["training"] == "e_homo_ev-seed2")
    assert line["metric"] == "mae"
    assert float(line["value"]) == pytest.approx(result["test"]["e_homo_ev"]["mae"], rel=1e-4)
    assert int(line["best_epoch"]) == result["best_epoch"]


@pytest.mark.slow
def test_a_finished_sweep_is_shown_again(swept, run_python):
    workdir, flags, done = swept
    before = {path: path.stat().st_mtime_ns for path in (workdir / "trainings").rglob("*")}
    again = run_python(*TRAIN, f"--workdir={workdir}", *flags)
    assert again.returncode == 0 and again.stdout == done.stdout
    after = {path: path.stat().st_mtime_ns for path in (workdir / "trainings").rglob("*")}
    assert after == before


@pytest.mark.slow
def test_sigterm_saves_and_says_how_to_go_on(tmp_path):
    """The process ends by itself, with 143, and the same command goes on from there."""
    flags = (f"--workdir={tmp_path / 'run'}", "--config.sweep.seed=1,2", "--config.epochs=5000")
    flags += ("--config.early_stopping_patience=5000", "--config.checkpoint_every=4000")
    process = subprocess.Popen(
        [sys.executable, *TRAIN, *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | SCRIPT_ENVIRONMENT,
    )
    metrics = tmp_path / "run" / "trainings" / "seed1" / "metrics.jsonl"
    deadline = time.monotonic() + 120
    while not (metrics.exists() and metrics.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM, err
    assert "the same command goes on" in out
    (saved,) = (tmp_path / "run" / "stacks" / "0").iterdir()
    assert int(saved.name) == len(metrics.read_text().splitlines())


@pytest.mark.slow
def test_kills_change_nothing(tmp_path):
    flags = ("--config.epochs=60", "--config.checkpoint_every=3")
    assert kill_and_compare(tmp_path, 2, flags, os.environ | SCRIPT_ENVIRONMENT) == 2


def test_setting_is_where_a_training_departs_from_its_card():
    (config,) = grids.trainings(["tight_binding"], BENCHMARK_TARGETS, (42,)).values()
    assert sweep.setting(config) == ""
    changed = {**config, "embedding_noise": 0.3, "model": {**config["model"], "described": True}}
    assert sweep.setting(changed) == "embedding_noise 0.3, described True"
    (plain,) = grids.trainings(["gcn"], ["e_g_ev"], (42,), init="torch").values()
    assert sweep.setting(plain) == "init torch"


def test_setting_tells_targets_that_are_learned_together_from_those_learned_alone():
    alone = {**config(), "epochs": 100, "model": {"name": "gcn"}}
    assert sweep.setting(alone) == sweep.setting({**alone, "targets": "e_homo_ev"}) == ""
    for targets in ("total_energy_ev,e_homo_ev", "e_homo_ev, total_energy_ev"):
        together = sweep.setting({**alone, "targets": targets})
        assert together == "targets e_homo_ev total_energy_ev"
    assert sweep.setting({**alone, "targets": "all"}) == "targets all"


def test_setting_of_a_card_of_all_targets():
    """It is usual there; fewer of them are another training."""
    (fewer,) = grids.trainings(["tight_binding"], ["e_homo_ev", "e_g_ev"], (42,)).values()
    assert sweep.setting(fewer) == "targets e_g_ev e_homo_ev"
    assert sweep.setting({**fewer, "targets": ",".join(reversed(BENCHMARK_TARGETS))}) == ""
    assert sweep.setting({**fewer, "targets": ""}) == "targets alone"
