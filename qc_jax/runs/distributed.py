"""Run one script as several processes: the flags that join them, and how they end.

python -m experiments.train --distributed …   # once for each process: Slurm, GKE, a TPU pod
python -m experiments.train --distributed --coordinator=HOST:PORT --processes=2 --process=0 …
"""

import contextlib
import os
import sys
import time
import traceback
from collections.abc import Iterator
from typing import NoReturn

from qc_jax.errors import InputError
from qc_jax.runs import cli
from qc_jax.train import hosts

# A wrong flag is found by all processes: each has time to tell before one takes the others along.
_TELL_SECONDS = 2.0
_LOST = (
    "error: another process of this run has died or ended with an error, which its own output "
    "tells; start the same command again on all hosts: it goes on from the last checkpoint"
)


class Group:
    """The flags that join the processes of a run.

    Args:
      flags: of the script, which get them.
    """

    def __init__(self, flags: cli.Flags):
        self._distributed = flags.boolean(
            "distributed",
            False,
            "One of several processes that run this together; who they are, the cluster says, or "
            "the flags coordinator, processes and process.",
        )
        self._coordinator = flags.string(
            "coordinator", None, "HOST:PORT of process 0, where the others find it."
        )
        self._processes = flags.integer("processes", None, "How many there are.")
        self._process = flags.integer("process", None, "Which of them this one is, from 0.")
        self._dead_after = flags.integer(
            "dead_after",
            30,
            "Seconds without a sign of life that end a distributed run.",
            lower_bound=1,
        )
        self._join_within = flags.integer(
            "join_within",
            300,
            "Seconds that processes wait for each other at the start.",
            lower_bound=1,
        )
        self._given = flags.given

    @contextlib.contextmanager
    def joined(self) -> Iterator[None]:
        """Join the processes of a distributed run around a block; alone, do nothing.

        Only the first process's standard output is shown. One that dies, or leaves the block by an
        exception, ends all others. The exit code is 2 after bad input and 1 after a bug; the others
        have 3, or end by SIGABRT, which JAX's own lines explain.

        Raises:
          InputError: flags that do not go together, or the processes do not come together.
        """
        if not self._distributed.value:
            others = ("coordinator", "processes", "process", "dead_after", "join_within")
            for name in others:
                if name in self._given():
                    raise InputError(f"--{name} is of --distributed, which is not given")
            yield
            return
        hosts.join(
            self._coordinator.value,
            self._processes.value,
            self._process.value,
            self._dead_after.value,
            self._join_within.value,
        )
        try:
            _show_only_the_first()
            yield
            hosts.leave()
        except SystemExit:  # all were asked to stop, and all have saved
            hosts.leave()
            raise
        except BaseException as error:
            if hosts.lost_another(error):
                _end(_LOST, 3)
            line = cli.explain(error)
            if line is not None:
                _end(f"error: {line}", 2, _TELL_SECONDS)
            _end(traceback.format_exc(), 1)


def _show_only_the_first() -> None:
    """Show no standard output of other processes, and nothing but Python's own prints."""
    sys.stdout.flush()
    own = os.dup(1)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
    if hosts.first():
        sys.stdout = os.fdopen(own, "w", encoding=sys.stdout.encoding, errors="replace")
    else:
        os.close(own)


def _end(words: str, code: int, seconds: float = 0.0) -> NoReturn:
    """Leave at once: an orderly exit would wait for the other processes, which wait for this."""
    print(words.rstrip("\n"), file=sys.stderr)
    sys.stdout.flush()
    sys.stderr.flush()
    time.sleep(seconds)
    os._exit(code)
