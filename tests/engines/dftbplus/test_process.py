"""The program is found and named, and never outlives who started it."""

import multiprocessing
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from qc_jax.engines.dftbplus import process
from qc_jax.errors import InputError
from tests.engines.dftbplus.stand_in import StandIn


def program(path: pathlib.Path, body: str) -> str:
    """An executable shell script."""
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return str(path)


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that ended and was not yet asked for does not."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until(condition, seconds=60.0):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.01)


@pytest.fixture
def sleeper(tmp_path):
    """A program that starts another one, says which processes they are, and sleeps."""
    path = program(
        tmp_path / "sleeper", "sleep 1000 &\necho $$ $! > pids.new\nmv pids.new pids\nwait"
    )
    return path, tmp_path / "pids"


def pids(path: pathlib.Path) -> list[int]:
    wait_until(path.exists)
    return [int(pid) for pid in path.read_text().split()]


def test_exit_codes(tmp_path):
    for body, code in (("echo here; echo there >&2", 0), ("exit 3", 3), ("kill -11 $$", -11)):
        assert process.run(program(tmp_path / "p", body), str(tmp_path), 10) == code
    process.run(program(tmp_path / "p", "echo here; echo there >&2"), str(tmp_path), 10)
    assert (tmp_path / "dftb.log").read_text() == "here\nthere\n"


def test_one_thread_and_no_keyboard(tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    (tmp_path / "typed").write_text("what somebody types\n")
    path = program(tmp_path / "p", "echo $OMP_NUM_THREADS; cat; pwd -P")
    keyboard = os.dup(0)
    try:
        with open(tmp_path / "typed") as file:
            os.dup2(file.fileno(), 0)
        assert process.run(path, str(tmp_path), 10) == 0
    finally:
        os.dup2(keyboard, 0)
        os.close(keyboard)
    assert (tmp_path / "dftb.log").read_text() == f"1\n{tmp_path.resolve()}\n"


def test_too_long_ends_the_whole_group(tmp_path, sleeper):
    path, said = sleeper
    begun = time.monotonic()
    assert process.run(path, str(tmp_path), 2) is None
    assert time.monotonic() - begun < 20
    assert len(pids(said)) == 2
    wait_until(lambda: not any(map(is_alive, pids(said))))


def _pair(path, directory, name):
    process.run(path, directory, 100)


def _worker(path, directory):
    process.run(path, directory, 100)


def test_a_killed_worker_takes_the_program_along(tmp_path):
    path = program(tmp_path / "p", "echo $$ > new\nmv new pids\nexec sleep 1000")
    worker = multiprocessing.get_context("spawn").Process(
        target=_worker, args=(path, str(tmp_path))
    )
    worker.start()
    (pid,) = pids(tmp_path / "pids")
    assert is_alive(pid)
    worker.kill()
    worker.join()
    wait_until(lambda: not is_alive(pid))


def test_a_worker_whose_run_is_gone_ends_the_program(tmp_path, sleeper):
    path, said = sleeper
    script = tmp_path / "main.py"
    script.write_text(
        "import functools\n"
        "from qc_jax.engines.pool import answer_all\n"
        "from tests.engines.dftbplus.test_process import _pair\n"
        "if __name__ == '__main__':\n"
        f"    compute = functools.partial(_pair, {path!r}, {str(tmp_path)!r})\n"
        "    list(answer_all(compute, ['H_H'], 1, 100))\n"
    )
    root = pathlib.Path(__file__).parents[3]
    main = subprocess.Popen(
        [sys.executable, str(script)],
        env={**os.environ, "PYTHONPATH": str(root)},
        stderr=subprocess.DEVNULL,
    )
    running = pids(said)
    main.send_signal(signal.SIGKILL)
    main.wait()
    wait_until(lambda: not any(map(is_alive, running)))


def test_version(tmp_path, monkeypatch):
    StandIn(tmp_path / "bin", tmp_path, version="24.1")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    assert process.find_program() == (str(tmp_path / "bin" / "dftb+"), "24.1")


def test_not_there(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError) as caught:
        process.find_program()
    assert str(caught.value) == (
        "the program dftb+ is not on PATH; get it with: conda install -c conda-forge dftbplus"
    )


def test_something_else(tmp_path, monkeypatch):
    path = program(tmp_path / "dftb+", "echo hello")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(InputError, match=r"dftb\+: expected DFTB\+, .*; got 'hello"):
        process.find_program()
    assert path


def test_last_words(tmp_path):
    log = tmp_path / "dftb.log"
    log.write_text("|  DFTB+ release 25.1\nERROR!\n-> One\n-> Two\nError termination.\n")
    assert process.last_words(str(tmp_path)) == "One; Two"
    log.write_text("Reading\nSegmentation fault\n\n")
    assert process.last_words(str(tmp_path)) == "Segmentation fault"
    log.write_text("")
    assert process.last_words(str(tmp_path)) == "not a word"
