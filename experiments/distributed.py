"""Scripts that several processes run as one: the flags that join them, and how they end.

python -m experiments.train --distributed …   # once for each process: Slurm, GKE, a TPU pod
python -m experiments.train --distributed --coordinator=HOST:PORT --processes=2 --process=0 …
"""

import contextlib
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from typing import NoReturn

from absl import flags

from experiments import narrator
from qc_jax.errors import InputError
from qc_jax.train import hosts

_DISTRIBUTED = flags.DEFINE_bool(
    "distributed",
    False,
    "One of several processes that run this together; who they are, the cluster says, or the flags "
    "coordinator, processes and process.",
)
_COORDINATOR = flags.DEFINE_string(
    "coordinator", None, "HOST:PORT of process 0, where the others find it."
)
_PROCESSES = flags.DEFINE_integer("processes", None, "How many there are.")
_PROCESS = flags.DEFINE_integer("process", None, "Which of them this one is, from 0.")
_DEAD_AFTER = flags.DEFINE_integer(
    "dead_after", 30, "Seconds without a sign of life that end a distributed run.", lower_bound=1
)
_JOIN_WITHIN = flags.DEFINE_integer(
    "join_within", 300, "Seconds that processes wait for each other at the start.", lower_bound=1
)

# A wrong flag is found by all processes: each has time to tell before one takes the others along.
_TELL_SECONDS = 2.0


@contextlib.contextmanager
def joined() -> Iterator[None]:
    """Joins the processes of a distributed run around a block; alone, does nothing.

    Only the first process's standard output is shown. One that dies, or leaves the block by an
    exception, ends all others. The exit code is 2 after an InputError and 1 after a bug; the others
    have 3, or end by SIGABRT.

    Raises:
      InputError: flags that do not go together, or the processes do not come together.
    """
    if not _DISTRIBUTED.value:
        for flag in (_COORDINATOR, _PROCESSES, _PROCESS):
            if flag.value is not None:
                raise InputError(f"--{flag.name} is of --distributed, which is not given")
        yield
        return
    with _narrated():
        hosts.join(
            _COORDINATOR.value,
            _PROCESSES.value,
            _PROCESS.value,
            _DEAD_AFTER.value,
            _JOIN_WITHIN.value,
        )
        try:
            _show_only_the_first()
            yield
            hosts.leave()
        except InputError as error:
            _end(f"error: {' '.join(str(error).split())}", 2, _TELL_SECONDS)
        except BaseException as error:
            if hosts.lost_another(error):
                _end(narrator.epitaph("another process"), 3)
            _end(traceback.format_exc(), 1)


def _show_only_the_first() -> None:
    """Of standard output: not that of other processes, and nothing but Python's own prints."""
    sys.stdout.flush()
    own = os.dup(1)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
    if hosts.first():
        sys.stdout = os.fdopen(own, "w", encoding=sys.stdout.encoding)
    else:
        os.close(own)


def _end(words: str, code: int, seconds: float = 0.0) -> NoReturn:
    """Leaves at once: an orderly exit would wait for the other processes, which wait for this."""
    print(words.rstrip("\n"), file=sys.stderr)
    sys.stdout.flush()
    sys.stderr.flush()
    time.sleep(seconds)
    os._exit(code)


@contextlib.contextmanager
def _narrated() -> Iterator[None]:
    """Standard error goes through the narrator."""
    own = os.dup(2)
    with subprocess.Popen(
        [sys.executable, "-S", "-E", narrator.__file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        assert process.stdin is not None
        sys.stderr.flush()
        os.dup2(process.stdin.fileno(), 2)
        process.stdin.close()
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(own, 2)
            os.close(own)
