"""The store of answers after kills, of other runs, damaged, in use, and on a full disk."""

import os
import resource
import sqlite3
import subprocess
import sys

import pytest

from qc_jax.engines.engine import Failure, FailureKind
from qc_jax.engines.record import Scan
from qc_jax.engines.store import AnswerStore
from qc_jax.errors import InputError
from tests.engines.toys import toy_record

RUN = {"engine": "toy", "elements": ["C", "H"], "settings": {"step": 0.1, "mixers": [[4, 0.2]]}}
FAILURE = Failure(FailureKind.SCF, "does not converge")
SCAN = Scan("C_O", [toy_record("C_O"), toy_record("C_O", 0.1)], {"C_O at 1.2 Å": "SCF: no"})


@pytest.fixture
def path(tmp_path):
    path = str(tmp_path / "table.npz.answers")
    with AnswerStore(path, RUN) as store:
        for name, answer in (("C_C", toy_record("C_C")), ("He_He", toy_record("He_He"))):
            store.add(name, answer)
        store.add("C_H", FAILURE)
        store.add("C_O", SCAN)
    return path


def test_read_again(path):
    with AnswerStore(path, RUN) as store:
        assert store.names() == {"C_C", "He_He", "C_H", "C_O"}
        assert store.get("C_C") == toy_record("C_C")  # to the last bit
        assert str(store.get("He_He")) == str(toy_record("He_He"))  # NaN kept
        assert store.get("C_H") == FAILURE and store.get("C_O") == SCAN
        assert store.get("N_N") is None


_KILLED = """
import os, signal
from qc_jax.engines.engine import Failure, FailureKind
from qc_jax.engines.store import AnswerStore
with AnswerStore({path!r}, {run!r}) as store:
    for number in range(1000):
        store.add(f"pair_{{number}}", Failure(FailureKind.SCF, "x" * 5000))
        if number == 500:
            os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_kill_loses_nothing(tmp_path):
    path = str(tmp_path / "answers")
    done = subprocess.run([sys.executable, "-c", _KILLED.format(path=path, run=RUN)])
    assert done.returncode == -9
    with AnswerStore(path, RUN) as store:
        assert len(store.names()) == 501
        store.add("H_H", toy_record("H_H"))
        assert store.get("H_H") == toy_record("H_H")


@pytest.mark.parametrize(
    ("run", "differs"),
    [
        (RUN | {"elements": ["C", "N"]}, "other elements;"),
        (RUN | {"settings": {"step": 0.2, "mixers": [[4, 0.2]]}}, "other settings;"),
        (RUN | {"engine": "other", "more": 1}, "other engine, more;"),
    ],
)
def test_other_run_is_refused(path, run, differs):
    with pytest.raises(InputError, match=f"begun by a run with {differs}"):
        AnswerStore(path, run)
    with AnswerStore(path, RUN) as store:
        assert len(store.names()) == 4


def _set(path, statement):
    with sqlite3.connect(path) as file:
        file.execute(statement)
    file.close()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE answers SET content = '{' WHERE name = 'C_C'",
        "UPDATE answers SET content = '[]' WHERE name = 'C_C'",
        "UPDATE answers SET content = replace(content, 'distance', 'distanc') WHERE name = 'C_C'",
        "UPDATE answers SET kind = 'rumour' WHERE name = 'C_C'",
        "UPDATE answers SET content = x'ff' WHERE name = 'C_C'",
    ],
)
def test_a_damaged_answer_is_one_line(path, statement):
    _set(path, statement)
    with AnswerStore(path, RUN) as store, pytest.raises(InputError, match=r"^[^\n]*: damaged \("):
        store.get("C_C")


@pytest.mark.parametrize(
    "statement", ["DELETE FROM run", "DROP TABLE run", "UPDATE run SET settings = 'x'"]
)
def test_a_store_without_its_run(path, statement):
    _set(path, statement)
    with pytest.raises(InputError, match=r"^[^\n]*answers: (damaged|cannot be)"):
        AnswerStore(path, RUN)


def test_not_a_store(tmp_path):
    path = tmp_path / "answers"
    path.write_text("a shopping list\n" * 100)
    with pytest.raises(InputError, match=r"answers: damaged .*delete the file to start afresh"):
        AnswerStore(str(path), RUN)
    assert path.read_text() == "a shopping list\n" * 100


def test_cut_short(path):
    with open(path, "rb+") as file:
        file.truncate(9000)
    with pytest.raises(InputError, match=r"^[^\n]*answers: damaged"):  # noqa: SIM117
        with AnswerStore(path, RUN) as store:
            [store.get(name) for name in ("C_C", "He_He", "C_H", "C_O")]


def test_in_use(path):
    with (
        AnswerStore(path, RUN),
        pytest.raises(InputError, match="another run is writing this table"),
    ):
        AnswerStore(path, RUN)


def test_shared_by_two(path):
    with AnswerStore(path, RUN, shared=True) as one, AnswerStore(path, RUN, shared=True) as two:
        one.add("N_N", FAILURE)
        assert two.get("N_N") == FAILURE
        two.add("N_O", FAILURE)
        assert one.get("N_O") == FAILURE


def test_cannot_be_written(tmp_path):
    with pytest.raises(InputError, match=r"answers: cannot be written: unable to open"):
        AnswerStore(str(tmp_path / "nowhere" / "answers"), RUN)


_FULL = """
import resource, signal
from qc_jax.engines.engine import Failure, FailureKind
from qc_jax.engines.store import AnswerStore
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
with AnswerStore({path!r}, {run!r}) as store:
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
    for number in range(1000):
        store.add(f"pair_{{number}}", Failure(FailureKind.SCF, "x" * 5000))
"""


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_FSIZE"), reason="no limit of a file's size")
def test_a_disk_that_takes_no_more(tmp_path):
    path = str(tmp_path / "answers")
    done = subprocess.run(
        [sys.executable, "-c", _FULL.format(path=path, run=RUN)], capture_output=True, text=True
    )
    last = done.stderr.splitlines()[-1]
    assert last.startswith("qc_jax.errors.InputError: ") and "answers: cannot be written: " in last


def test_a_named_pipe_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "some.answers")
    with pytest.raises(InputError, match=r"some\.answers: expected a file, got a named pipe"):
        AnswerStore(str(tmp_path / "some.answers"), {})
