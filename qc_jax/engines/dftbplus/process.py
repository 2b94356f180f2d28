"""The `dftb+` program as a process: found, run with a timeout, never left behind."""

import contextlib
import ctypes
import functools
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from qc_jax.engines.dftbplus import log
from qc_jax.engines.engine import EngineError
from qc_jax.errors import InputError

PROGRAM = "dftb+"
LOG = "dftb.log"  # what the program prints


def find_program(name: str = PROGRAM) -> tuple[str, str]:
    """Where the program is, and its version.

    It has no option for that, but says its version before it looks for its input: it is started
    where there is none.

    Raises:
      InputError: it is not there, or is something else.
    """
    path = shutil.which(name)
    if path is None:
        raise InputError(
            f"the program {name} is not on PATH; get it with: conda install -c conda-forge dftbplus"
        )
    path = os.path.abspath(path)
    with tempfile.TemporaryDirectory() as empty:
        run(path, empty, 60.0)
        said = _printed(empty)
    release = log.parse(said).release
    if release is None:
        raise InputError(
            f"{path}: expected DFTB+, which begins with its version; got {said[:80]!r}"
        )
    return path, release


def run(executable: str, directory: str, timeout_s: float) -> int | None:
    """Runs the program in `directory`; its exit code, -N where signal N ended it, None: too long.

    Whatever ends this process ends the program: it has a process group of its own, which is killed
    where it takes too long or where the run that this worker belongs to is gone; and the kernel
    kills it where this process is killed (on Linux; elsewhere it then runs to its end).
    """
    main = multiprocessing.parent_process()  # None where this is no worker
    until = time.monotonic() + timeout_s
    with open(os.path.join(directory, LOG), "wb") as printed:
        process = subprocess.Popen(
            [executable],
            cwd=directory,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=functools.partial(_die_with_parent, os.getpid()),
        )
        try:
            while (left := until - time.monotonic()) > 0:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    return process.wait(min(left, 1.0))
                if main is not None and not main.is_alive():
                    raise EngineError("stopped: the run has ended")
            return None
        finally:
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def _die_with_parent(parent: int) -> None:
    """Between fork and exec: asks the kernel to kill the program when its parent dies."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died just before
            os._exit(1)


def last_words(directory: str) -> str:
    """What the program said was wrong, else the last line that it printed."""
    text = _printed(directory)
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    return log.error(text) or (lines[-1] if lines else "not a word")


def _printed(directory: str) -> str:
    with open(os.path.join(directory, LOG), encoding="utf-8", errors="replace") as file:
        return file.read()
