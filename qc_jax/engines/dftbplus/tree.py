"""A tree of DFTB+ outputs, a directory a pair, becomes a PairTable."""

import os
from collections.abc import Callable

from qc_jax.data.table import PairTable
from qc_jax.engines.gates import Gates
from qc_jax.errors import InputError


def read_tree(
    directory: str | os.PathLike,
    *,
    gates: Gates | None = None,
    workers: int = 1,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> PairTable:
    """The pairs whose outputs stand in `directory`/<A>_<B>/, those left out with their reasons."""
    raise InputError(f"{os.fspath(directory)}: cannot be read yet")
