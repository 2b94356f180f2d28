"""Bond-length scans as a Beam pipeline: one element of work a pair, what is ready kept in a file.

A pipeline that is stopped and started again takes the pairs that are ready from there: an SQLite
file on a local file system, which the workers of one machine share.
"""

import dataclasses
import functools
import hashlib
import json
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from etils import epath

from qc_jax.chem import elements
from qc_jax.data import splits
from qc_jax.datasets.features import examples
from qc_jax.engines import generate, pool
from qc_jax.engines.engine import Answer, Engine
from qc_jax.engines.record import to_table
from qc_jax.engines.scan import Grid
from qc_jax.engines.store import AnswerStore
from qc_jax.errors import InputError


@dataclasses.dataclass(eq=False)
class CurvesConfig(tfds.core.BuilderConfig):
    """Scans of every pair of some elements.

    Attributes:
      symbols: the elements.
      curve: the grid, 'LOW:HIGH:COUNT' in multiples of the relaxed bond length.
      engine_name: of `generate.ENGINES`.
      together: whether the engine computes many pairs at once, before the pipeline begins, instead
        of each where the pipeline comes to it.
    """

    symbols: tuple[str, ...] = elements.GFN2_SYMBOLS
    curve: str = "0.7:2.5:40"
    engine_name: str = "tblite"
    together: bool = False

    def engine(self) -> Engine:
        """Return the engine that computes."""
        return generate.scanning(generate.create_engine(self.engine_name), self.curve)

    def split(self, seed: int) -> dict[str, list[str]]:
        """Return the pairs of each part: all rows of a pair stand in one."""
        names = np.array(elements.pair_names(self.symbols))
        parts = splits.random_split(len(names), seed).parts()
        return {part: [str(name) for name in names[np.sort(rows)]] for part, rows in parts.items()}

    def provenance(self) -> dict[str, Any]:
        """Return what decides the numbers."""
        return {"elements": sorted(self.symbols), **generate.made_by(self.engine())}


class Answers:
    """What the engine said about each pair, in one file that all workers share.

    Args:
      directory: where TFDS keeps what it has fetched.
      config: what is computed; another engine or grid has a file of its own.
    """

    def __init__(self, directory: epath.PathLike, config: CurvesConfig):
        self._run = generate.made_by(config.engine())
        key = hashlib.sha256(json.dumps(self._run, sort_keys=True).encode()).hexdigest()[:16]
        self.path = epath.Path(directory) / f"quantum_canvas_curves_{key}.answers"
        self._config = config

    def open(self) -> AnswerStore:
        """Open the file, or begin it.

        Raises:
          InputError: it is damaged, or cannot be written.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        return AnswerStore(str(self.path), self._run, shared=True)

    def get(self, name: str) -> Answer:
        """Return the scan of the pair, or why there is none; computed where the file has neither.

        Raises:
          InputError: the file is damaged.
        """
        with self.open() as store:
            answer = store.get(name)
            if answer is None:
                answer = pool.answer_of(self._config.engine().compute, name)
                store.add(name, answer)
        return answer

    def fill(self) -> None:
        """Compute all pairs that the file has not, where that is done together."""
        if not self._config.together:
            return
        names = elements.pair_names(self._config.symbols)
        with self.open() as store:
            generate.complete(self._config.engine(), names, store)

    def left_out(self, names: Iterable[str]) -> dict[str, str]:
        """Return the pairs and points that are in no record, with the reason."""
        engine = self._config.engine()
        reasons: dict[str, str] = {}
        for name in names:
            reasons |= generate.judged(engine, name, self.get(name))[1]
        return reasons


def pipeline(config: CurvesConfig, answers: Answers, names: list[str]) -> Any:
    """Return the records of the named pairs, as a `beam.PTransform` of (key, record)."""
    try:
        import apache_beam as beam
    except ImportError as error:
        raise InputError(
            f"curves are built by Apache Beam, which cannot be imported ({error}); "
            "try: pip install 'qc-jax[beam]'"
        ) from error

    # Row numbers are places in the full grid: what is left out leaves a gap.
    order = {name: row for row, name in enumerate(elements.pair_names(config.symbols))}
    points = Grid.parse(config.curve).count
    first_rows = [(name, order[name] * points) for name in names]
    # One element a bundle: a pair takes a second, and whatever works on it may stop at any time.
    return (
        beam.Create(first_rows)
        | beam.Reshuffle()
        | beam.FlatMap(functools.partial(_records, answers))
    )


def _records(answers: Answers, pair: tuple[str, int]) -> Iterator[tuple[str, dict[str, Any]]]:
    name, first_row = pair
    records = generate.records_of(answers.get(name))
    for record in examples(to_table(records, {}), first_row) if records else ():
        yield f"{name}_{record['row'] - first_row:03d}", record
