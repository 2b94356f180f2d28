"""Runs an engine over all pairs of some elements, in parallel and resumably, into a PairTable."""

import dataclasses
import importlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, cast

import numpy as np

from qc_jax.chem import elements
from qc_jax.data import targets
from qc_jax.data.table import PairTable
from qc_jax.engines import pool
from qc_jax.engines.engine import Engine
from qc_jax.engines.journal import Journal
from qc_jax.engines.record import Answer, Record, to_table
from qc_jax.engines.scan import Grid, ScanEngine, Scanner
from qc_jax.errors import InputError, choose

# By name: module, what there makes the engine, and the package that the module needs.
ENGINES = {
    "dftbplus": ("qc_jax.engines.dftbplus.program", "create", "qc-jax"),
    "tblite": ("qc_jax.engines.tblite", "TbliteEngine", "tblite"),
}
# A pair takes about half a second; one that takes this long hangs.
TIMEOUT_S = 600.0
# What two runs of one engine may differ by, by unit.
TOLERANCES = {"eV": 1e-5, "Å": 1e-4, "e": 1e-4, "Debye": 1e-4, "eV/Å": 1e-4}


def create_engine(name: str, **options: Any) -> Engine:
    """The engine called `name`.

    Args:
      name: one of `ENGINES`.
      options: of the engine: fields of `TbliteEngine`, arguments of `dftbplus.program.create`.

    Raises:
      InputError: no such engine, the program behind it is not installed, or an option is wrong.
    """
    choose("engine", name, ENGINES)
    module, make, package = ENGINES[name]
    try:
        return getattr(importlib.import_module(module), make)(**options)
    except ImportError as error:
        raise InputError(
            f"engine {name!r} cannot be loaded ({error}); try: pip install {package}"
        ) from error


def scanning(engine: Engine, curve: str) -> Engine:
    """The engine, made to scan bond lengths on the grid `curve` (`scan.Grid.parse`).

    Raises:
      InputError: it is no grid, or the engine cannot scan.
    """
    if not hasattr(engine, "scan"):
        raise InputError(f"engine {engine.name!r} cannot scan bond lengths")
    return ScanEngine(cast(Scanner, engine), Grid.parse(curve))


def check_elements(symbols: Sequence[str], engine: Engine) -> list[str]:
    """The distinct symbols, sorted.

    Raises:
      InputError: there is none, or the engine has no parameters for one.
    """
    if not symbols:
        raise InputError("no elements; expected symbols such as H,C,N,O")
    for symbol in symbols:
        elements.element(symbol)
        if symbol not in engine.symbols:
            raise InputError(
                f"engine {engine.name!r} has no parameters for {symbol}; it knows "
                f"{len(engine.symbols)} elements: {' '.join(engine.symbols)}"
            )
    return sorted(set(symbols))


def generate(
    engine: Engine,
    symbols: Sequence[str],
    out: str,
    *,
    workers: int = 1,
    overwrite: bool = False,
    timeout_s: float = TIMEOUT_S,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> PairTable:
    """Computes every pair of `symbols` and writes the table to `out`.

    What is ready goes into `out`.journal at once; a run that is killed and started again with the
    same elements, engine and settings computes only what is not there. The journal is removed when
    the table is written. Pairs without a solution, and pairs that fail a gate, are left out and
    stand with the reason in `table.left_out`.

    Args:
      engine: who computes.
      symbols: elements, in any order.
      out: path of the table, ending in .npz.
      workers: processes.
      overwrite: whether a table at `out` may be replaced.
      timeout_s: when a pair is given up.
      progress: called with the number of pairs that are ready and of all, first for those that
        the journal holds already.

    Raises:
      InputError: an element that the engine does not know, a path that cannot be written or is
        taken, a journal of another run.
    """
    if not out.endswith(".npz"):
        raise InputError(f"{out}: expected a path that ends in .npz")
    if workers < 1:
        raise InputError(f"workers: expected at least 1, got {workers}")
    symbols = check_elements(symbols, engine)
    if os.path.exists(out) and not overwrite:
        raise InputError(f"{out}: exists already; add --overwrite or choose another path")
    names = elements.pair_names(symbols)
    run = {"elements": symbols, **made_by(engine)}
    with Journal(f"{out}.journal", run) as journal:
        todo = [name for name in names if name not in journal.answers]
        progress(len(names) - len(todo), len(names))
        for name, answer in pool.compute_pairs(engine, todo, workers, timeout_s):
            journal.add(name, answer)
            progress(len(journal.answers), len(names))
        table = _table(engine, names, journal.answers, run)
        table.save(out)
        journal.remove()
    return table


def _table(
    engine: Engine, names: list[str], answers: dict[str, Answer | str], run: dict[str, Any]
) -> PairTable:
    records = []
    left_out: dict[str, str] = {}
    for name in names:
        kept, failures = judged(engine, name, answers[name])
        records += kept
        left_out |= failures
    return to_table(records, run | {"left_out": left_out})


def judged(engine: Engine, name: str, answer: Answer | str) -> tuple[list[Record], dict[str, str]]:
    """What may stand in a table of an engine's answer for a pair, and what may not, with why."""
    if isinstance(answer, str):
        return [], {name: answer}
    if not isinstance(answer, Record):  # a scan judges its points itself
        return answer.points, answer.left_out
    failure = engine.gates.failure(answer)
    return ([], {name: failure}) if failure else ([answer], {})


class Difference(NamedTuple):
    """The largest difference of one quantity between a table and its pairs computed again."""

    quantity: str
    unit: str
    largest: float
    pair: str
    allowed: float

    @property
    def within(self) -> bool:
        """Whether it is allowed."""
        return self.largest <= self.allowed


def verify(
    engine: Engine,
    table: PairTable,
    count: int,
    *,
    seed: int = 0,
    workers: int = 1,
    timeout_s: float = TIMEOUT_S,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Difference]:
    """Computes `count` random pairs of the table again and compares.

    Compares what an engine gives; the other targets are functions of that (`data.labels.derive`).
    A pair that no longer has a solution, or an undefined value on one side only, differs
    infinitely.

    Args:
      engine: who computes; it must be the one that made the table, with the same settings.
      table: what to check.
      count: how many pairs; all where the table has fewer.
      seed: of the choice.
      workers: processes.
      timeout_s: when a pair is given up.
      progress: called with the number of pairs that are ready and of all.

    Raises:
      InputError: the table is of another engine or of other settings.
    """
    check_maker(table, engine.name)
    settings = _settings(engine)
    differ = [key for key in settings if table.provenance.get(key) != settings[key]]
    if differ:
        raise InputError(f"the table was made with other {', '.join(differ)} than the engine has")
    # A pair may stand in several rows; which come first decides nothing where each stands in one.
    pairs = table.names[np.sort(np.unique(table.names, return_index=True)[1])]
    names = [str(name) for name in np.random.default_rng(seed).permutation(pairs)[:count]]
    largest: dict[tuple[str, str], tuple[float, str]] = {}
    answers = pool.compute_pairs(engine, names, workers, timeout_s)
    progress(0, len(names))
    for done, (name, answer) in enumerate(answers, start=1):
        for quantity, unit, difference in _differences(table, name, answer):
            worst = largest.get((quantity, unit), (-1.0, ""))
            largest[quantity, unit] = max(worst, (difference, name))
        progress(done, len(names))
    return [
        Difference(quantity, unit, difference, name, TOLERANCES[unit])
        for (quantity, unit), (difference, name) in largest.items()
    ]


def check_maker(table: PairTable, engine: str) -> None:
    """Raises InputError unless the engine called `engine` made the table."""
    maker = table.provenance.get("engine")
    if maker != engine:
        raise InputError(f"the table was made by engine {maker!r}, not by {engine!r}")


def made_by(engine: Engine) -> dict[str, Any]:
    """What decides which pairs a table holds, and their numbers."""
    return {**engine.provenance(), "gates": dataclasses.asdict(engine.gates)}


def _settings(engine: Engine) -> dict[str, Any]:
    """What decides the numbers, but for the version of the program, as a table keeps it."""
    run = made_by(engine)
    del run["version"]
    return json.loads(json.dumps(run))


def _differences(
    table: PairTable, name: str, answer: Answer | str
) -> Iterator[tuple[str, str, float]]:
    old = table.take(table.names == name)
    records = [] if isinstance(answer, str) else records_of(answer)
    new = to_table(records, {}) if len(records) == len(old) else None
    direct = records[0].targets if records else ()
    fields = {"populations": "e", "charges": "e", "dipole": "Debye"}
    if old.forces is not None:
        fields["forces"] = "eV/Å"
    for field, unit in fields.items():
        again = None if new is None else getattr(new, field)
        yield field, unit, _largest(getattr(old, field), again)
    for target in ("distance_ang", *direct):
        again = None if new is None else new.targets[target]
        yield target, targets.target(target).unit, _largest(old.targets[target], again)


def records_of(answer: Answer) -> list[Record]:
    """The record, or those of a scan's points."""
    return [answer] if isinstance(answer, Record) else answer.points


def _largest(old: np.ndarray, new: np.ndarray | None) -> float:
    if new is None or (np.isnan(old) != np.isnan(new)).any():
        return float("inf")
    return float(np.nanmax(np.append(np.abs(old - new), 0.0)))
