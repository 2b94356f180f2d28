"""Hosts: the processes of one run, each with devices of its own, and how they wait for each other.

Without `join` there is one process, which is the first, and nothing here waits.
"""

import contextlib
import itertools
import re
import socket
import time
from collections.abc import Iterator

import jax
import numpy as np
from jax.experimental import multihost_utils
from orbax.checkpoint import multihost

from qc_jax.errors import InputError

_WEEK = 7 * 24 * 3600
_AGAIN_SECONDS = 0.2
_MEETINGS = itertools.count()

# What JAX says when the cause is another process.
_LOST = re.compile(r"Gloo|NCCL|UNAVAILABLE|ABORTED|unhealthy|heartbeat")


def join(
    coordinator: str | None = None,
    processes: int | None = None,
    process: int | None = None,
    dead_after: int = 30,
    join_within: int = 300,
) -> None:
    """Make this process one of a run's; before anything is computed.

    Args:
      coordinator: HOST:PORT of the first process, where the others find it; None, as the next two,
        takes what the cluster says: Slurm, Open MPI, GKE, or a TPU's metadata.
      processes: of the run.
      process: which of them this one is, from 0.
      dead_after: seconds without a sign of life after which a process counts as dead; JAX then ends
        all others (SIGABRT).
      join_within: seconds to wait for all to come.

    Raises:
      InputError: the three do not go together, no cluster is there to ask, or not all came.
    """
    given = {"coordinator": coordinator, "processes": processes, "process": process}
    missing = [name for name, value in given.items() if value is None]
    if missing and len(missing) < 3:
        raise InputError(
            f"expected coordinator, processes and process, or none of them; {missing[0]} is missing"
        )
    if coordinator is not None and processes is not None and process is not None:
        if not re.fullmatch(r"\S+:\d{1,5}", coordinator):
            raise InputError(f"coordinator: expected HOST:PORT, got {coordinator!r}")
        if not 0 <= process < processes:
            raise InputError(f"process: expected 0 to {processes - 1}, got {process}")
    if min(dead_after, join_within) < 1:
        raise InputError(
            f"expected dead_after and join_within above 0 s, got {dead_after} and {join_within}"
        )
    if coordinator is not None and process:
        _wait_for(coordinator, join_within)
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    # SIGTERM is the script's to handle.
    jax.config.update("jax_enable_preemption_service", False)
    try:
        jax.distributed.initialize(
            coordinator,
            processes,
            process,
            heartbeat_timeout_seconds=dead_after,
            initialization_timeout=join_within,
        )
    except ValueError as error:
        raise InputError(
            f"no cluster found ({error}); expected Slurm, Open MPI, GKE or a TPU pod, or "
            "coordinator, processes and process given"
        ) from error
    except jax.errors.JaxRuntimeError as error:
        first_line = str(error).splitlines()[0]
        raise InputError(
            f"the processes did not come together within {join_within} s: {first_line}"
        ) from error


def _wait_for(coordinator: str, seconds: float) -> None:
    """Wait until the first process listens; JAX would end this one by SIGABRT if it never does.

    Raises:
      InputError: it does not in time.
    """
    host, _, port = coordinator.rpartition(":")
    deadline = time.monotonic() + seconds
    while True:
        left = deadline - time.monotonic()
        try:
            socket.create_connection((host.strip("[]"), int(port)), max(left, 0.1)).close()
            return
        except (OSError, OverflowError) as error:  # no such host or port, or nobody there yet
            if left < _AGAIN_SECONDS:
                raise InputError(
                    f"the processes did not come together within {seconds} s: nobody listens at "
                    f"{coordinator} ({error}); expected process 0 there"
                ) from error
        time.sleep(_AGAIN_SECONDS)


def leave() -> None:
    """End what `join` began, when all have come to it; a process that does not is dead to them."""
    barrier("leave")
    jax.distributed.shutdown()


def first() -> bool:
    """Whether this is the process that speaks and writes for all."""
    return jax.process_index() == 0


def barrier(where: str) -> None:
    """Wait until all processes have come here; each calls it as often as the others.

    JAX ends the waiting process where another one has died.
    """
    wait = multihost.get_barrier_sync_fn()
    wait(key=f"qc_jax {next(_MEETINGS)} {where}", timeout_ms=_WEEK * 1000)


@contextlib.contextmanager
def primary_first(where: str) -> Iterator[None]:
    """Run the block in the first process, then in the others, then go on in all."""
    if not first():
        barrier(f"{where}: the first is done")
    yield
    if first():
        barrier(f"{where}: the first is done")
    barrier(f"{where}: all are done")


def any_process(*asked: bool) -> list[bool]:
    """Return whether any process says yes, of each question; all ask at the same point."""
    answers = multihost_utils.process_allgather(np.array(asked))
    return np.any(answers.reshape(-1, len(asked)), axis=0).tolist()


def lost_another(error: BaseException) -> bool:
    """Whether an exception comes from another process that has died."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, jax.errors.JaxRuntimeError) and _LOST.search(str(cause)):
            return True
        cause = cause.__cause__ or cause.__context__
    return False
