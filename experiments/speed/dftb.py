"""Tight binding of PTBP's pairs: how long atoms, tables, energies and relaxations take."""

import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np

from qc_jax.chem import elements
from qc_jax.data import files
from qc_jax.dftb import cache, convergence, covered_symbols, pseudo_atoms, relax, scan, tables
from qc_jax.errors import InputError
from qc_jax.runs.progress import Bar
from qc_jax.testing import count_compilations

KELVIN = 300.0


def run(pairs: int = 60, data_dir: str = "") -> list[dict[str, Any]]:
    """Print a row for each step; return them.

    Args:
      pairs: of PTBP's 2,850, drawn at random.
      data_dir: where atoms and tables are kept, or found; thrown away unless given.
    """
    names = elements.pair_names(sorted(covered_symbols()))
    if not 1 <= pairs <= len(names):
        raise InputError(f"--pairs: expected 1 to {len(names)}, got {pairs}")
    chosen = np.sort(np.random.default_rng(0).permutation(len(names))[:pairs])
    some = [(a, b) for a, b in (names[k].split("_") for k in chosen)]
    with tempfile.TemporaryDirectory() as folder:
        os.environ[files.CACHE] = data_dir or folder
        columns = ("count", "wall s", "CPU s", "compiling s", "a second")
        rows: list[dict[str, Any]] = []
        print(f"{'step':<34}" + "".join(f"{column:>12}" for column in columns))
        for step, count, work in _steps(some):
            with count_compilations() as compiling:
                start = time.perf_counter(), time.process_time()
                work()
                wall, processor = time.perf_counter() - start[0], time.process_time() - start[1]
            print(
                f"{step:<34}{count:>12,}{wall:>12.1f}{processor:>12.1f}{sum(compiling):>12.1f}"
                f"{count / wall:>12.2f}",
                flush=True,
            )
            numbers = {"wall": wall, "processor": processor, "compiling": sum(compiling)}
            rows.append({"step": step, "count": count, **numbers})
        where = cache.directory()
        assert where is not None
        megabytes = sum(file.stat().st_size for file in where.iterdir()) / 1e6
    unit = 1 if sys.platform == "darwin" else 1024
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9
    print(f"{megabytes:.1f} MB of atoms and tables kept; at most {memory:.1f} GB of memory used")
    return rows


def _steps(pairs: list[tuple[str, str]]) -> Iterator[tuple[str, int, Callable[[], object]]]:
    """Yield the steps: what they are called, of how many, and what does them."""
    symbols = sorted({symbol for pair in pairs for symbol in pair})
    kt = convergence.kt_of(KELVIN)
    with Bar() as bar:
        yield "atoms", len(symbols), lambda: pseudo_atoms(symbols)
        yield "smooth tables", len(pairs), lambda: tables.pair_tables(pairs, progress=bar)
    with jax.enable_x64(True):
        smooth = convergence.load("ptbp", symbols, pairs=pairs, smooth=True)
        starts = relax.default_start(pairs)[:, None]
        walks = []
        single = lambda: scan.scan(pairs, smooth, kt, starts)  # noqa: E731
        yield "single points", len(pairs), single
        yield "single points, again", len(pairs), single
        downhill = lambda: walks.append(relax.relax(pairs, smooth, kt))  # noqa: E731
        yield "relaxations on smooth tables", len(pairs), downhill
        yield "relaxations on them, again", len(pairs), downhill
        rows = lambda: relax.refine(pairs, smooth, kt, walks[0])  # noqa: E731
        yield "published rows, relaxed along them", len(pairs), rows
        yield "relaxed along them, again", len(pairs), rows
