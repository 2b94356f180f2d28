"""The script that makes tables: run, killed, gone on with, verified, and given bad flags."""

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time

import numpy as np
import pytest

from experiments import generate as script
from qc_jax.chem.elements import pair_names
from qc_jax.data.table import PairTable

SCRIPT = ("-m", "qc_jax", "generate", "--engine=tblite")


@pytest.fixture(scope="module")
def made(run_python, tmp_path_factory):
    """A table of H and O: its path and what the script said."""
    out = tmp_path_factory.mktemp("made") / "table.npz"
    done = run_python(*SCRIPT, f"--out={out}", "--elements=H,O", "--workers=2")
    assert done.returncode == 0, done.stderr
    return out, done


def test_makes_a_table(made):
    out, done = made
    table = PairTable.load(out)
    assert list(table.names) == ["H_H", "H_O", "O_O"]
    assert "3 rows in the table; 0 left out" in done.stdout
    assert f"wrote {out}" in done.stdout
    assert done.stderr == ""  # no bar where there is no terminal
    assert os.listdir(out.parent) == [out.name]
    assert table.provenance["elements"] == ["H", "O"]


def test_verifies_its_table(made, run_python):
    out, _ = made
    done = run_python(*SCRIPT, f"--table={out}", "--verify=2", "--workers=1")
    assert done.returncode == 0, done.stderr
    assert "2 of 3 pairs" in done.stdout and "TOO MUCH" not in done.stdout
    lines = [line.split() for line in done.stdout.splitlines()]
    rows = {words[0]: words[1] for words in lines if len(words) == 5}
    assert float(rows["mermin_free_energy_ev"]) <= 1e-5 and float(rows["distance_ang"]) <= 1e-4


@pytest.mark.slow
def test_scans_bond_lengths_and_verifies_them(run_python, tmp_path):
    out = tmp_path / "curves.npz"
    script = (*SCRIPT, "--workers=1")
    done = run_python(*script, "--curve=0.8:1.6:3", "--elements=H", f"--out={out}")
    assert done.returncode == 0, done.stderr
    assert "3 rows in the table; 0 left out" in done.stdout
    assert "0 rows behind a jump" in done.stdout
    assert PairTable.load(out).forces.shape == (3, 2, 3)
    done = run_python(*script, f"--table={out}", "--verify=5")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 of 1 pairs" in done.stdout and "forces" in done.stdout


@pytest.mark.slow
def test_shipped_table_comes_out_again(run_python):
    done = run_python(*SCRIPT, "--verify=5", "--seed=7")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "5 of 26" in done.stdout


@pytest.mark.parametrize(("form", "name"), [("published", "ptbp"), ("exact", "ptbp_exact")])
def test_verifies_the_shipped_table_of_its_settings(form, name, tmp_path):
    script.FLAGS.reset()
    script.FLAGS.parse(["--engine=dftb", f"--form={form}", "--verify=1"])
    shown, table, engine = script._chosen(str(tmp_path))
    script.FLAGS.reset()
    assert shown == name and engine.provenance()["form"] == form == table.provenance["form"]


@pytest.mark.slow
def test_verify_tells_a_wrong_table(made, run_python, tmp_path):
    out, _ = made
    table = PairTable.load(out)
    table.targets["e_homo_ev"][1] += 2e-5
    table.save(tmp_path / "wrong.npz")
    done = run_python(*SCRIPT, f"--table={tmp_path / 'wrong.npz'}", "--verify=3")
    assert done.returncode == 1
    (wrong,) = [line for line in done.stdout.splitlines() if "TOO MUCH" in line]
    assert wrong.split()[0] == "e_homo_ev" and "H_O" in wrong and "2.0e-05" in wrong


def start(*arguments):
    return subprocess.Popen(
        [sys.executable, *SCRIPT, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def answers_in(path):
    """How many answers stand in the store of a run that goes on and keeps its file locked."""
    try:
        with contextlib.closing(sqlite3.connect(f"file:{path}?immutable=1", uri=True)) as file:
            return file.execute("SELECT count(*) FROM answers").fetchone()[0]
    except sqlite3.Error:
        return 0


def wait_for_answers(path, count):
    until = time.monotonic() + 90
    while time.monotonic() < until:
        if answers_in(path) >= count:
            return
        time.sleep(0.01)
    raise AssertionError(f"{path} has not got {count} answers")


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_killed_and_started_again(run_python, tmp_path, how):
    out, answers = tmp_path / "table.npz", tmp_path / "table.npz.answers"
    arguments = (f"--out={out}", "--elements=H,C,N,O", "--workers=1")
    process = start(*arguments)
    wait_for_answers(answers, 1)
    process.send_signal(how)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == (-9 if how == signal.SIGKILL else 130)
    assert not out.exists()
    if how == signal.SIGINT:
        assert b"Traceback" not in stderr
        assert f"goes on from {answers}" in stderr.decode()

    # A mark in a pair that is ready shows whether it is computed again.
    with contextlib.closing(sqlite3.connect(answers)) as file, file:
        name, content = file.execute("SELECT name, content FROM answers").fetchone()
        record = json.loads(content)
        record["targets"]["repulsive_energy_ev"] = 123.0
        file.execute("UPDATE answers SET content = ? WHERE name = ?", [json.dumps(record), name])

    done = run_python(*SCRIPT, *arguments)
    assert done.returncode == 0, done.stderr
    table = PairTable.load(out)
    assert list(table.names) == pair_names("HCNO")
    is_marked = table.targets["repulsive_energy_ev"] == 123.0
    assert list(table.names[is_marked]) == [name]
    assert not answers.exists()

    whole = tmp_path / "whole.npz"
    assert run_python(*SCRIPT, f"--out={whole}", *arguments[1:]).returncode == 0
    again = PairTable.load(whole)
    for target, column in again.targets.items():
        assert np.array_equal(column[~is_marked], table.targets[target][~is_marked], equal_nan=True)


@pytest.mark.slow
def test_workers_end_with_their_parent(tmp_path):
    answers = tmp_path / "table.npz.answers"
    process = start(f"--out={tmp_path / 'table.npz'}", "--elements=W,Mo,Re,Os", "--workers=2")
    wait_for_answers(answers, 1)
    children = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(process.pid)], capture_output=True, text=True
    ).stdout.split()
    assert len(children) >= 2
    process.kill()
    process.communicate(timeout=30)
    until = time.monotonic() + 60
    while time.monotonic() < until and any(os.path.exists(f"/proc/{pid}") for pid in children):
        time.sleep(0.05)
    assert not any(os.path.exists(f"/proc/{pid}") for pid in children)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--out=t.npz", "--elements=H,Xx"), "unknown element symbol 'Xx'"),
        (("--out=t.npz", "--elements=H", "--workers=0"), "workers"),
        (("--out=t.npz", "--engine=gaussian"), "gaussian"),
        (("--out=t.npz", "--timeout=nan"), "timeout: expected a finite number of seconds"),
        (("--out=taken.npz", "--elements=H"), "taken.npz: exists already; add --overwrite"),
        (("--verify=2", "--table=taken.npz"), "taken.npz: not a PairTable"),
        (("--verify=2", "--table=none.csv"), "none.csv: "),
        (("--verify=2", "--out=t.npz"), "or --verify=COUNT, got both"),
        (("--out=t.npz", "--curve=0.7:2.5"), "curve '0.7:2.5': expected LOW:HIGH:COUNT"),
        (("--verify=2", "--curve=0.7:2.5:40"), "--curve belongs to --out"),
        (("--out=t.npz", "--seed=3"), "--seed belongs to --verify"),
        (("out=t.npz",), "did you mean --out=t.npz?"),
        ((), "expected --out=FILE.npz, or --verify=COUNT"),
    ],
)
def test_bad_flags_are_one_line(run_python, tmp_path, flags, message):
    (tmp_path / "taken.npz").write_text("precious")
    done = run_python(*SCRIPT, *flags, cwd=tmp_path)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ") and message in line
    assert (tmp_path / "taken.npz").read_text() == "precious"
    assert os.listdir(tmp_path) == ["taken.npz"]
