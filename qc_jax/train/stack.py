"""Stacks: trainings of one architecture that run as one program."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from qc_jax.data.batch import Batch
from qc_jax.data.dataset import Dataset, Task
from qc_jax.data.scaling import Scaler
from qc_jax.data.stream import Stream
from qc_jax.errors import InputError
from qc_jax.models import Architecture
from qc_jax.train import forces, optimizer
from qc_jax.train.config import TrainConfig
from qc_jax.train.observers import Observer
from qc_jax.train.state import State, init, select_replica, start_from
from qc_jax.train.steps import Replica

# What the trainings of a stack may differ in, beside their task and the model's rate of dropout.
_OWN_SETTINGS = ("seed", "lr", "weight_decay")


class Training(NamedTuple):
    """One training.

    Attributes:
      model: its outputs are the task's targets.
      task: the data.
      settings: how.
      observers: told of it.
      initial: variables that it starts from instead of those that follow from the seed: a part of
        the model's, or None. A training that goes on from a checkpoint has them already.
    """

    model: Architecture
    task: Task
    settings: TrainConfig
    observers: Sequence[Observer] = ()
    initial: Mapping[str, Any] | None = None


def static_signature(training: Training) -> tuple[Any, ...]:
    """Return what trainings must have in common to be in one stack."""
    model, settings = training.model, training.settings
    if model.dropout is not None:
        model = model.clone(dropout=0.0)
    shared = {
        name: value
        for name, value in dataclasses.asdict(settings).items()
        if name not in _OWN_SETTINGS
    }
    split, dataset = training.task.split, training.task.dataset
    return (
        model,
        tuple(shared.items()),
        len(training.task.targets),
        training.task.scaler.binary,
        training.task.names.tobytes(),
        len(split.train),
        len(split.validation),
        # Structures from disk come in the order of one training: it is alone.
        id(dataset) if isinstance(dataset, Stream) else _images_of(dataset.structures),
    )


def _images_of(structures: Batch) -> tuple[Any, ...]:
    return structures.canvas_size, structures.images, structures.average_symmetries


class Stack:
    """R trainings whose `static_signature` is the same, as arrays with a first axis R.

    Attributes:
      trainings: R of them.
      structures: of all of them; None where they stay on disk.
      slopes: forces and virials of the structures, where they are learned.
      stream: of a stack of one, the structures that stay on disk.
      replicas: what each has to itself, [R, ...].
    """

    def __init__(self, trainings: Sequence[Training]):
        assert len({static_signature(training) for training in trainings}) == 1
        self.trainings = tuple(trainings)
        tasks = [training.task for training in trainings]
        rates = [training.model.dropout for training in trainings]
        dataset = tasks[0].dataset
        self.stream = dataset if isinstance(dataset, Stream) else None
        self.structures = dataset.structures if isinstance(dataset, Dataset) else None
        self.slopes = forces.learned(trainings[0].model, tasks[0], trainings[0].settings)
        # What the training rows tell first, then what somebody says.
        self._initial = [
            [part for part in (_known_start(training), training.initial) if part is not None]
            for training in self.trainings
        ]
        self.replicas = Replica(
            labels=jnp.stack([task.dataset.labels for task in tasks]),
            train_rows=jnp.asarray(np.stack([task.split.train for task in tasks]), jnp.int32),
            validation_rows=jnp.asarray(
                np.stack([task.split.validation for task in tasks]), jnp.int32
            ),
            lr=jnp.asarray([training.settings.lr for training in trainings], jnp.float32),
            # A rate that is the same for all stays a constant of the program.
            dropout=jnp.asarray(rates, jnp.float32) if len(set(rates)) > 1 else None,
        )

    def __len__(self) -> int:
        return len(self.trainings)

    @property
    def static_signature(self) -> tuple[Any, ...]:
        """Return the `static_signature` of its trainings."""
        return static_signature(self.trainings[0])

    @property
    def model(self) -> Architecture:
        """Return the architecture."""
        return self.trainings[0].model

    @property
    def settings(self) -> TrainConfig:
        """Return those that all trainings share, and the first one's own."""
        return self.trainings[0].settings

    def first_states(self) -> State:
        """Return the states [R, ...] before the first epoch, each as if it were alone.

        Raises:
          InputError: initial variables do not fit the model, or it is solved at once.
        """
        sample = self.trainings[0].task.dataset.take(np.arange(1)).structures
        settings = [training.settings for training in self.trainings]
        scaler = jax.tree.map(
            lambda *leaves: jnp.stack(leaves),
            *(training.task.scaler for training in self.trainings),
        )

        def one(own: tuple[jax.Array, Scaler, dict[str, jax.Array]]) -> State:
            seed, scaler, rates = own
            state = init(self.model, sample, scaler, self.settings, seed)
            return state.replace(opt_state=optimizer.set_rates(state.opt_state, **rates))

        seeds = jnp.asarray([each.seed for each in settings], jnp.uint32)
        rates = {
            "learning_rate": jnp.asarray([each.lr for each in settings], jnp.float32),
            "weight_decay": jnp.asarray([each.weight_decay for each in settings], jnp.float32),
        }
        # One after another: jaxlib's QR of a stack of matrices, which an orthogonal start needs,
        # waits for threads of a CPU that wait for it where several run at once (0.10.2, 2 cores).
        states = jax.jit(functools.partial(jax.lax.map, one))((seeds, scaler, rates))
        if not any(self._initial):
            return states
        if self.model.closed_form:
            raise InputError("a model that is solved at once starts from no weights")
        each = [
            _calibrated(
                training, functools.reduce(start_from, parts, select_replica(states, index))
            )
            for index, (training, parts) in enumerate(
                zip(self.trainings, self._initial, strict=True)
            )
        ]
        return jax.tree.map(lambda *leaves: jnp.stack(leaves), *each)


def _known_start(training: Training) -> Mapping[str, Any] | None:
    """Return what the model makes of the training rows before it starts."""
    model = training.model
    if type(model).start is Architecture.start:
        return None
    rows = _training_rows(training)
    return model.start(rows.structures, np.asarray(rows.labels), training.task.scaler)


def _calibrated(training: Training, state: State) -> State:
    """Return the state with what the training rows tell beside its weights."""
    if type(training.model).calibrate is Architecture.calibrate:
        return state
    rows, scaler = _training_rows(training), training.task.scaler
    labels = np.asarray(rows.labels)
    found = training.model.calibrate(state.variables, rows.structures, labels, scaler)
    statistics = {**state.statistics, **found}
    return state.replace(statistics=statistics, best_statistics=statistics)


def _training_rows(training: Training) -> Dataset:
    dataset = training.task.dataset
    if not isinstance(dataset, Dataset):
        raise InputError("this model starts from its training rows: expected them in memory")
    with jax.ensure_compile_time_eval():  # also where only the shapes of states are asked for
        return dataset.take(training.task.split.train)
