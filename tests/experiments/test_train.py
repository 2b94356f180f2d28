"""The training script as a user runs it: results, devices, sources of data, kills, bad input."""

import csv
import json
import os
import signal
import subprocess
import sys
import time

import jax
import numpy as np
import pytest

from qc_jax import canvas
from qc_jax.data import records, splits
from qc_jax.data.table import open_table
from tests.conftest import SCRIPT_ENVIRONMENT

TRAIN = ("-m", "experiments.train", "--config=experiments/configs/egnn.py:quick")
PREDICT = ("-m", "experiments.predict")


def lines(workdir):
    """The epochs of metrics.jsonl without their seconds."""
    text = (workdir / "metrics.jsonl").read_text()
    return [
        {key: value for key, value in json.loads(line).items() if key != "seconds"}
        for line in text.splitlines()
    ]


def result(workdir):
    return json.loads((workdir / "result.json").read_text())


@pytest.fixture(scope="module")
def trained(run_python, tmp_path_factory):
    """A run of two targets, one of which the positions leak."""
    workdir = tmp_path_factory.mktemp("train") / "run"
    done = run_python(
        *TRAIN,
        f"--workdir={workdir}",
        "--config.targets=e_homo_ev,distance_ang",
        "--config.epochs=3",
    )
    assert done.returncode == 0, done.stderr
    return workdir, done


def test_result(trained):
    workdir, done = trained
    got = result(workdir)
    assert got["model"] == "egnn" and got["dataset"] == "ptbp" and got["seed"] == 42
    rows = len(open_table("ptbp"))
    train, validation = int(0.8 * rows), int(0.1 * rows)
    assert got["split"] == "random"
    assert f"split random: {got['split_description']}" in done.stdout
    assert got["split_sizes"] == {
        "train": train,
        "validation": validation,
        "test": rows - train - validation,
    }
    assert got["epochs"] == 3 and 1 <= got["best_epoch"] <= 3
    assert set(got["test"]) == {"e_homo_ev", "distance_ang"}
    for errors in got["test"].values():
        assert set(errors) == {"mae", "mae_low", "mae_high", "rmse", "median_ae", "r2"}
        assert errors["mae_low"] < errors["mae"] < errors["mae_high"]
        assert errors["median_ae"] < errors["rmse"] and errors["mae"] < errors["rmse"]
    assert got["leaked_by"] == {"e_homo_ev": [], "distance_ang": ["positions"]}
    assert got["units"] == {"e_homo_ev": "eV", "distance_ang": "Å"}
    assert got["seconds"]["compile"] > 0 and got["seconds"]["train"] > 0
    assert got["versions"]["jax"] == jax.__version__
    assert (workdir / "parity.png").stat().st_size > 10_000
    assert len(lines(workdir)) == 3
    printed = next(line for line in done.stdout.splitlines() if line.startswith(" distance_ang"))
    assert printed.split()[-1] == "positions"


def test_finished_run_is_shown_again_and_left_alone(trained, run_python):
    workdir, done = trained
    before = {path: path.stat().st_mtime_ns for path in workdir.rglob("*") if path.is_file()}
    again = run_python(
        *TRAIN,
        f"--workdir={workdir}",
        "--config.targets=e_homo_ev,distance_ang",
        "--config.epochs=3",
    )
    assert again.returncode == 0 and again.stdout == done.stdout
    assert {p: p.stat().st_mtime_ns for p in workdir.rglob("*") if p.is_file()} == before


def test_predict(trained, run_python):
    workdir, _ = trained
    at_rest = run_python(*PREDICT, f"--workdir={workdir}", "O", "C")
    assert at_rest.returncode == 0, at_rest.stderr
    table = open_table("ptbp")
    row = table.row("C_O")
    homo = next(line.split() for line in at_rest.stdout.splitlines() if "e_homo_ev" in line)
    assert float(homo[3]) == pytest.approx(table.targets["e_homo_ev"][row], rel=1e-3)
    tested = result(workdir)["test"]["e_homo_ev"]["mae"]
    assert float(homo[2]) == pytest.approx(tested, rel=1e-3) and homo[4] == "eV"
    split = splits.random_split(len(table), 42)
    part = next(part for part, rows in split.parts().items() if row in rows)
    assert f"; of the {part} split" in at_rest.stdout
    stretched = run_python(*PREDICT, f"--workdir={workdir}", "--distance=2.5", "C", "O")
    assert "C_O at 2.500 Å" in stretched.stdout
    other = next(line.split() for line in stretched.stdout.splitlines() if "e_homo_ev" in line)
    assert other[1] != homo[1] and other[3] == "-"  # the label is that of the bond length
    out = workdir.parent / "predicted.csv"
    written = run_python(*PREDICT, f"--workdir={workdir}", f"--out={out}", "C_O", "H_H")
    assert written.returncode == 0 and f"2 rows: {out}" in written.stdout
    header, first, _ = out.read_text().splitlines()
    assert header.startswith("name,distance_ang,e_homo_ev_predicted")
    assert float(first.split(",")[2]) == pytest.approx(float(homo[1]), rel=1e-3)
    again = run_python(*PREDICT, f"--workdir={workdir}", f"--out={out}", "C_O")
    assert again.returncode == 2 and "expected a new file" in again.stderr
    # A pair that the table does not hold has a prediction where a distance is given.
    unknown = run_python(*PREDICT, f"--workdir={workdir}", "--distance=2.5", "Fr", "Ra")
    assert unknown.returncode == 0 and " - " in unknown.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("Ag", "Xx"), "unknown element symbol 'Xx'"),
        (("Ag",), "expected two element symbols like 'Ag Al', or pairs like 'Ag_Al C_O', got Ag"),
        (("Ag_Al", "--file=x.csv"), "--file: expected no pairs and no --distance beside it"),
        (("--file=missing.csv",), "missing.csv: no such file"),
        (("--distance=0", "Ag", "Al"), "--distance: expected a length above 0 Å, got 0.0"),
        (("--distance=nan", "Ag", "Al"), "--distance: expected a length above 0 Å, got nan"),
        (("U", "H"), "it is not there, as it has no pair of U"),
        (("--workdir=missing", "Ag", "Al"), "missing is not the directory of a training"),
    ],
)
def test_predict_bad_input(trained, run_python, arguments, words):
    workdir, _ = trained
    done = run_python(*PREDICT, f"--workdir={workdir}", *arguments)
    assert_one_line(done, words)


@pytest.mark.slow
def test_predict_many(trained, run_python, tmp_path):
    """By words, by a file, as JSON; and as `export` writes it: the same numbers."""
    workdir, _ = trained
    path = tmp_path / "pairs.csv"
    path.write_text("name,distance_ang\nO_C,\nAg_Al,2.5\nAl_Ag,\n")
    done = run_python(*PREDICT, f"--workdir={workdir}", f"--file={path}", "--json")
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    assert [row["name"] for row in rows] == ["C_O", "Ag_Al", "Ag_Al"]
    assert rows[1]["distance_ang"] == 2.5 != rows[2]["distance_ang"]
    table = open_table("ptbp")
    label = table.targets["e_homo_ev"][table.row("C_O")]
    assert rows[0]["reference"]["e_homo_ev"] == pytest.approx(label)
    done = run_python(*PREDICT, f"--workdir={workdir}", "C_O", "Ag_Al")
    assert "C_O" in done.stdout and "Ag_Al" in done.stdout and " e_homo_ev " in done.stdout
    out = tmp_path / "out.csv"
    export = ("-m", "experiments.export", "--format=csv", f"--out={out}", f"--workdir={workdir}")
    done = run_python(*export)
    assert done.returncode == 0, done.stderr
    with open(out, newline="") as file:
        found = {row["name"]: row for row in csv.DictReader(file)}
    for row in (rows[0], rows[2]):
        exported = float(found[row["name"]]["e_homo_ev_predicted"])
        assert exported == pytest.approx(row["predicted"]["e_homo_ev"], rel=1e-5)


def test_predict_without_a_checkpoint(trained, run_python, tmp_path):
    workdir, _ = trained
    (tmp_path / "config.json").write_text((workdir / "config.json").read_text())
    done = run_python(*PREDICT, f"--workdir={tmp_path}", "C", "O")
    assert_one_line(done, f"{tmp_path} is not a whole run: it holds no run.json")


def assert_one_line(done, words):
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and done.stderr.startswith("error: ")
    assert words in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--config.lrate=1",), "lrate"),
        (("--config.batch_size=many",), "batch_size"),
        (("--config.data=cut.npz",), "cut.npz: not a PairTable or an .npz of named"),
    ],
)
def test_bad_input(run_python, tmp_path, flags, words):
    shipped = open_table("ptbp")
    shipped.take(np.arange(30)).save(tmp_path / "cut.npz")
    whole = (tmp_path / "cut.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[: len(whole) // 2])
    flags = [flag.replace("cut.npz", str(tmp_path / "cut.npz")) for flag in flags]
    done = run_python(*TRAIN, f"--workdir={tmp_path / 'run'}", *flags)
    assert_one_line(done, words)
    assert not (tmp_path / "run").exists()


def test_devices_that_do_not_divide_the_batch(run_python, tmp_path):
    done = run_python(*TRAIN, f"--workdir={tmp_path / 'run'}", "--config.batch_size=63", devices=2)
    assert_one_line(done, "batch_size 63 cannot be split over 2 devices; expected a multiple of 2")
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_what_is_solved_at_once_needs_no_devices(run_python, tmp_path):
    flags = "--config=pair_mean", "--config.batch_size=63"
    done = run_python("-m", "experiments.train", *flags, f"--workdir={tmp_path / 'run'}", devices=2)
    assert done.returncode == 0, done.stderr


def test_work_directory_of_another_run(trained, run_python):
    workdir, _ = trained
    before = (workdir / "config.json").read_bytes()
    done = run_python(*TRAIN, f"--workdir={workdir}")
    assert_one_line(done, "targets is 'e_homo_ev,distance_ang' there, '' asked")
    assert (workdir / "config.json").read_bytes() == before


@pytest.mark.slow
def test_killed_and_resumed_to_the_same_bits(run_python, tmp_path):
    """Killed after the first epochs, and in later ones."""
    flags = ("--config.epochs=40", "--config.checkpoint_every=1")
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    done = run_python(*TRAIN, f"--workdir={whole}", *flags)
    assert done.returncode == 0, done.stderr
    for epochs in (2, 25):
        process = subprocess.Popen(
            [sys.executable, *TRAIN, f"--workdir={killed}", *flags],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=os.environ | SCRIPT_ENVIRONMENT,
        )
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and process.poll() is None:
            path = killed / "metrics.jsonl"
            if path.exists() and len(path.read_text().splitlines()) >= epochs:
                break
            time.sleep(0.005)
        assert process.poll() is None, "ended before it could be killed"
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert not (killed / "result.json").exists()
    done = run_python(*TRAIN, f"--workdir={killed}", *flags)
    assert done.returncode == 0, done.stderr
    assert lines(killed) == lines(whole)
    for key in ("test", "epochs", "best_epoch", "data_fingerprint"):
        assert result(killed)[key] == result(whole)[key]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "code", "name"), [(signal.SIGINT, 130, "Ctrl-C"), (signal.SIGTERM, 143, "SIGTERM")]
)
def test_a_signal_saves(run_python, tmp_path, number, code, name):
    """And the same command goes on from there."""
    words = (*TRAIN, f"--workdir={tmp_path / 'run'}", "--config.checkpoint_every=1000")
    more = ("--config.epochs=3000", "--config.early_stopping_patience=3000")
    process = subprocess.Popen(
        [sys.executable, *words, *more],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | SCRIPT_ENVIRONMENT,
    )
    path = tmp_path / "run" / "metrics.jsonl"
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline and not (path.exists() and path.read_text()):
        time.sleep(0.01)
    process.send_signal(number)
    out, err = process.communicate(timeout=200)
    assert (process.returncode, out) == (
        code,
        f"stopped by {name}, and all is saved: the same command goes on\n",
    ), err
    assert err.count("\n") <= 2
    epochs = len(path.read_text().splitlines())
    assert (tmp_path / "run" / "checkpoints" / str(epochs)).is_dir()


@pytest.mark.slow
def test_another_split(run_python, tmp_path):
    """Rows in no part are listed, and predict says of them why."""
    workdir = tmp_path / "run"
    done = run_python(*TRAIN, f"--workdir={workdir}", "--config.split=held_out_elements")
    assert done.returncode == 0, done.stderr
    got, table = result(workdir), open_table("ptbp")
    split = splits.make_split("held_out_elements", table, ("e_homo_ev",), 42)
    assert got["split"] == "held_out_elements" and got["split_description"] == split.description
    assert got["split_sizes"] == {part: len(rows) for part, rows in split.parts().items()}
    why = "in no part of the split held_out_elements"
    assert [name for name, reason in got["left_out"].items() if reason == why] == list(
        table.names[split.unused]
    )
    for rows, words in ((split.unused, f"left out ({why})"), (split.test, "of the test split")):
        pair = str(table.names[rows[0]]).split("_")
        done = run_python(*PREDICT, f"--workdir={workdir}", *pair)
        assert done.returncode == 0 and words in done.stdout, done.stderr + done.stdout


@pytest.mark.slow
def test_two_devices_give_the_same_result(trained, run_python, tmp_path):
    workdir, _ = trained
    done = run_python(
        *TRAIN,
        f"--workdir={tmp_path / 'run'}",
        "--config.targets=e_homo_ev,distance_ang",
        "--config.epochs=3",
        devices=2,
    )
    assert done.returncode == 0, done.stderr
    assert result(tmp_path / "run")["versions"]["device"].startswith("2 x cpu")
    for name, errors in result(tmp_path / "run")["test"].items():
        assert errors == pytest.approx(result(workdir)["test"][name], rel=1e-4)


@pytest.mark.slow
def test_tfds_gives_equal_results(trained, run_python, tmp_path, tfds_data_dir):
    """The same bits, through records that TFDS wrote and read; canvases too."""
    workdir, _ = trained
    done = run_python(
        *TRAIN,
        f"--workdir={tmp_path / 'run'}",
        "--config.targets=e_homo_ev,distance_ang",
        "--config.epochs=3",
        "--config.data=tfds:quantum_canvas/ptbp",
        f"--config.data_dir={tfds_data_dir}",
    )
    assert done.returncode == 0, done.stderr
    assert lines(tmp_path / "run") == lines(workdir)
    assert result(tmp_path / "run")["test"] == result(workdir)["test"]
    stored = records.read_canvases("quantum_canvas/ptbp", tfds_data_dir)
    rendered = canvas.render(canvas.features(open_table("ptbp")))
    np.testing.assert_array_equal(stored, rendered)
