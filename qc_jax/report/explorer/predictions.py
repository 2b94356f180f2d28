"""What models say of every pair of a table, beside which part of the split a pair was in."""

import dataclasses
import os
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from qc_jax.data import splits
from qc_jax.data.table import PairTable
from qc_jax.data.targets import BENCHMARK_TARGETS
from qc_jax.errors import InputError
from qc_jax.evaluate import baselines
from qc_jax.report import leaderboard, source
from qc_jax.runs import loading, packed, results
from qc_jax.runs.ensemble import Ensemble

# Codes of `Model.parts`, in the page's words.
PARTS = ("train", "validation", "test", "unused")
NO_PART = 255  # nobody knows
CONSTANTS = "element constants"
_SEED = 42  # of the published protocol
_FEWEST = 10  # pairs that a split parts


@dataclasses.dataclass(frozen=True, eq=False)
class Model:
    """One column of predictions.

    Attributes:
      name: what it is called in the page.
      about: in a sentence, where it comes from.
      targets: that it predicts.
      predicted: [N, T] in the targets' units, NaN where nothing is known.
      parts: [N, T] where the pair was in that target's split: an index of `PARTS`, or `NO_PART`.
      leaked_by: inputs of the model that give a target away, by target; without the others.
      half_width: [N, T] of intervals, `ensemble.COVERAGE`; None where not known.
    """

    name: str
    about: str
    targets: tuple[str, ...]
    predicted: Float[np.ndarray, "pairs targets"]
    parts: Int[np.ndarray, "pairs targets"]
    leaked_by: Mapping[str, Sequence[str]]
    half_width: Float[np.ndarray, "pairs targets"] | None = None

    def take(self, rows: Int[np.ndarray, " some"]) -> "Model":
        """Return the predictions for some pairs."""
        width = None if self.half_width is None else self.half_width[rows]
        return dataclasses.replace(
            self, predicted=self.predicted[rows], parts=self.parts[rows], half_width=width
        )


def collect(table: PairTable, workdirs: Sequence[str] = ()) -> list[Model]:
    """Return the models of a table: those of the package, those of work directories, constants.

    Args:
      table: each pair once.
      workdirs: of trained models, as `loading.load` opens them, which predict every pair, or of a
        benchmark, which has kept what its models said of test pairs.

    Raises:
      InputError: one is no such, or is of other data.
    """
    found = []
    shipped = Ensemble(packed.DEFAULT)
    if _same(table, shipped.members[0].config.data_fingerprint):
        about = f"the mean of {len(shipped.members)} trainings, which comes with the package"
        found.append(of_ensemble(table, shipped, packed.DEFAULT[0], about))
    for path in workdirs:
        found += of_workdir(table, path)
    names = [model.name for model in found]
    for index, model in enumerate(found):
        if names.count(model.name) > 1:
            number = names[: index + 1].count(model.name)
            found[index] = dataclasses.replace(model, name=f"{model.name} ({number})")
    return [*found, *element_constants(table, found)]


def not_shown(models: Sequence[Model], shown: Sequence[str]) -> list[str]:
    """Return a sentence for each model with targets that the page does not show.

    Args:
      models: of `collect`.
      shown: targets of the page.
    """
    sentences = []
    for model in models:
        left = [name for name in model.targets if name not in shown]
        if left:
            verb, them = ("are", "they are") if len(left) > 1 else ("is", "it is")
            sentences.append(
                f"{', '.join(left)} of {model.name} ({model.about}) {verb} not shown: the page "
                f"shows quantities of the table, and {them} none, like every class"
            )
    return sentences


def of_ensemble(table: PairTable, ensemble: Ensemble, name: str, about: str) -> Model:
    """Return what an ensemble, or a single run, says of its table's pairs at their bond lengths.

    Args:
      table: each pair once.
      ensemble: several members give intervals.
      name: that the page shows.
      about: where it comes from, in words.
    """
    run = ensemble.members[0]
    parts = _parts(table, run.split)
    predicted = np.full((len(table), len(run.targets)), np.nan)
    width = np.full_like(predicted, np.nan) if len(ensemble.members) > 1 else None
    known = run.pairs is not None and np.isin(table.names, run.pairs.names)
    rows = np.flatnonzero(known)
    if len(rows):
        estimate = ensemble.predict([str(one) for one in table.names[rows]])
        predicted[rows] = estimate.mean
        if width is not None:
            width[rows] = ensemble.half_width(estimate)
    leaked = {key: inputs for key, inputs in run.result.get("leaked_by", {}).items() if inputs}
    seed = run.config.train.seed
    return Model(
        name,
        f"{about}; {run.config.split} split, seed {seed}",
        run.targets,
        predicted,
        np.repeat(parts[:, None], len(run.targets), axis=1),
        leaked,
        width,
    )


def of_workdir(table: PairTable, path: str | os.PathLike) -> list[Model]:
    """Return the models of a work directory, a packed file or a name of the package's models.

    Raises:
      InputError: it is none, is of other data, or has no predictions.
    """
    path = os.fspath(path)
    is_packed = path.endswith(".npz") or (path in packed.index() and not os.path.exists(path))
    if is_packed or os.path.exists(os.path.join(path, "config.json")):
        run = loading.load(path)
        if not _same(table, run.config.data_fingerprint):
            raise InputError(
                f"{path}: expected a model of {table.opened_as}, got one of {run.config.data}"
            )
        name = path if path in packed.index() else os.path.basename(os.path.abspath(path))
        about = f"{'packed as' if is_packed else 'trained in'} {name}"
        return [of_ensemble(table, Ensemble([run]), run.config.model.name, about)]
    found = source.read(path)
    models = []
    for key, frame in leaderboard.sections(found.frame).items():
        if _same(table, key.fingerprint):
            frame = frame[(frame.metric == "mae") & (frame.status == results.FINISHED)]
            models += [
                _of_benchmark(table, found, str(label), key.split, rows)
                for label, rows in frame.groupby("label")
            ]
    kept = [model for model in models if np.isfinite(model.predicted).any()]
    if not kept:
        raise InputError(f"{path}: expected predictions for pairs of {table.opened_as}, got none")
    return kept


def _of_benchmark(
    table: PairTable, found: source.Source, label: str, split: str, rows: pd.DataFrame
) -> Model:
    """Return what trainings of one label said of their test pairs, the mean over seeds."""
    targets = tuple(dict.fromkeys(map(str, rows.target)))
    order = np.argsort(table.names)
    sums = np.zeros((len(table), len(targets)))
    counts = np.zeros_like(sums)
    for training, target in rows[["training", "target"]].drop_duplicates().itertuples(index=False):
        kept = found.predictions(str(training))
        if kept is None or target not in kept.targets:
            continue
        places = np.searchsorted(table.names, kept.names, sorter=order)
        at = order[np.minimum(places, len(table) - 1)]
        there = table.names[at] == kept.names
        column = targets.index(target)
        values = kept.predicted[:, kept.targets.index(target)]
        np.add.at(sums[:, column], at[there], values[there])
        np.add.at(counts[:, column], at[there], 1)
    leaked = {
        str(target): str(inputs).split()
        for target, inputs in zip(rows.target, rows.leaked_by, strict=True)
        if inputs
    }
    predicted = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    parts = np.where(counts > 0, PARTS.index("test"), NO_PART).astype(np.uint8)
    about = f"of a benchmark, {split} split; known are its test pairs, the mean over seeds"
    return Model(label, about, targets, predicted, parts, leaked)


def element_constants(table: PairTable, models: Sequence[Model]) -> list[Model]:
    """Return the baseline that adds up a constant an element; none of a table of too few pairs.

    It is fitted on the training pairs of the first model that tells any, which a benchmark's does
    not, or on those of the published protocol.
    """
    targets = tuple(name for name in BENCHMARK_TARGETS if name in table.targets)
    train = PARTS.index("train")
    told = [model.parts[:, 0] for model in models if (model.parts[:, 0] == train).any()]
    if told:
        parts = told[0]
    elif len(table) < _FEWEST:
        return []
    else:
        parts = np.full(len(table), PARTS.index("unused"), np.uint8)
        for part, rows in splits.random(table, _SEED).parts().items():
            parts[rows] = PARTS.index(part)
    labels, numbers = table.columns(targets), table.atomic_numbers
    predicted = np.full((len(table), len(targets)), np.nan)
    given = np.isfinite(labels) & (parts == train)[:, None]
    # Targets that are known of the same pairs are fitted together.
    for some in np.unique(given, axis=1).T:
        columns = np.flatnonzero((given == some[:, None]).all(axis=0))
        if some.any():
            of_some = numbers[some], labels[some][:, columns], numbers
            predicted[:, columns] = baselines.pair_mean(*of_some)
    return [
        Model(
            CONSTANTS,
            "the baseline: a mean and a constant an element, added up, by least squares",
            targets,
            predicted,
            np.repeat(parts[:, None], len(targets), axis=1),
            {},
        )
    ]


def _same(table: PairTable, fingerprint: str) -> bool:
    return table.fingerprint() == fingerprint


def _parts(table: PairTable, split: Mapping[str, Sequence[str]]) -> Int[np.ndarray, " pairs"]:
    unused = PARTS.index("unused")
    codes = {name: code for code, part in enumerate(PARTS) for name in split.get(part, ())}
    return np.array([codes.get(str(name), unused) for name in table.names], np.uint8)
