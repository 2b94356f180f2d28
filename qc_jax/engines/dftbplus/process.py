"""The `dftb+` program as a process: found, run with a timeout, never left behind."""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile

from qc_jax.engines.dftbplus import log
from qc_jax.errors import InputError

PROGRAM = "dftb+"
LOG = "dftb.log"  # what the program prints


def find_program(name: str = PROGRAM) -> tuple[str, str]:
    """Return where the program is, and its version.

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


# Starts the program, and beside it what waits for the end of this process: the other end of
# standard input is open as long as this process lives. Then it kills the process group, itself
# included. Needs no more than POSIX.
_GUARD = """
exec 3<&0
"$1" 3<&- </dev/null >"$2" 2>&1 &
program=$!
{ cat <&3 >/dev/null; kill -KILL 0; } &
exec 3<&-
wait $program
"""


def run(executable: str, directory: str, timeout_s: float) -> int | None:
    """Run the program in `directory` with one thread; what it prints stands in `LOG` there.

    The program and all that it starts end with this process, however that ends.

    Returns:
      Its exit code, -N where signal N ended it, None where it took longer than `timeout_s`.
    """
    log_path = os.path.abspath(os.path.join(directory, LOG))
    process = subprocess.Popen(
        ["/bin/sh", "-c", _GUARD, "sh", executable, log_path],
        cwd=directory,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        code = process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        return None
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    return code if code <= 128 else 128 - code  # as a shell tells of a signal


def last_words(directory: str) -> str:
    """Return what the program said was wrong, else the last line that it printed."""
    text = _printed(directory)
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    return log.error(text) or (lines[-1] if lines else "not a word")


def _printed(directory: str) -> str:
    with open(os.path.join(directory, LOG), encoding="utf-8", errors="replace") as file:
        return file.read()
