"""Distributed runs as users start them: equal results, deaths, signals, bad flags."""

import csv
import json
import pathlib
import signal
import time

import numpy as np
import pytest

from tests.experiments.kill_grid import lines, weights
from tests.together import Ended, Together

TRAIN = ("-m", "experiments.train", "--config=gcn:quick")
DEAD_AFTER = 10  # s, of a process that a test kills
SLOW_AFTER = 300  # of one that only waits for a core
JOINED = (
    *("--distributed", "--coordinator={coordinator}", "--processes={processes}"),
    "--process={process}",
)
ONE = (
    *("--config.epochs=30", "--config.early_stopping_patience=30"),
    *("--config.checkpoint_every=3", "--config.batch_size=256"),
)
SWEEP = (
    "--config.data=gfn2_xtb",  # all pairs have both targets, so that all trainings are alike
    *("--config.epochs=300", "--config.early_stopping_patience=300"),
    *("--config.checkpoint_every=10", "--config.batch_size=256"),
    *("--config.sweep.target=e_homo_ev,e_lumo_ev", "--config.sweep.seed=42,123"),
)


def start(folder: pathlib.Path, *flags: str, dead_after: int = SLOW_AFTER) -> Together:
    """Two processes on `folder`/run."""
    flags = (f"--workdir={folder / 'run'}", f"--dead_after={dead_after}", *flags)
    return Together(folder, *TRAIN, *JOINED, *flags)


def assert_all_well(ended: list[Ended]) -> None:
    """The first one speaks, and nobody complains."""
    assert [each.returncode for each in ended] == [0, 0], ended
    assert "errors on" in ended[0].stdout and "Gloo" not in ended[0].stdout
    assert_silent(ended[1])


def assert_silent(second: Ended) -> None:
    """But for orbax, which tells what a kill has left of a checkpoint."""
    assert second.stdout == "" and second.stderr.count("\n") == second.stderr.count(
        "not finalized."
    )


def history(workdir: pathlib.Path) -> list[dict]:
    """The epochs of metrics.jsonl without their seconds."""
    read = map(json.loads, (workdir / "metrics.jsonl").read_text().splitlines())
    return [{key: value for key, value in line.items() if key != "seconds"} for line in read]


def wait_for_epochs(workdir: pathlib.Path, runs: int, epochs: int, together: Together) -> None:
    """Until so many trainings have so many epochs."""
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline:
        files = (*workdir.glob("metrics.jsonl"), *workdir.glob("trainings/*/metrics.jsonl"))
        found = [path.read_text().count("\n") for path in files]
        if len(found) == runs and min(found) >= epochs:
            return
        assert all(process.poll() is None for process in together.processes), together.wait()
        time.sleep(0.02)
    raise AssertionError(f"no {epochs} epochs of {runs} trainings in time")


def kill(together: Together, process: int) -> None:
    """Kills one process: the other ends within the bound, by itself or by JAX."""
    begin = time.monotonic()
    together.processes[process].kill()
    ended = together.wait()
    assert time.monotonic() - begin < DEAD_AFTER + 10
    other = ended[1 - process]
    assert other.returncode not in (0, None) and other.stdout == ""


def stop(together: Together, process: int) -> None:
    """Asks one process to stop: all save and stop."""
    together.processes[process].send_signal(signal.SIGTERM)
    ended = together.wait()
    assert [each.returncode for each in ended] == [143, 143], ended
    assert ended[0].stdout == "stopped by SIGTERM, and all is saved: the same command goes on\n"
    assert_silent(ended[1])


@pytest.mark.slow
def test_a_shared_batch(tmp_path, run_python):
    """Equals four devices of one process; a death on the way changes nothing."""
    done = run_python(*TRAIN, f"--workdir={tmp_path / 'one'}", *ONE, devices=4)
    assert done.returncode == 0, done.stderr
    assert_all_well(start(tmp_path / "whole", *ONE).wait())
    whole, one = tmp_path / "whole" / "run", tmp_path / "one"
    for line, expected in zip(history(whole), history(one), strict=True):
        for key in ("loss", "validation_loss", "lr", "epoch"):
            assert line[key] == pytest.approx(expected[key], rel=1e-3)
    got, expected = (json.loads((run / "result.json").read_text()) for run in (whole, one))
    assert got["test"]["e_homo_ev"] == pytest.approx(expected["test"]["e_homo_ev"], rel=1e-2)
    assert got["versions"]["device"] == "2 x cpu (cpu) for each of 2 processes"
    assert (whole / "parity.png").exists()

    run = tmp_path / "broken" / "run"
    together = start(tmp_path / "broken", *ONE, dead_after=DEAD_AFTER)
    wait_for_epochs(run, 1, 7, together)
    kill(together, 1)
    assert_all_well(start(tmp_path / "broken", *ONE).wait())
    assert history(run) == history(whole)
    for key in ("test", "epochs", "best_epoch"):
        assert json.loads((run / "result.json").read_text())[key] == got[key]


@pytest.mark.slow
def test_a_sweep_is_shared_out(tmp_path, run_python):
    """Equals four devices of one process to the last bit, with a death and a signal too."""
    done = run_python(*TRAIN, f"--workdir={tmp_path / 'one'}", *SWEEP, devices=4)
    assert done.returncode == 0, done.stderr
    run, one = tmp_path / "broken" / "run", tmp_path / "one"
    for process, end, epochs in ((0, kill, 20), (1, stop, 80)):
        together = start(tmp_path / "broken", *SWEEP, dead_after=DEAD_AFTER)
        wait_for_epochs(run, 4, epochs, together)
        end(together, process)
    ended = start(tmp_path / "broken", *SWEEP).wait()
    assert_all_well(ended)
    assert ended[0].stdout.replace(str(run), "") == done.stdout.replace(str(one), "")
    assert lines(run) == lines(one)
    for ours, theirs in zip(weights(run), weights(one), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    # Each has trained a half of it.
    stacks = json.loads((run / "stacks.json").read_text())
    assert [len(names) for names in stacks] == [2, 2]
    with open(run / "results.csv", newline="", encoding="utf-8") as file:
        assert len({line["training"] for line in csv.DictReader(file)}) == 4


@pytest.mark.slow
def test_an_error_ends_all(tmp_path):
    """The first one finds another run in the directory, and tells."""
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").write_text("{}")
    first, second = start(tmp_path).wait()
    assert first.returncode == 2 and second.returncode not in (0, None)
    assert first.stderr.count("\n") == 1 and "run holds another run" in first.stderr
    assert first.stdout == second.stdout == ""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--process=1",), "--process is of --distributed, which is not given"),
        (("--distributed",), "no cluster found"),
        (("--distributed", "--processes=2"), "or none of them; coordinator is missing"),
        (
            (
                *("--distributed", "--coordinator=localhost:1", "--processes=2"),
                *("--process=1", "--join_within=2"),
            ),
            "the processes did not come together within 2 s: nobody listens at localhost:1",
        ),
    ],
)
def test_bad_input(run_python, tmp_path, flags, words):
    done = run_python(*TRAIN, f"--workdir={tmp_path / 'run'}", *flags)
    assert done.returncode not in (0, 1) and done.stdout == ""
    assert words in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_one_training_is_not_shared_out(tmp_path):
    first, second = start(tmp_path, "--config.parallel=replicas").wait()
    assert "parallel=replicas leaves all processes but one without work" in first.stderr
    assert first.returncode == 2 and second.returncode not in (0, None)
    assert not (tmp_path / "run").exists()
