"""Bond-length scans as a Beam pipeline: one element of work a pair, what is ready kept in files.

A pipeline that is stopped and started again takes the pairs that are ready from their files; that
works on any file system that TFDS reads, and with any runner.
"""

import dataclasses
import functools
import hashlib
import json
import uuid
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from etils import epath

from qc_jax.chem import elements
from qc_jax.data import splits
from qc_jax.datasets.features import examples
from qc_jax.engines import generate, pool
from qc_jax.engines.engine import Engine
from qc_jax.engines.record import Answer, Scan, to_table
from qc_jax.engines.scan import Grid
from qc_jax.errors import InputError


@dataclasses.dataclass(eq=False)
class CurvesConfig(tfds.core.BuilderConfig):
    """Scans of every pair of some elements.

    Attributes:
      symbols: the elements.
      curve: the grid, 'LOW:HIGH:COUNT' in multiples of the relaxed bond length.
    """

    symbols: tuple[str, ...] = elements.GFN2_SYMBOLS
    curve: str = "0.7:2.5:40"

    def engine(self) -> Engine:
        """Who computes."""
        return generate.scanning(generate.create_engine("tblite"), self.curve)

    def split(self, seed: int) -> dict[str, list[str]]:
        """The pairs of each part: all rows of a pair stand in one."""
        names = np.array(elements.pair_names(self.symbols))
        parts = splits.random_split(len(names), seed).parts()
        return {part: [str(name) for name in names[np.sort(rows)]] for part, rows in parts.items()}

    def provenance(self) -> dict[str, Any]:
        """What decides the numbers."""
        return {"elements": sorted(self.symbols), **generate.made_by(self.engine())}


class Answers:
    """What the engine said about each pair, in a file a pair.

    Args:
      directory: where TFDS keeps what it has fetched.
      config: what is computed; another engine or grid has files of its own.
    """

    def __init__(self, directory: epath.PathLike, config: CurvesConfig):
        made_by = generate.made_by(config.engine())
        key = hashlib.sha256(json.dumps(made_by, sort_keys=True).encode()).hexdigest()[:16]
        self.directory = epath.Path(directory) / f"quantum_canvas_curves_{key}"
        self._config = config

    def get(self, name: str) -> Answer | str:
        """The scan of the pair, or why there is none; computed where no file has it.

        Raises:
          InputError: its file is damaged.
        """
        path = self.directory / f"{name}.json"
        if path.exists():
            try:
                kept = json.loads(path.read_text())
                return kept["failure"] if kept["scan"] is None else Scan.from_json(kept["scan"])
            except (ValueError, KeyError, TypeError) as error:
                raise InputError(f"{path}: damaged ({error}); delete it") from error
        answer = pool.answer(self._config.engine(), name)
        kept = (
            {"scan": None, "failure": answer}
            if isinstance(answer, str)
            else {"scan": answer.to_json()}
        )
        # Whole or not at all, also where two workers are at the same pair.
        self.directory.mkdir(parents=True, exist_ok=True)
        partial = self.directory / f"{name}.json.{uuid.uuid4().hex}"
        partial.write_text(json.dumps(kept))
        partial.rename(path)
        return answer

    def left_out(self, names: Iterable[str]) -> dict[str, str]:
        """The pairs and points that are in no record, with the reason."""
        engine = self._config.engine()
        reasons: dict[str, str] = {}
        for name in names:
            reasons |= generate.judged(engine, name, self.get(name))[1]
        return reasons


def pipeline(config: CurvesConfig, answers: Answers, names: list[str]) -> Any:
    """The records of the named pairs, as a `beam.PTransform` of (key, record)."""
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
    answer = answers.get(name)
    if isinstance(answer, str):
        return
    for record in examples(to_table(generate.records_of(answer), {}), first_row):
        yield f"{name}_{record['row'] - first_row:03d}", record
