"""What runs the epochs of a stack: a compiled program, or the solution of models that have one."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent import futures
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from qc_jax import models
from qc_jax.data.batch import Batch
from qc_jax.data.dataset import Dataset
from qc_jax.data.stream import Stream
from qc_jax.errors import InputError
from qc_jax.train import steps
from qc_jax.train.parallel import Devices, bytes_of
from qc_jax.train.stack import Stack
from qc_jax.train.state import State, add_replica_axis, select_replica
from qc_jax.train.steps import Replica, Shares


class _OnDevices:
    """A stack whose states, and what each training has beside its state, are on the devices."""

    def __init__(self, stack: Stack, devices: Devices, states: State):
        self._devices = devices
        self._states, self._replicas = devices.put(states), devices.put(stack.replicas)

    def states(self) -> State:
        """Return all states [R, ...], in host memory."""
        return self._devices.get(self._states)

    def state(self, index: int) -> State:
        """Return one of the states."""
        return self._devices.get_one(self._states, index)


class CompileCache:
    """Programs by what they are of: the stacks of a grid are alike, one after another.

    Args:
      keep: all of them, not the newest alone: threads may build those of later stacks.
    """

    def __init__(self, keep: bool = False):
        self._keep, self._lock = keep, threading.Lock()
        self._made: dict[Any, futures.Future[jax.stages.Compiled | None]] = {}

    def get(self, signature: Any, build: Callable[[], jax.stages.Compiled]) -> jax.stages.Compiled:
        """Return the program of this signature, built unless it is or another thread is at it."""
        with self._lock:
            known = self._made.get(signature)
            if known is None:
                if not self._keep:
                    self._made.clear()
                own = self._made[signature] = futures.Future()
        if known is not None:
            program = known.result()
            # What failed beside a running program may do without it.
            return self.get(signature, build) if program is None else program
        program = None
        try:
            program = build()
        finally:
            if program is None:
                with self._lock:
                    del self._made[signature]
            own.set_result(program)
        return program


class Program(_OnDevices):
    """The stack's epoch as one program on the devices.

    On `parallel.Described` devices it is compiled and not run; shapes of states do there.

    Attributes:
      compile_seconds: that it took; 0 where the stack before was of the same kind.
    """

    def __init__(
        self, stack: Stack, devices: Devices, states: State, cache: CompileCache | None = None
    ):
        super().__init__(stack, devices, states)
        flat = devices.first.platform == "gpu"
        made = steps.Steps(stack.model, stack.settings, devices.sharing, flat, stack.uneven)
        function = steps.stacked(made.epoch, devices.replicas_per_device)
        self._batches = stack.batches
        self._structures, self._slopes = devices.put_on_each((stack.structures, stack.slopes))
        start = time.perf_counter()
        args = self._arguments(np.ones(len(stack), bool))
        shapes = tuple((leaf.shape, leaf.dtype) for leaf in jax.tree.leaves(args))
        signature = (
            *(stack.static_signature, stack.model, stack.uneven, devices.static_signature),
            *(jax.tree.structure(args), shapes),
        )
        cache = cache or CompileCache()
        self._function = cache.get(signature, lambda: devices.compile(function, *args))
        self.compile_seconds = time.perf_counter() - start

    @property
    def compiled(self) -> jax.stages.Compiled:
        """Return what runs: `steps.stacked`, with a first axis of devices."""
        return self._function

    @property
    def bytes(self) -> float:
        """Return the memory on one device, by XLA's account; NaN where it has none."""
        return bytes_of(self._function)

    def run_epoch(self, active: np.ndarray) -> dict[str, np.ndarray]:
        """Run an epoch of those that are `active` [R], and return what it measured, [R, ...]."""
        self._states, metrics = self._function(*self._arguments(active))
        return self._devices.get(metrics)

    def _arguments(self, active: np.ndarray) -> tuple[Any, ...]:
        """Return what the program is called with: `steps.stacked`."""
        batches = self._devices.put_on_each(self._batches(active))
        return (
            *(self._states, self._devices.put(active), self._replicas),
            *(self._structures, batches, self._slopes),
        )


class Streamed(_OnDevices):
    """The epoch of one training whose structures stay on disk, a program for each of its parts.

    Attributes:
      compile_seconds: that they took.
    """

    def __init__(self, stack: Stack, devices: Devices, states: State):
        assert len(stack) == 1 and isinstance(stack.stream, Stream)
        super().__init__(stack, devices, states)
        parts = steps.Steps(stack.model, stack.settings, devices.sharing)
        self._stream, self._model = stack.stream, stack.model
        self.compile_seconds = 0.0
        self._programs: dict[str, Callable[..., Any]] = {}

        # Everything has a first axis of one training; structures have none.
        def order(states: State, replicas: Replica) -> tuple[Shares, Shares, jax.Array]:
            state, replica = select_replica((states, replicas), 0)
            shares, keys = parts.order(state, replica)
            # As raw bits: of several processes pmap takes no others.
            return shares, parts.shares(replica.validation_rows), jax.random.key_data(keys)

        def train(
            states: State,
            replicas: Replica,
            structures: Batch,
            shares: Shares,
            keys: jax.Array,
            step: jax.Array,
        ) -> tuple[State, jax.Array]:
            state, replica = select_replica((states, replicas), 0)
            (rows, weights), bits = jax.tree.map(lambda leaf: leaf[step], (shares, keys))
            key = jax.random.wrap_key_data(bits)
            batch = Dataset(structures, replica.labels[rows])
            return add_replica_axis(parts.train(state, replica, batch, weights, key))

        def validate(
            sums: tuple[jax.Array, ...],
            states: State,
            replicas: Replica,
            structures: Batch,
            shares: Shares,
            step: jax.Array,
        ) -> tuple[jax.Array, ...]:
            sums, state, replica = select_replica((sums, states, replicas), 0)
            rows, weights = jax.tree.map(lambda leaf: leaf[step], shares)
            batch = Dataset(structures, replica.labels[rows])
            return add_replica_axis(parts.validate(sums, state, batch, weights))

        def end(
            states: State, replicas: Replica, sums: tuple[jax.Array, ...]
        ) -> tuple[State, dict[str, jax.Array]]:
            state, replica, sums = select_replica((states, replicas, sums), 0)
            return add_replica_axis(parts.end(state, replica, sums))

        self._functions: dict[str, Callable[..., Any]] = {
            "order": order,
            "train": train,
            "validate": validate,
            "end": end,
        }
        zeros = add_replica_axis(parts.init_validation_sums(select_replica(stack.replicas, 0)))
        self._nothing = jax.tree.map(np.asarray, zeros)

    def run_epoch(self, active: np.ndarray) -> dict[str, np.ndarray]:
        """Run an epoch; return what it measured, [1, ...], the part of time it `waited`, too."""
        start, waited, losses = time.perf_counter() - self.compile_seconds, 0.0, []
        shares, validation, keys = self._run("order", self._states, self._replicas)

        def batches(rows: jax.Array) -> Iterator[tuple[Any, Batch]]:
            """Return the steps' numbers and structures, on the devices."""
            nonlocal waited
            own = np.moveaxis(self._devices.get_shares(rows), 0, 1)  # [steps, D, b]
            read = self._stream.batches(
                own.reshape(len(own), -1), lambda batch: models.check(self._model, batch)
            )
            for step in range(len(own)):
                before = time.perf_counter()
                batch = next(read)
                waited += time.perf_counter() - before
                cut = jax.tree.map(
                    lambda leaf: leaf.reshape(*own.shape[1:], *leaf.shape[1:]), batch
                )
                yield self._devices.put_on_each(np.int32(step)), self._devices.put_shares(cut)

        for step, structures in batches(shares.rows):
            self._states, loss = self._run(
                "train", self._states, self._replicas, structures, shares, keys, step
            )
            losses.append(loss)
            if len(losses) > 2:  # no further ahead, or all batches would wait in memory
                jax.block_until_ready(losses[-3])
        sums = self._devices.put(self._nothing)
        for step, structures in batches(validation.rows):
            sums = self._run(
                "validate", sums, self._states, self._replicas, structures, validation, step
            )
        self._states, metrics = self._run("end", self._states, self._replicas, sums)
        measured = self._devices.get(metrics)
        measured["losses"] = np.stack([self._devices.get(loss) for loss in losses], axis=1)
        measured["waited"] = np.array(
            [waited / (time.perf_counter() - start - self.compile_seconds)]
        )
        return measured

    def _run(self, name: str, *args: Any) -> Any:
        """Run a part, compiled when it is first asked for."""
        if name not in self._programs:
            start = time.perf_counter()
            self._programs[name] = self._devices.compile(
                self._functions[name], *args, donate=name != "order"
            )
            self.compile_seconds += time.perf_counter() - start
        return self._programs[name](*args)


class ClosedForm:
    """What one epoch would give, of models that are solved at once from the training rows."""

    compile_seconds = 0.0

    def __init__(self, stack: Stack, devices: Devices, states: State):
        del devices  # models are solved on the host
        if not np.isfinite(stack.replicas.labels).all():
            raise InputError("missing_labels=mask: expected a model that is trained by steps")
        self._stack = stack
        self._states = [select_replica(states, index) for index in range(len(stack))]

    def run_epoch(self, active: np.ndarray) -> dict[str, np.ndarray]:
        """Solve those that are `active` [R]; what it measured, [R, ...]."""
        measured = [self._solve(index) if active[index] else None for index in range(len(active))]
        some = next(line for line in measured if line is not None)
        filled = [some if line is None else line for line in measured]
        return {name: np.stack([line[name] for line in filled]) for name in some}

    def _solve(self, index: int) -> dict[str, np.ndarray]:
        model, task, *_ = self._stack.trainings[index]
        rows = task.dataset.take(task.split.train)
        scaled = np.asarray(jax.jit(task.scaler.scale)(rows.labels))
        variables = model.solve(rows.structures, scaled)
        statistics = {name: value for name, value in variables.items() if name != "params"}
        params = variables["params"]

        @jax.jit
        def errors(some: Dataset) -> tuple[jax.Array, jax.Array]:
            with jax.default_matmul_precision("float32"):
                outputs = models.apply(model, variables, some.structures)
            loss = task.scaler.loss(outputs, some.labels, jnp.abs).mean()
            return loss, jnp.abs(task.scaler.predict(outputs) - some.labels).mean(axis=0)

        losses = {}
        for part in ("train", "validation"):
            losses[part], mae = errors(task.dataset.take(getattr(task.split, part)))
        self._states[index] = self._states[index].replace(
            epoch=np.int32(1),
            params=params,
            best_params=params,
            statistics=statistics,
            best_statistics=statistics,
            best_loss=np.float32(losses["validation"]),
            best_epoch=np.int32(1),
        )
        return {
            "losses": np.array([losses["train"]]),
            "validation_loss": np.array(losses["validation"]),
            "validation_mae": np.asarray(mae),
            "lr": np.array(0.0),
            "best_epoch": np.array(1),
        }

    def states(self) -> State:
        """Return all states [R, ...]."""
        return jax.tree.map(lambda *leaves: np.stack(leaves), *self._states)

    def state(self, index: int) -> State:
        """Return one of the states."""
        return self._states[index]
