"""The script that makes tables, with the engine that runs DFTB+; a stand-in replays its outputs."""

import contextlib
import os
import pathlib
import signal
import sqlite3
import subprocess
import sys

import pytest

from qc_jax.data.table import PairTable
from qc_jax.engines.dftbplus import read_tree
from tests.engines.dftbplus import skf
from tests.engines.dftbplus.stand_in import StandIn
from tests.engines.dftbplus.test_process import is_alive, wait_until
from tests.experiments.test_generate import answers_in

FIXTURES = pathlib.Path(__file__).parents[1] / "fixtures" / "dftbplus" / "tree"
SHARED = pathlib.Path(__file__).parents[2].parent / "shared" / "dftbplus" / "raw_data"
SCRIPT = ("-m", "qc_jax", "generate", "--engine=dftbplus")


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    skf.write(tmp_path / "set", {"F": "p", "H": "s", "Li": "p"})
    made = StandIn(tmp_path / "bin", FIXTURES)
    monkeypatch.setenv("PATH", f"{made.home}:{os.environ['PATH']}")
    return made


@pytest.mark.slow
@pytest.mark.skipif(not SHARED.is_dir(), reason=f"{SHARED} is not there")
def test_makes_the_table_of_the_recorded_tree(run_python, stand_in, tmp_path):
    StandIn(stand_in.home, SHARED)
    momenta = {"C": "p", "F": "p", "H": "s", "O": "p", "P": "d", "S": "d"}
    skf.write(tmp_path / "set", momenta)
    (tmp_path / "set" / "Li-Li.skf").unlink()
    out = tmp_path / "table.npz"
    arguments = (f"--skf={tmp_path / 'set'}", f"--out={out}", "--workers=2")
    done = run_python(*SCRIPT, *arguments)
    assert done.returncode == 0, done.stderr
    table = PairTable.load(out)
    assert done.stderr == ""  # no bar where there is no terminal
    assert f"{len(table)} rows in the table; {21 - len(table)} left out" in done.stdout
    assert "\n  F_S: SCC: 'SCC is NOT converged" in done.stdout
    assert table.provenance["elements"] == list(momenta)
    assert table.provenance["angular_momenta"] == momenta

    (tmp_path / "recorded").mkdir()
    for path in SHARED.iterdir():
        if set(path.name.split("_")) <= set(momenta):
            (tmp_path / "recorded" / path.name).symlink_to(path)
    recorded = read_tree(tmp_path / "recorded")
    assert len(recorded) >= 8 and list(table.names) == list(recorded.names)
    assert table.fingerprint() == recorded.fingerprint()
    for name in ("F_P", "F_S"):
        assert table.left_out[name] == recorded.left_out[name]
    # The outputs that are kept are a tree of their own, which says the same.
    kept = read_tree(tmp_path / "table_raw")
    assert kept.fingerprint() == table.fingerprint() and kept.left_out == table.left_out


@pytest.mark.slow
def test_makes_and_verifies_a_table(run_python, stand_in, tmp_path):
    out = tmp_path / "table.npz"
    flags = (f"--skf={tmp_path / 'set'}", "--workers=1")
    stand_in.behave({"F_F": "crash", "Li_Li": "hang"})
    done = run_python(*SCRIPT, *flags, f"--out={out}", "--timeout=1")
    assert done.returncode == 0, done.stderr
    assert "2 rows in the table; 4 left out" in done.stdout
    assert "timeout 1" in done.stdout.splitlines()[0]
    assert "\n  Li_Li: timeout: dftb+ was not ready after 1 s\n" in done.stdout
    assert "\n  F_F: crash: dftb+ was ended by signal 11" in done.stdout
    assert sorted(os.listdir(tmp_path)) == ["bin", "set", "table.npz", "table_raw"]
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "table_raw").rglob("*")}
    assert {path.name for path in before} >= {"F_Li", "H_H", "Li_Li", "run.json"}

    done = run_python(*SCRIPT, *flags, f"--table={out}", "--verify=5")
    assert done.returncode == 0, done.stderr
    assert "2 of 2 pairs" in done.stdout and "TOO MUCH" not in done.stdout
    assert "made with dftbplus 25.1, again with dftbplus 25.1" in done.stdout
    assert before == {p: p.stat().st_mtime_ns for p in (tmp_path / "table_raw").rglob("*")}

    path = tmp_path / "set" / "F-F.skf"
    path.write_text(path.read_text() + "\n")
    done = run_python(*SCRIPT, *flags, f"--table={out}", "--verify=5")
    assert done.returncode == 2
    assert done.stderr == "error: the table was made with other slater_koster than the engine has\n"


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_killed_and_started_again(run_python, stand_in, tmp_path, how):
    out = tmp_path / "table.npz"
    answers = tmp_path / "table.npz.answers"
    command = (*SCRIPT, f"--skf={tmp_path / 'set'}", f"--out={out}", "--workers=2")
    stand_in.behave({"H_H": "hang", "H_Li": "hang"})
    process = subprocess.Popen([sys.executable, *command], stderr=subprocess.DEVNULL)
    wait_until(lambda: {"H_H", "H_Li"} <= {name for name, _ in stand_in.started()}, 60)
    wait_until(lambda: answers_in(answers) == 3)
    running = [pid for name, pid in stand_in.started() if name in ("H_H", "H_Li")]
    assert all(map(is_alive, running))
    process.send_signal(how)
    process.communicate(timeout=30)
    assert process.returncode == (-9 if how == signal.SIGKILL else 130)
    wait_until(lambda: not any(map(is_alive, running)))
    assert not out.exists()

    with contextlib.closing(sqlite3.connect(answers)) as file:
        ready = {name for (name,) in file.execute("SELECT name FROM answers")}
    assert ready == {"F_F", "F_H", "F_Li"}
    before = len(stand_in.started())
    stand_in.behave({})
    done = run_python(*command)
    assert done.returncode == 0, done.stderr
    again = {name for name, _ in stand_in.started()[before:]}
    assert again == {"H_H", "H_Li", "Li_Li"}
    assert list(PairTable.load(out).names) == ["F_Li", "H_H"]
    assert not answers.exists()
    assert sorted(os.listdir(tmp_path / "table_raw")) == [
        *("F_F", "F_H", "F_Li", "H_H", "H_Li", "Li_Li", "run.json")
    ]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--out=t.npz",), "engine 'dftbplus' needs --skf=DIR"),
        (("--out=t.npz", "--skf=set", "--elements=H,O"), "need are missing: H-O.skf, O-H.skf, O-O"),
        (("--out=t.npz", "--skf=set", "--elements="), "--elements: expected a value, got none"),
        (("--out=t.npz", "--skf=set", "--angular_momenta=H:s,H:s"), "each element once, like"),
        (("--out=t.npz", "--skf=set", "--raw=bin"), "bin: holds something else than outputs"),
        (("--out=t.npz", "--skf=set", "--curve=0.7:2.5:4"), "'dftbplus' cannot scan bond lengths"),
        (("--verify=2", "--skf=set"), "no shipped table is of engine 'dftbplus'"),
        (("--engine=tblite", "--out=t.npz", "--skf=set"), "--skf belongs to --engine=dftbplus"),
        (("--engine=tblite", "--verify=2", "--raw=r"), "--raw belongs to --engine=dftbplus"),
    ],
)
def test_bad_flags_are_one_line(run_python, stand_in, tmp_path, flags, message):
    done = run_python(*SCRIPT, *flags, cwd=tmp_path)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ") and message in line
    assert sorted(os.listdir(tmp_path)) == ["bin", "set"] and stand_in.started() == []


def test_without_the_program(run_python, tmp_path):
    skf.write(tmp_path / "set", {"H": "s"})
    done = run_python(*SCRIPT, f"--out={tmp_path / 't.npz'}", f"--skf={tmp_path / 'set'}", PATH="")
    assert done.returncode == 2
    assert done.stderr == (
        "error: the program dftb+ is not on PATH; get it with: "
        "conda install -c conda-forge dftbplus\n"
    )
    assert os.listdir(tmp_path) == ["set"]
