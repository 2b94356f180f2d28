"""Many pairs on several processes; a pair that crashes or hangs costs itself only."""

import contextlib
import multiprocessing
import os
import signal
import time
from collections.abc import Iterable, Iterator
from multiprocessing import connection
from unittest import mock

from qc_jax.engines.engine import Engine, EngineError
from qc_jax.engines.record import Record


def compute_pairs(
    engine: Engine, names: Iterable[str], workers: int, timeout_s: float
) -> Iterator[tuple[str, Record | str]]:
    """Computes the pairs on `workers` processes, each with one thread.

    Args:
      engine: who computes; it is sent to every worker.
      names: pairs, like 'Ag_Al'.
      workers: how many processes.
      timeout_s: a pair that takes longer is given up, and its worker ended.

    Yields:
      (name, record) or (name, why there is none), in the order in which they are ready.

    Raises:
      RuntimeError: a worker cannot be started.
    """
    waiting = iter(names)
    running: dict[connection.Connection, _Worker] = {}
    try:
        for name in waiting:
            worker = _Worker(engine, name)
            running[worker.connection] = worker
            if len(running) == workers:
                break
        while running:
            soonest = min(worker.started for worker in running.values()) + timeout_s
            ready = connection.wait(list(running), max(0, soonest - time.monotonic()))
            for worker in [running[channel] for channel in list(running) if channel in ready]:
                try:
                    answer = worker.connection.recv()
                except (EOFError, OSError):
                    answer = f"crash: the process ended with exit code {worker.end()}"
                yield from _next(engine, worker, answer, waiting, running)
            for worker in list(running.values()):
                if time.monotonic() - worker.started > timeout_s:
                    worker.end()
                    answer = f"timeout: not ready after {timeout_s:g} s"
                    yield from _next(engine, worker, answer, waiting, running)
    finally:
        for worker in running.values():
            worker.end()


def _next(engine, worker, answer, waiting, running) -> Iterator[tuple[str, Record | str]]:
    """Yields the answer after the worker, or a new one where it ended, got its next pair."""
    done = worker.name
    del running[worker.connection]
    name = next(waiting, None)
    if name is None:
        worker.end()
    else:
        if worker.ended:
            worker = _Worker(engine, name)
        else:
            worker.give(name)
        running[worker.connection] = worker
    yield done, answer


class _Worker:
    """A process that computes one pair after another; it ends when its parent does."""

    def __init__(self, engine: Engine, name: str):
        # Spawned, not forked: a fork inherits the threads' locks of whoever called, and the other
        # workers' pipes, which would keep them from seeing their parent die.
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_work, args=(theirs, engine), daemon=True)
        with mock.patch.dict(os.environ, OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1"):
            self.process.start()
        theirs.close()
        self.ended = False
        try:
            self.connection.recv()  # it says when it is ready
        except EOFError as error:
            raise RuntimeError(
                f"a worker ended before its first pair, with exit code {self.end()}"
            ) from error
        self.give(name)

    def give(self, name: str) -> None:
        self.name = name
        self.started = time.monotonic()
        with contextlib.suppress(OSError):  # it crashed just now; its connection will say so
            self.connection.send(name)

    def end(self) -> int | None:
        if not self.ended:
            self.ended = True
            self.connection.close()  # an idle worker sees this and leaves by itself
            self.process.join(timeout=0.2)
            if self.process.is_alive():
                self.process.kill()
                self.process.join()
        return self.process.exitcode


def _work(channel: connection.Connection, engine: Engine) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's business
    with contextlib.suppress(EOFError, OSError):  # the parent has gone
        channel.send("ready")
        while True:
            channel.send(_compute(engine, channel.recv()))


def _compute(engine: Engine, name: str) -> Record | str:
    try:
        return engine.compute(name)
    except EngineError as error:
        return str(error)
    except Exception as error:  # one pair must not end the other thousands; it is listed instead
        return f"error: {type(error).__name__}: {' '.join(str(error).split())}"
