"""Stacks: trainings of one architecture that run as one program."""

import dataclasses
import functools
import itertools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from qc_jax.data.batch import Batch
from qc_jax.data.dataset import Dataset, Task
from qc_jax.data.scaling import Scaler
from qc_jax.data.stream import Stream
from qc_jax.data.table import PairTable
from qc_jax.errors import InputError
from qc_jax.models import Architecture
from qc_jax.train import forces, optimizer
from qc_jax.train.config import TrainConfig
from qc_jax.train.observers import Observer
from qc_jax.train.parallel import Devices, shapes_of
from qc_jax.train.rows import Batches, Rows, filled, num_batches
from qc_jax.train.state import State, init, start_from
from qc_jax.train.steps import Replica

# What the trainings of a stack may differ in, beside their task and the model's rate of dropout.
_OWN_SETTINGS = ("seed", "lr", "weight_decay")

# What states before the first epoch depend on, beside those.
_OF_THE_START = ("init", "average_decay", "optimizer", "grad_clip_norm", "layer_lr")


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
    return (
        model,
        tuple(shared.items()),
        len(training.task.targets),
        training.task.scaler.binary,
        # Slopes are of a target: those of the first training are those of all.
        training.task.targets if _learns_forces(settings) else None,
        *_structures_of(training),
    )


def batches_of(training: Training) -> Batches:
    """Return how many batches an epoch of a training has."""
    split, size = training.task.split, training.settings.batch_size
    return Batches(num_batches(split.train, size), num_batches(split.validation, size))


def are_uneven(trainings: Sequence[Training]) -> bool:
    """Return whether some have fewer steps an epoch than others, which is another program."""
    return len({batches_of(training).train for training in trainings}) > 1


def devices_of(trainings: Sequence[Training]) -> Devices:
    """Return the devices that a stack of the trainings lies on.

    Raises:
      InputError: they don't divide the batch that they are to share.
    """
    model, settings = trainings[0].model, trainings[0].settings
    # What is solved at once, on the host, has no batches to divide.
    rows = 0 if model.closed_form else settings.batch_size
    return Devices(settings.parallel, len(trainings), rows)


def _structures_of(training: Training) -> tuple[Any, ...]:
    """Return what structures must have in common to lie in one array."""
    task, dataset = training.task, training.task.dataset
    # Structures from disk come in the order of one training: it is alone.
    if isinstance(dataset, Stream):
        return (id(dataset),)
    source = id(task.table) if _known_by_name(training) else task.names.tobytes()
    return source, _images_of(dataset.structures)


def _known_by_name(training: Training) -> bool:
    """Whether its rows are of a table of pairs, each known by its name, and only have labels."""
    task, settings = training.task, training.settings
    return (
        isinstance(task.table, PairTable)
        and len(np.unique(task.names)) == len(task.names)
        and not _learns_forces(settings)
    )


def _learns_forces(settings: TrainConfig) -> bool:
    return bool(settings.force_weight or settings.virial_weight)


def _images_of(structures: Batch) -> tuple[Any, ...]:
    return structures.canvas_size, structures.images, structures.average_symmetries


class Stack:
    """R trainings whose `static_signature` is the same, as arrays with a first axis R.

    Attributes:
      trainings: R of them.
      structures: of all of them; None where they stay on disk.
      names: of the structures.
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
        self.structures, self.names = None, tasks[0].names
        places = [np.arange(len(task.names)) for task in tasks]
        if isinstance(dataset, Dataset):
            self.structures, self.names, places = _joined(self.trainings)
        self.slopes = forces.learned(trainings[0].model, tasks[0], trainings[0].settings)
        # What the training rows tell first, then what somebody says.
        self._initial = [
            [part for part in (_known_start(training), training.initial) if part is not None]
            for training in self.trainings
        ]
        placed = list(zip(tasks, places, strict=True))
        size = trainings[0].settings.batch_size
        # Any part of a table may train or validate; what comes from disk is read batch by batch.
        whole = self.stream is None and _known_by_name(trainings[0])
        room = num_batches(self.names, size) if whole else 0

        def rows_of(part: str) -> Rows:
            rows = [where[getattr(task.split, part)] for task, where in placed]
            return filled(rows, size, room)

        labels = [_spread(task, where, len(self.names)) for task, where in placed]
        self.replicas = Replica(
            labels=jax.device_put(np.stack(labels)),
            train_rows=rows_of("train"),
            validation_rows=rows_of("validation"),
            lr=jax.device_put(
                np.asarray([training.settings.lr for training in trainings], np.float32)
            ),
            # A rate that is the same for all stays a constant of the program.
            dropout=jax.device_put(np.asarray(rates, np.float32)) if len(set(rates)) > 1 else None,
        )

    def __len__(self) -> int:
        return len(self.trainings)

    def batches(self, active: Sequence[bool] | np.ndarray | None = None) -> Batches:
        """Return how many batches an epoch has, of the training of `active` [R] that has most."""
        running = itertools.compress(
            self.trainings, [True] * len(self) if active is None else active
        )
        every = zip(*map(batches_of, running), strict=True)
        return Batches(*(np.int32(max(each)) for each in every))

    @property
    def uneven(self) -> bool:
        """Return whether some of its trainings have fewer steps an epoch than others."""
        return are_uneven(self.trainings)

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
        """Return the states [R, ...] before the first epoch, in host memory; each as if alone.

        Raises:
          InputError: initial variables do not fit the model, or it is solved at once.
        """
        each = []
        for training in self.trainings:
            # One after another: jaxlib's QR, which an orthogonal start needs, waits for threads of
            # a CPU that wait for it where several run at once (0.10.2, 2 cores).
            each.append(jax.block_until_ready(_start_program()(*self._start_of(training))))
        if any(self._initial):
            if self.model.closed_form:
                raise InputError("a model that is solved at once starts from no weights")
            each = [
                _calibrated(training, functools.reduce(start_from, parts, state))
                for training, parts, state in zip(self.trainings, self._initial, each, strict=True)
            ]
        return jax.tree.map(lambda *leaves: np.stack(leaves), *each)

    def state_shapes(self) -> State:
        """Return the shapes of `first_states`, [R, ...]."""
        shapes = _start_program().eval_shape(*self._start_of(self.trainings[0]))
        return shapes_of(shapes, lambda leaf: (len(self), *leaf.shape))

    def _start_of(self, training: Training) -> tuple[Any, ...]:
        """Return the arguments of `_first_state`: of all that can be stacked it is one program."""
        model, own = self.model, training.settings
        model = model if model.dropout is None else model.clone(dropout=0.0)
        shared = TrainConfig(**{name: getattr(own, name) for name in _OF_THE_START})
        sample = training.task.dataset.take(np.arange(1)).structures
        rates = {
            "learning_rate": np.float32(own.lr),
            "weight_decay": np.float32(own.weight_decay),
        }
        return model, shared, sample, training.task.scaler, np.uint32(own.seed), rates


def _first_state(
    model: Architecture,
    settings: TrainConfig,
    sample: Batch,
    scaler: Scaler,
    seed: jax.Array,
    rates: dict[str, jax.Array],
) -> State:
    """Return the state before the first epoch of one training."""
    state = init(model, sample, scaler, settings, seed)
    return state.replace(opt_state=optimizer.set_rates(state.opt_state, **rates))


@functools.cache
def _start_program() -> Any:
    """Return `_first_state` as a program, which on a CPU is compiled in haste: it runs once."""
    quick = {"xla_backend_optimization_level": 1} if jax.default_backend() == "cpu" else None
    return jax.jit(_first_state, static_argnums=(0, 1), compiler_options=quick)


def _joined(trainings: Sequence[Training]) -> tuple[Batch, np.ndarray, list[np.ndarray]]:
    """Return the structures of all, their names, and where each training's rows [N] are there.

    Rows of a table are filled up to as many as it has, so that trainings on any part of it have one
    program.
    """
    tasks = [training.task for training in trainings]
    different = {task.names.tobytes(): task for task in tasks}
    first = tasks[0]
    if not _known_by_name(trainings[0]):
        return first.dataset.structures, first.names, [np.arange(len(first.names))] * len(tasks)
    names, rows = np.unique(
        np.concatenate([task.names for task in different.values()]), return_index=True
    )
    size = trainings[0].settings.batch_size
    fill = (0, size * num_batches(first.table.names, size) - len(rows))
    rows = np.pad(rows, fill, mode="edge")
    structures = jax.tree.map(
        lambda *leaves: np.concatenate(leaves)[rows],
        *(task.dataset.structures for task in different.values()),
    )
    places = [np.searchsorted(names, task.names) for task in tasks]
    return structures, np.pad(names, fill, mode="edge"), places


def _spread(task: Task, places: np.ndarray, count: int) -> np.ndarray:
    """Return the labels [N, T] at their places among `count` rows, which else are zeros."""
    labels = np.asarray(task.dataset.labels)
    if np.array_equal(places, np.arange(count)):
        return labels
    spread = np.zeros((count, labels.shape[1]), labels.dtype)
    spread[places] = labels
    return spread


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
    return dataset.take(training.task.own_train)
