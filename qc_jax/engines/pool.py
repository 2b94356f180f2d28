"""Many pairs on several processes; a pair that crashes or hangs costs itself only."""

import contextlib
import itertools
import multiprocessing
import os
import signal
import time
from collections.abc import Iterable, Iterator
from multiprocessing import connection
from unittest import mock

from qc_jax.engines.engine import Engine, EngineError
from qc_jax.engines.record import Answer


def compute_pairs(
    engine: Engine, names: Iterable[str], workers: int, timeout_s: float
) -> Iterator[tuple[str, Answer | str]]:
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
    running: list[_Worker] = []

    def next_pair(worker: _Worker) -> None:
        """Gives the worker its next pair, or a new one where it ended; none is left: it goes."""
        running.remove(worker)
        name = next(waiting, None)
        if name is None:
            worker.leave()
        elif worker.ended:
            running.append(_Worker(engine, name))
        else:
            worker.give(name)
            running.append(worker)

    try:
        for name in itertools.islice(waiting, workers):
            running.append(_Worker(engine, name))
        while running:
            soonest = min(worker.started for worker in running) + timeout_s
            ready = connection.wait(
                [worker.connection for worker in running], max(0, soonest - time.monotonic())
            )
            for worker in list(running):
                if worker.connection in ready:
                    answer = worker.answer()
                elif time.monotonic() - worker.started > timeout_s:
                    worker.kill()
                    answer = f"timeout: not ready after {timeout_s:g} s"
                else:
                    answer = None
                if answer is not None:
                    done = worker.name
                    next_pair(worker)
                    yield done, answer
    finally:
        for worker in running:
            worker.kill()


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
        self.started_up = False
        self.ended = False
        self.give(name)

    def give(self, name: str) -> None:
        """Sends the worker a pair to compute."""
        self.name = name
        self.started = time.monotonic()
        with contextlib.suppress(OSError):  # it crashed just now; its connection will say so
            self.connection.send(name)

    def answer(self) -> Answer | str | None:
        """What the worker sent; None where that is no answer yet. Its end is an answer."""
        try:
            message = self.connection.recv()
        except (EOFError, OSError):
            self.process.join()
            self.ended = True
            code = self.process.exitcode
            if not self.started_up:
                raise RuntimeError(
                    f"a worker ended before its first pair, with exit code {code}"
                ) from None
            return f"crash: the process ended with exit code {code}"
        if message == _READY:
            self.started_up = True
            self.started = time.monotonic()
            return None
        return message

    def leave(self) -> None:
        """Lets a worker without a pair go."""
        self.connection.close()  # it sees this
        self.process.join()

    def kill(self) -> None:
        """Ends the worker whatever it does."""
        self.ended = True
        self.process.kill()
        self.process.join()
        self.connection.close()


_READY = "ready"  # the first thing that a worker says


def _work(channel: connection.Connection, engine: Engine) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's business
    with contextlib.suppress(EOFError, OSError):  # the parent has gone
        channel.send(_READY)
        while True:
            channel.send(answer(engine, channel.recv()))


def answer(engine: Engine, name: str) -> Answer | str:
    """What the engine says about a pair, or why it says nothing."""
    try:
        return engine.compute(name)
    except EngineError as error:
        return str(error)
    except Exception as error:  # one pair must not end the other thousands; it is listed instead
        return f"error: {type(error).__name__}: {' '.join(str(error).split())}"
