"""How many threads what is started computes with."""

import contextlib
import os
from collections.abc import Iterator

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Let processes and libraries that are started within compute with one thread.

    A pair's matrices are tiny: threads only wait for each other, on a busy machine a hundred times
    longer than they work. Libraries read this once, when they are loaded.
    """
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
