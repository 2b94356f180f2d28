"""All pairs of some elements by one engine, resumably, into a PairTable; and checked again."""

import dataclasses
import importlib
import json
import math
import os
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, cast

import numpy as np

from qc_jax.chem import elements
from qc_jax.data import files, targets
from qc_jax.data.table import PairTable
from qc_jax.engines.engine import Answer, Engine, EngineOptions, Failure, Progress, Scanner
from qc_jax.engines.record import Record, Scan, to_table
from qc_jax.engines.scan import Grid, ScanEngine
from qc_jax.engines.store import AnswerStore
from qc_jax.errors import InputError, choose

# The module of each engine, which has its `Options`.
ENGINES = {
    "dftb": "qc_jax.engines.dftb",
    "dftbplus": "qc_jax.engines.dftbplus.program",
    "tblite": "qc_jax.engines.tblite",
}
# What two runs of one engine may differ by, by unit.
TOLERANCES = {"eV": 1e-5, "Å": 1e-4, "e": 1e-4, "Debye": 1e-4, "eV/Å": 1e-4}


def options_of(name: str) -> type[EngineOptions]:
    """Return the class of the options of the engine called `name`.

    Raises:
      InputError: there is no such engine.
    """
    choose("engine", name, ENGINES)
    return importlib.import_module(ENGINES[name]).Options


def create_engine(
    name: str,
    symbols: Sequence[str] | None = None,
    workspace: str | None = None,
    **options: Any,
) -> Engine:
    """Return the engine called `name`.

    Args:
      name: one of `ENGINES`.
      symbols: elements that it is to compute; all that it knows unless given.
      workspace: a directory for files that it keeps.
      options: fields of the engine's `Options`.

    Raises:
      InputError: no such engine, the program behind it is not installed, or an option is wrong.
    """
    made = options_of(name)
    for option in options:
        known = [field.name for field in dataclasses.fields(cast(Any, made))]
        choose(f"option of engine {name!r}", option, known)
    return made(**options).create(symbols, workspace)


def scanning(engine: Engine, curve: str) -> Engine:
    """Return the engine, made to scan bond lengths on the grid `curve` (`scan.Grid.parse`).

    Raises:
      InputError: it is no grid, or the engine cannot scan.
    """
    if not hasattr(engine, "scan"):
        raise InputError(f"engine {engine.name!r} cannot scan bond lengths")
    return ScanEngine(cast(Scanner, engine), Grid.parse(curve))


def check_elements(symbols: Sequence[str], engine: Engine) -> list[str]:
    """Return the distinct symbols, sorted.

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
    overwrite: bool = False,
    progress: Progress = lambda done, total: None,
) -> PairTable:
    """Compute every pair of `symbols` and write the table to `out`.

    What is ready goes into `out`.answers at once; a run that is killed and started again with the
    same elements, engine and settings computes only what is not there. That file is removed when
    the table is written. Pairs without a solution, and pairs that fail a gate, are left out and
    stand with the reason in `table.left_out`.

    Args:
      engine: who computes.
      symbols: elements, in any order.
      out: path of the table, ending in .npz.
      overwrite: whether a table at `out` may be replaced.
      progress: called with the number of pairs that are ready and of all, first for those that
        are ready from an earlier run.

    Raises:
      InputError: an element that the engine does not know, a path that cannot be written or is
        taken, answers of another run, a full disk.
    """
    if not out.endswith(".npz"):
        raise InputError(f"{out}: expected a path that ends in .npz")
    symbols = check_elements(symbols, engine)
    if os.path.exists(out) and not overwrite:
        raise InputError(f"{out}: exists already; add --overwrite or choose another path")
    files.check_target(out)
    names = elements.pair_names(symbols)
    run = {"elements": symbols, **made_by(engine)}
    with AnswerStore(f"{out}.answers", run) as store:
        complete(engine, names, store, progress)
        records, left_out = _judge(engine, names, store)
        table = to_table(records, run | {"left_out": left_out})
        table.save(out)
    os.remove(store.path)
    return table


def complete(
    engine: Engine,
    names: Sequence[str],
    store: AnswerStore,
    progress: Progress = lambda done, total: None,
) -> None:
    """Compute the pairs of which the store has no answer yet, and add those."""
    known = store.names()
    todo = [name for name in names if name not in known]
    ready = len(names) - len(todo)
    progress(ready, len(names))
    for name, answer in engine.compute_all(
        todo, lambda done, _: progress(ready + done, len(names))
    ):
        store.add(name, answer)


def _judge(
    engine: Engine, names: Sequence[str], store: AnswerStore
) -> tuple[list[Record], dict[str, str]]:
    records: list[Record] = []
    left_out: dict[str, str] = {}
    for name in names:
        answer = store.get(name)
        assert answer is not None, f"an engine gives every pair an answer, {name} too"
        kept, failures = judged(engine, name, answer)
        records += kept
        left_out |= failures
    return records, left_out


def judged(engine: Engine, name: str, answer: Answer) -> tuple[list[Record], dict[str, str]]:
    """Return what may stand in a table of an answer for a pair, and what may not, with why."""
    if isinstance(answer, Scan):  # it judges its points itself
        return answer.points, answer.left_out
    failure = answer if isinstance(answer, Failure) else engine.gates.failure(answer)
    if failure is not None or isinstance(answer, Failure):
        return [], {name: str(failure)}
    return [answer], {}


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
    progress: Progress = lambda done, total: None,
) -> list[Difference]:
    """Compute `count` random pairs of the table again and compare.

    What an engine gives is compared; the other targets follow (`data.labels.derive`). A
    pair that no longer has a solution, or an undefined value on one side only, differs infinitely.

    Args:
      engine: who computes; it must be the one that made the table, with the same settings.
      table: what to check.
      count: how many pairs; all where the table has fewer.
      seed: of the choice.
      progress: called with the number of pairs that are ready and of all.

    Raises:
      InputError: the table is of another engine or of other settings.
    """
    check_maker(table, engine.name)
    if differ := other_settings(engine, table):
        raise InputError(f"the table was made with other {', '.join(differ)} than the engine has")
    # A pair may stand in several rows; which come first decides nothing where each stands in one.
    pairs = table.names[np.sort(np.unique(table.names, return_index=True)[1])]
    names = [str(name) for name in np.random.default_rng(seed).permutation(pairs)[:count]]
    largest: dict[tuple[str, str], tuple[float, str]] = {}
    progress(0, len(names))
    for name, answer in engine.compute_all(names, progress):
        for quantity, unit, difference in _differences(table, name, answer):
            worst = largest.get((quantity, unit), (-1.0, ""))
            largest[quantity, unit] = max(worst, (difference, name))
    return [
        Difference(quantity, unit, difference, name, TOLERANCES[unit])
        for (quantity, unit), (difference, name) in largest.items()
    ]


def check_maker(table: PairTable, engine: str) -> None:
    """Raise InputError unless the engine called `engine` made the table."""
    maker = table.provenance.get("engine")
    if maker != engine:
        raise InputError(f"the table was made by engine {maker!r}, not by {engine!r}")


def made_by(engine: Engine) -> dict[str, Any]:
    """Return what decides which pairs a table holds, and their numbers."""
    gates = dataclasses.asdict(engine.gates)
    # A gate without end is none, and JSON has no word for it.
    return {**engine.provenance(), "gates": {k: v for k, v in gates.items() if math.isfinite(v)}}


def other_settings(engine: Engine, table: PairTable) -> list[str]:
    """Return what decides the numbers and differs from a table's, whatever the version."""
    run = json.loads(json.dumps(made_by(engine)))  # as a table keeps it
    return [key for key in run if key != "version" and table.provenance.get(key) != run[key]]


def _differences(table: PairTable, name: str, answer: Answer) -> Iterator[tuple[str, str, float]]:
    old = table.take(table.names == name)
    records = records_of(answer)
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
    """Return the record, or those of a scan's points; none of a failure."""
    if isinstance(answer, Scan):
        return answer.points
    return [] if isinstance(answer, Failure) else [answer]


def _largest(old: np.ndarray, new: np.ndarray | None) -> float:
    if new is None or (np.isnan(old) != np.isnan(new)).any():
        return float("inf")
    return float(np.nanmax(np.append(np.abs(old - new), 0.0)))
