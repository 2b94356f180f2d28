"""How fast a model trains and predicts, beside a reference in another framework where given."""

import dataclasses
import time
from collections.abc import Callable
from typing import Any, Protocol

import jax
import numpy as np

from qc_jax import models
from qc_jax.data.dataset import Dataset, Task
from qc_jax.evaluate.predict import batches_of
from qc_jax.evaluate.timing import take_turns
from qc_jax.train.config import TrainConfig
from qc_jax.train.parallel import Devices
from qc_jax.train.program import Program
from qc_jax.train.stack import Stack, Training
from qc_jax.train.state import count_parameters, select_replica

# Of a model whose epoch takes longer, an epoch of fewer batches is timed.
_EPOCH_SECONDS = 3.0
_LEAST_BATCHES = 4
_TURN_SECONDS = 12.0  # after which no further round starts


class Reference(Protocol):
    """The same network elsewhere, batch size and data its own affair."""

    parameters: int

    def train(self, rows: np.ndarray) -> Any:
        """One epoch over rows [M] of the task's dataset, in a random order."""

    def predict(self, rows: np.ndarray) -> Any:
        """Outputs of rows [M] of the task's dataset."""


@dataclasses.dataclass(frozen=True)
class Rate:
    """Structures a second, medians over rounds: in a training epoch, and in predictions."""

    train: float
    predict: float


@dataclasses.dataclass(frozen=True)
class ModelTiming:
    """One model; all rates were measured in turns.

    Attributes:
      parameters: that are trained.
      compile_seconds: of the training epoch.
      batches: in the epoch that was timed, of `all_batches` in a whole one.
      all_batches: those of the training rows.
      ours: of this package.
      reference: of the reference, None without one.
    """

    parameters: int
    compile_seconds: float
    batches: int
    all_batches: int
    ours: Rate
    reference: Rate | None


def time_model(
    model: models.Architecture,
    task: Task,
    settings: TrainConfig,
    rounds: int,
    reference: Reference | None = None,
) -> ModelTiming:
    """Times the epoch that `train.loop` runs, over the training rows.

    Shuffling, dropout, Adam and the last, filled-up batch are in it; of the validation, one batch.
    Predictions are of the same rows, from a dataset on the device to numbers on the host.

    Args:
      model: trained by steps.
      task: what it learns.
      settings: how.
      rounds: in which ours and the reference take turns; fewer where they would take long.
      reference: what takes turns with it.
    """
    one = Stack([Training(model, task, settings)])
    states = one.first_states()
    variables = select_replica(states, 0).variables

    predict = _compiled_predict(model, variables, task.dataset, settings.batch_size)
    all_rows = task.split.train
    rows, batches = _rows_to_time(predict, all_rows, settings.batch_size)

    split = dataclasses.replace(task.split, train=rows, validation=rows[:1])
    some = Stack([Training(model, task._replace(split=split), settings)])
    program = Program(some, Devices(settings.parallel, 1, settings.batch_size), states)

    def train() -> Any:
        return program.run_epoch(np.ones(1, bool))

    work: dict[str, Callable[[], Any]] = {"train": train, "predict": lambda: predict(rows)}
    if reference is not None:
        work["reference train"] = lambda: reference.train(rows)
        work["reference predict"] = lambda: reference.predict(rows)
    taken = take_turns(work, rounds, _TURN_SECONDS)

    def rate(prefix: str) -> Rate:
        seconds = (float(np.median(taken[prefix + what])) for what in ("train", "predict"))
        return Rate(*(len(rows) / each for each in seconds))

    return ModelTiming(
        parameters=count_parameters(variables["params"]),
        compile_seconds=program.compile_seconds,
        batches=batches,
        all_batches=-(-len(all_rows) // settings.batch_size),
        ours=rate(""),
        reference=None if reference is None else rate("reference "),
    )


def _compiled_predict(
    model: models.Architecture, variables: models.Variables, dataset: Dataset, batch_size: int
) -> Callable[[np.ndarray], np.ndarray]:
    """rows [M] → outputs [M, T] on the host."""

    @jax.jit
    def forward(variables: models.Variables, dataset: Dataset, rows: jax.Array) -> jax.Array:
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
    """The rows of a whole epoch, or of as many whole batches as there is time for; and how many."""
    batches = -(-len(rows) // batch_size)
    one = rows[:batch_size]
    predict(one)
    start = time.perf_counter()
    predict(one)
    # A step is a forward pass, about twice that backwards, and Adam.
    expected = 4 * (time.perf_counter() - start)
    fit = max(int(_EPOCH_SECONDS / expected), _LEAST_BATCHES)
    return (rows, batches) if fit >= batches else (rows[: fit * batch_size], fit)
