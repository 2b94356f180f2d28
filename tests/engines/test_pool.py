"""Workers that crash, hang or raise cost one pair, and the others go on."""

import dataclasses
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from qc_jax.chem.elements import pair_names
from qc_jax.engines.engine import Failure, FailureKind
from qc_jax.engines.pool import PoolOptions, answer_all
from qc_jax.errors import InputError
from tests.engines.toys import ToyEngine, toy_record

NAMES = pair_names(["C", "H", "N", "O"])


def no_progress(done: int, total: int) -> None:
    pass


@pytest.mark.parametrize("workers", [1, 20])
def test_every_pair_once(tmp_path, workers):
    engine = ToyEngine(str(tmp_path / "log"), workers=workers)
    names = NAMES[: 2 if workers == 20 else None]
    seen = []
    answers = list(engine.compute_all(names, lambda *counts: seen.append(counts)))
    assert sorted(answers, key=lambda a: a[0]) == [(name, toy_record(name)) for name in names]
    assert sorted(engine.computed()) == names
    assert seen == [(done, len(names)) for done in range(1, len(names) + 1)]


def test_bad_pairs_cost_themselves_only(tmp_path):
    engine = ToyEngine(
        str(tmp_path / "log"),
        fails=("C_C",),
        crashes=("C_H", "O_O"),  # the last one too: no pair is left to start a new worker for
        hangs=("H_N",),
        raises=("N_N",),
        workers=2,
        timeout_s=2,
    )
    answers = dict(engine.compute_all(NAMES, no_progress))
    assert sorted(answers) == NAMES
    bad = {name: answer for name, answer in answers.items() if isinstance(answer, Failure)}
    assert bad == {
        "C_C": Failure(FailureKind.SCF, "does not converge"),
        "C_H": Failure(FailureKind.CRASH, "the process ended with exit code 7"),
        "O_O": Failure(FailureKind.CRASH, "the process ended with exit code 7"),
        "H_N": Failure(FailureKind.TIMEOUT, "not ready after 2 s"),
        "N_N": Failure(FailureKind.ERROR, "ZeroDivisionError: a bug"),
    }
    assert str(bad["C_C"]) == "SCF: does not converge"


def test_a_full_disk_ends_the_run(tmp_path):
    engine = ToyEngine(str(tmp_path / "log"), full=("C_H",))
    with pytest.raises(InputError, match=r"log: cannot be read or written: No space left on dev"):
        list(engine.compute_all(NAMES, no_progress))


def test_a_killed_worker_costs_one_pair(tmp_path):
    engine = ToyEngine(str(tmp_path / "log"), hangs=("C_H",), timeout_s=60)

    def kill(done, total):
        until = time.monotonic() + 30
        while "C_H" not in engine.computed() and time.monotonic() < until:
            time.sleep(0.01)
        for child in psutil.Process().children(recursive=True):
            if "spawn_main" in " ".join(child.cmdline()):
                child.kill()

    answers = engine.compute_all(["C_C", "C_H", "H_H"], lambda *counts: None)
    assert next(answers) == ("C_C", toy_record("C_C"))
    kill(1, 3)
    assert dict(answers) == {
        "C_H": Failure(FailureKind.CRASH, f"the process ended with exit code {-signal.SIGKILL}"),
        "H_H": toy_record("H_H"),
    }


_MAIN = """
from tests.engines.toys import ToyEngine
if __name__ == "__main__":
    list(ToyEngine({log!r}, hangs=("C_H", "H_H"), workers=2).compute_all(["C_H", "H_H"], print))
"""


def test_workers_end_with_a_parent_that_is_killed(tmp_path):
    log, script = tmp_path / "log", tmp_path / "main.py"
    script.write_text(_MAIN.format(log=str(log)))
    main = subprocess.Popen([sys.executable, script], env={**os.environ, "PYTHONPATH": os.getcwd()})
    until = time.monotonic() + 30
    while not (log.exists() and len(log.read_text().split()) == 2) and time.monotonic() < until:
        time.sleep(0.05)
    children = psutil.Process(main.pid).children(recursive=True)
    assert len(children) >= 2
    main.kill()
    main.wait()
    _, alive = psutil.wait_procs(children, timeout=10)
    assert not [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]


def test_nothing_to_do(tmp_path):
    assert list(ToyEngine(str(tmp_path / "log")).compute_all([], no_progress)) == []


def test_settings_that_cannot_be(tmp_path):
    for bad in (float("nan"), float("inf"), 0.0, -1.0):
        with pytest.raises(InputError, match=r"^timeout: expected a finite number of seconds"):
            PoolOptions(timeout=bad)
        with pytest.raises(InputError, match=r"^timeout: expected a finite number of seconds"):
            ToyEngine(str(tmp_path / "log"), timeout_s=bad)
    with pytest.raises(InputError, match="workers: expected at least 1, got 0"):
        dataclasses.replace(PoolOptions(), workers=0)


class Unloadable:
    def __reduce__(self):
        return (exec, ("raise SystemExit(3)",))


def test_worker_that_cannot_start_is_told():
    with pytest.raises(RuntimeError, match="a worker ended before its first pair"):
        list(answer_all(Unloadable(), NAMES, 1, 60))  # type: ignore[arg-type]
