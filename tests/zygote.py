"""Runs scripts in forks of one process that has imported their libraries already.

Importing costs a script several seconds, which most of the tests that start one would spend again.
The fork is a process of its own: arguments, working directory, environment, output, signals and
exit code are those of `python -m MODULE …`. JAX is imported here, but starts only in the fork.
"""

import atexit
import gc
import json
import os
import runpy
import signal
import subprocess
import sys
import threading
import traceback
import warnings

LIBRARIES = (
    "flax.linen",
    "optax",
    "jinja2",
    "orbax.checkpoint",
    "qc_jax.dftb",
    "qc_jax.engines.dftb",
    "qc_jax.report.gallery",
    "qc_jax.report.parity",
    "qc_jax.runs.cli",
    "qc_jax.runs.loading",
    "qc_jax.runs.sources",
    "qc_jax.runs.sweep",
)


class Zygote:
    """The process to fork, as its parent sees it; started with `environment`."""

    def __init__(self, environment: dict[str, str]):
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )

    def run(self, words: list[str], folder, cwd, env: dict[str, str], timeout: float):
        """Run `python -m *words`, its output in files of `folder`; a CompletedProcess."""
        paths = [os.path.join(folder, name) for name in ("stdout", "stderr")]
        request = {"words": words, "paths": paths, "cwd": str(cwd or os.getcwd()), "env": env}
        self._tell(request | {"timeout": timeout})
        code = json.loads(self._process.stdout.readline())
        texts = []
        for path in paths:
            with open(path, encoding="utf-8", errors="replace") as file:
                texts.append(file.read())
            os.unlink(path)
        arguments = [sys.executable, "-m", *words]
        if code is None:
            raise subprocess.TimeoutExpired(arguments, timeout, *texts)
        return subprocess.CompletedProcess(arguments, code, *texts)

    def _tell(self, request: dict) -> None:
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()

    def close(self) -> None:
        """End the process."""
        self._process.stdin.close()
        self._process.wait()


def _serve() -> list[str]:
    """Fork for each request; return in the fork alone, with the words of its command line."""
    answers = os.dup(1)
    os.dup2(2, 1)
    for line in sys.stdin:
        request = json.loads(line)
        with warnings.catch_warnings():  # Python 3.12 warns of forks beside OpenBLAS's threads
            warnings.simplefilter("ignore", DeprecationWarning)
            child = os.fork()
        if child == 0:
            os.close(answers)
            _become(request)
            return request["words"]
        os.write(answers, (json.dumps(_wait(child, request["timeout"])) + "\n").encode())
    os._exit(0)


def _wait(child: int, timeout: float) -> int | None:
    """Return the exit code, negative for a signal; None where it took too long and was killed."""
    late = []

    def kill(*_: object) -> None:
        late.append(True)
        os.kill(child, signal.SIGKILL)

    signal.signal(signal.SIGALRM, kill)
    signal.setitimer(signal.ITIMER_REAL, timeout)
    status = os.waitpid(child, 0)[1]
    signal.setitimer(signal.ITIMER_REAL, 0)
    return None if late else os.waitstatus_to_exitcode(status)


def _become(request: dict) -> None:
    """Take the streams, directory and environment of the request."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    with open(os.devnull) as nothing:
        os.dup2(nothing.fileno(), 0)
    for number, path in enumerate(request["paths"], start=1):
        with open(path, "wb") as file:
            os.dup2(file.fileno(), number)
    sys.path[0] = request["cwd"]  # it held this file's folder


def _end(code: object) -> None:
    """Exit as Python does, but for taking all libraries apart, which is half a second."""
    if not isinstance(code, int | None):
        print(code, file=sys.stderr)
        code = 1
    threading._shutdown()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code or 0)


if __name__ == "__main__":
    for _library in LIBRARIES:
        __import__(_library)
    gc.freeze()  # forks need no copy of what is here already
    _words = _serve()
    sys.argv = _words
    try:
        runpy.run_module(_words[0], run_name="__main__", alter_sys=True)
    except SystemExit as _exit:
        _end(_exit.code)
    except Exception:
        traceback.print_exc()
        _end(1)
    _end(0)
