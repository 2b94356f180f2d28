"""Engines that compute one pair at a time, run on several processes."""

import concurrent.futures
import dataclasses
import functools
import math
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar

from qc_jax.engines.engine import Answer, EngineError, Failure, FailureKind, Progress
from qc_jax.engines.record import Record, Scan
from qc_jax.engines.scan import Grid, ScanConfig
from qc_jax.errors import InputError
from qc_jax.threads import one_thread

# A pair takes about half a second; one that takes this long hangs.
TIMEOUT_S = 600.0


def _check(workers: int, timeout_s: float) -> None:
    if workers < 1:
        raise InputError(f"workers: expected at least 1, got {workers}")
    if not 0 < timeout_s < math.inf:
        raise InputError(f"timeout: expected a finite number of seconds above 0, got {timeout_s}")


@dataclasses.dataclass(frozen=True)
class PoolOptions:
    """The options of every engine that computes one pair at a time."""

    workers: int = dataclasses.field(
        default_factory=lambda: os.cpu_count() or 1, metadata={"help": "processes"}
    )
    timeout: float = dataclasses.field(
        default=TIMEOUT_S, metadata={"help": "seconds after which a pair is given up"}
    )

    def __post_init__(self):
        _check(self.workers, self.timeout)


@dataclasses.dataclass(frozen=True, kw_only=True)
class PooledEngine:
    """The parallel half of an engine: `compute_all` by `compute`.

    Attributes:
      workers: processes.
      timeout_s: when a pair is given up.
    """

    workers: int = 1
    timeout_s: float = TIMEOUT_S
    grace_s: ClassVar[float] = 0.0  # what an engine that watches its own time needs beyond it

    def __post_init__(self):
        _check(self.workers, self.timeout_s)

    def compute(self, name: str) -> Record:
        """Return the pair at its energy minimum."""
        raise NotImplementedError

    def compute_all(self, names: Sequence[str], progress: Progress) -> Iterator[tuple[str, Answer]]:
        """Yield each pair with its answer, in the order in which they are ready."""
        return self._all(self.compute, names, progress)

    def _all(
        self, compute: Callable[[str], Record | Scan], names: Sequence[str], progress: Progress
    ) -> Iterator[tuple[str, Answer]]:
        answers = answer_all(compute, names, self.workers, self.timeout_s, self.grace_s)
        for done, (name, answer) in enumerate(answers, start=1):
            yield name, answer
            progress(done, len(names))


@dataclasses.dataclass(frozen=True, kw_only=True)
class PooledScanner(PooledEngine):
    """The same of an engine that can scan bond lengths."""

    def scan(self, name: str, grid: Grid, config: ScanConfig) -> Scan:
        """Return the pair at the distances of the grid."""
        raise NotImplementedError

    def scan_all(
        self, names: Sequence[str], grid: Grid, config: ScanConfig, progress: Progress
    ) -> Iterator[tuple[str, Answer]]:
        """Yield each pair with its scan, in the order in which they are ready."""
        return self._all(functools.partial(self.scan, grid=grid, config=config), names, progress)


def answer_of(compute: Callable[[str], Record | Scan], name: str) -> Answer:
    """Return what `compute` says about a pair, or why it says nothing.

    Raises:
      InputError: the machine refuses (a full disk): that is not the pair's failure.
    """
    try:
        return compute(name)
    except EngineError as error:
        return error.failure
    except InputError:
        raise
    except OSError as error:
        raise InputError(
            f"{error.filename or name}: cannot be read or written: {error.strerror or error}"
        ) from error
    except Exception as error:  # one pair must not end the other thousands; it is listed instead
        detail = f"{type(error).__name__}: {' '.join(str(error).split())}"
        return Failure(FailureKind.ERROR, detail)


def answer_all(
    compute: Callable[[str], Record | Scan],
    names: Sequence[str],
    workers: int,
    timeout_s: float,
    grace_s: float = 0.0,
) -> Iterator[tuple[str, Answer]]:
    """Yield each pair with its answer, computed on `workers` processes with one thread each.

    A pair whose process crashes or takes too long costs itself only. No process outlives the
    iteration, nor this process, however it ends.

    Args:
      compute: what is called; it is pickled for every pair.
      names: pairs, like 'Ag_Al'.
      workers: how many processes.
      timeout_s: a pair that takes longer is given up, and its process ended.
      grace_s: how much later than that, for a `compute` that watches the time itself.

    Raises:
      InputError: as `answer_of`.
      RuntimeError: a process cannot be started.
    """
    if not names:
        return
    import pebble

    # Spawned, not forked: a fork inherits the locks of the threads of whoever called.
    pool = pebble.ProcessPool(
        max_workers=min(workers, len(names)),
        initializer=_end_with_parent,
        context=multiprocessing.get_context("spawn"),
    )
    with one_thread():
        try:
            futures: dict[concurrent.futures.Future, str] = {
                pool.schedule(answer_of, args=(compute, name), timeout=timeout_s + grace_s): name
                for name in names
            }
            for future in concurrent.futures.as_completed(futures):
                yield futures[future], _result(future, timeout_s)
        finally:
            pool.stop()
            pool.join()


def _result(future: concurrent.futures.Future, timeout_s: float) -> Answer:
    import pebble

    try:
        return future.result()
    except TimeoutError:
        return Failure(FailureKind.TIMEOUT, f"not ready after {timeout_s:g} s")
    except pebble.ProcessExpired as error:
        return Failure(FailureKind.CRASH, f"the process ended with exit code {error.exitcode}")
    except concurrent.futures.process.BrokenProcessPool as error:
        raise RuntimeError("a worker ended before its first pair") from error


def _end_with_parent() -> None:
    """Make this worker end as soon as its parent has ended, in the middle of a pair too."""
    parent: Any = multiprocessing.parent_process()

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
