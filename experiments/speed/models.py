"""Pairs a second that a model trains on and predicts, beside a reference in PyTorch."""

import dataclasses
import os
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import jax
import numpy as np

from qc_jax import canvas, models
from qc_jax.data.dataset import Dataset, Task, prepare
from qc_jax.data.table import open_table
from qc_jax.errors import InputError
from qc_jax.evaluate.predict import batches_of
from qc_jax.studies.turns import take_turns
from qc_jax.train.config import TrainConfig
from qc_jax.train.parallel import Devices
from qc_jax.train.program import Program
from qc_jax.train.rows import num_batches
from qc_jax.train.stack import Stack, Training
from qc_jax.train.state import count_parameters, select_replica

from . import arithmetic, references

# Of a model whose epoch takes longer, an epoch of fewer batches is timed.
_EPOCH_SECONDS = 3.0
_LEAST_BATCHES = 4
_TURN_SECONDS = 12.0  # after which no further round starts


class Reference(Protocol):
    """The same network elsewhere, batch size and data its own affair."""

    def train(self, rows: np.ndarray) -> Any:
        """Train one epoch over rows [M] of the task's dataset, in a random order."""

    def predict(self, rows: np.ndarray) -> Any:
        """Return outputs of rows [M] of the task's dataset."""


class ModelTiming(NamedTuple):
    """One model; all rates were measured in turns.

    Attributes:
      parameters: that are trained.
      compile_seconds: of the training epoch.
      batches: in the epoch that was timed, of `all_batches` in a whole one.
      all_batches: those of the training rows.
      gigaflops: arithmetic of the training's forward and backward passes, 10^9 a second.
      rates: structures a second, medians over rounds: 'train', 'predict', and those two behind
        'reference ' where there is one.
    """

    parameters: int
    compile_seconds: float
    batches: int
    all_batches: int
    gigaflops: float
    rates: dict[str, float]


def run(
    names: Sequence[str] = (),
    batch: Sequence[int] = (64,),
    rounds: int = 5,
    reference: bool = False,
) -> list[dict[str, Any]]:
    """Print a row for each model; return them."""
    rows: list[dict[str, Any]] = []
    settings = TrainConfig(batch_size=one("batch", batch))
    names = trained(names) if names else _all_trained()
    modules = {name: references.module(name) for name in names} if reference else {}
    peak = arithmetic.product_gigaflops()
    print(f"a large float32 matrix product: {peak:,.0f} GFLOP/s, of which '% of pr.' is training's")
    print(
        f"training: one epoch of {len(shipped_task(False).split.train):,} pairs in batches of "
        f"{settings.batch_size}, shuffled, with the last batch, dropout and Adam"
    )
    head = "model                parameters  compile s  training/s  % of pr.  predicting/s  "
    if reference:
        head += "reference: training/s  predicting/s  times as fast: training  predicting  "
        cores = references.timing().use_all_cores()
        print(f"reference: {cores}; edges listed and canvases drawn beforehand")
        load = os.getloadavg()[0]
        if load > 0.5:
            # PyTorch's threads spin while they wait for one that other work has put aside.
            print(f"warning: load average {load:.1f} at the start; on a busy machine ratios lie")
    print(head)
    for name in names:
        model, module, other = models.create(name), modules.get(name), None
        task = shipped_task("canvas" in model.inputs)
        if module is not None:
            other = references.timing().Trainer(module, models.defaults(name), task, settings)
        got = time_model(model, task, settings, rounds, other)
        print(_row(name, got, peak, hasattr(module, "EQUATIONS")), flush=True)
        rows.append({"model": name, "product_gigaflops": peak, **got._asdict()})
    return rows


def _row(name: str, got: ModelTiming, peak: float, of_equations: bool) -> str:
    rates = got.rates
    row = (
        f"{name:19s}  {got.parameters:10,d}  {got.compile_seconds:9.1f}"
        f"  {rates['train']:10,.0f}  {100 * got.gigaflops / peak:8.0f}  {rates['predict']:12,.0f}  "
    )
    if "reference train" in rates:
        train, predict = rates["reference train"], rates["reference predict"]
        row += (
            f"{train:21,.0f}  {predict:12,.0f}"
            f"  {rates['train'] / train:23.1f}  {rates['predict'] / predict:10.1f}  "
        )
    if got.batches < got.all_batches:
        row += f"{got.batches} batches of {got.all_batches}; "
    return row + ("reference: our own, of the paper's equations" if of_equations else "")


def one(flag: str, values: Sequence[Any]) -> Any:
    """Return the one value of a flag that can have several.

    Raises:
      InputError: there are several.
    """
    if len(values) > 1:
        raise InputError(f"--{flag}: expected one value here, got {', '.join(map(str, values))}")
    return values[0]


def trained(names: Sequence[str]) -> tuple[str, ...]:
    """Return the models of these names.

    Raises:
      InputError: one is unknown, or is not trained by steps.
    """
    for name in names:
        if models.create(name).closed_form:
            raise InputError(f"--models: {name} is solved at once, not trained by steps")
    return tuple(names)


def _all_trained() -> tuple[str, ...]:
    """Return the models that are trained by steps and have here what they need."""
    names = []
    for name in models.available():
        try:
            names += [] if models.create(name).closed_form else [name]
        except InputError as error:
            print(f"left out: {error}")
    return tuple(names)


def shipped_task(reads_canvas: bool) -> Task:
    """Return the shipped table's task."""
    table = open_table("gfn2_xtb")
    return prepare(table, ("e_homo_ev",), 42, canvas.features(table) if reads_canvas else None)


def time_model(
    model: models.Architecture,
    task: Task,
    settings: TrainConfig,
    rounds: int,
    reference: Reference | None = None,
) -> ModelTiming:
    """Time the epoch that `train.loop` runs, over the training rows.

    Shuffling, dropout, Adam and the last, filled-up batch are in it; of the validation, one batch.
    Predictions are of the same rows, from a dataset on the device to numbers on the host.

    Args:
      model: trained by steps.
      task: what it learns.
      settings: how.
      rounds: in which ours and the reference take turns; fewer where they would take long.
      reference: what takes turns with it.
    """
    states = Stack([Training(model, task, settings)]).first_states()
    variables = select_replica(states, 0).variables
    predict = _compiled_predict(model, variables, task.dataset, settings.batch_size)
    all_rows = task.split.train
    rows, batches = _rows_to_time(predict, all_rows, settings.batch_size)

    split = dataclasses.replace(task.split, train=rows, validation=rows[:1])
    some = Stack([Training(model, task._replace(split=split), settings)])
    program = Program(some, Devices(settings.parallel, 1, settings.batch_size), states)
    work: dict[str, Callable[[], Any]] = {
        "train": lambda: program.run_epoch(np.ones(1, bool)),
        "predict": lambda: predict(rows),
    }
    if reference is not None:
        work["reference train"] = lambda: reference.train(rows)
        work["reference predict"] = lambda: reference.predict(rows)
    taken = take_turns(work, rounds, _TURN_SECONDS)
    rates = {name: len(rows) / float(np.median(seconds)) for name, seconds in taken.items()}
    each = arithmetic.of_step(model, task, settings.batch_size) / settings.batch_size
    return ModelTiming(
        parameters=count_parameters(variables["params"]),
        compile_seconds=program.compile_seconds,
        batches=batches,
        all_batches=num_batches(all_rows, settings.batch_size),
        gigaflops=each * rates["train"] / 1e9,
        rates=rates,
    )


def _compiled_predict(
    model: models.Architecture, variables: models.Variables, dataset: Dataset, batch_size: int
) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function: rows [M] → outputs [M, T] on the host."""

    @jax.jit
    def forward(variables: models.Variables, dataset: Dataset, rows: jax.Array) -> jax.Array:
        with jax.default_matmul_precision("float32"):  # as `qc_jax.evaluate.predict`
            return models.apply(model, variables, dataset.take(rows).structures)

    def predict(rows: np.ndarray) -> np.ndarray:
        chosen = rows[batches_of(len(rows), batch_size)]
        # All are on their way before the first is waited for.
        parts = [forward(variables, dataset, batch) for batch in chosen]
        return np.concatenate([np.asarray(part) for part in parts])[: len(rows)]

    return predict


def _rows_to_time(
    predict: Callable[[np.ndarray], Any], rows: np.ndarray, batch_size: int
) -> tuple[np.ndarray, int]:
    """Return a whole epoch's rows, or as many whole batches as there is time for; and how many."""
    batches = num_batches(rows, batch_size)
    first = rows[:batch_size]
    predict(first)
    start = time.perf_counter()
    predict(first)
    # A step is a forward pass, about twice that backwards, and Adam.
    expected = 4 * (time.perf_counter() - start)
    fit = max(int(_EPOCH_SECONDS / expected), _LEAST_BATCHES)
    return (rows, batches) if fit >= batches else (rows[: fit * batch_size], fit)
