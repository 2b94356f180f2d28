"""What runs the epochs of a stack: a compiled program, or the solution of models that have one."""

import math
import time

import jax
import jax.numpy as jnp
import numpy as np

from qc_jax import models
from qc_jax.train import stack as stacks
from qc_jax.train import steps
from qc_jax.train.parallel import Devices
from qc_jax.train.stack import Stack
from qc_jax.train.state import State


class Program:
    """The stack's epoch as one program on the devices.

    Attributes:
      compile_seconds: that it took.
    """

    def __init__(self, stack: Stack, devices: Devices, states: State):
        epoch = steps.Steps(stack.model, stack.settings, devices.sharing).epoch
        function = steps.stacked(epoch, devices.each)
        self._devices = devices
        self._states, self._replicas = devices.put(states), devices.put(stack.replicas)
        self._structures = devices.put_on_each(stack.structures)
        start = time.perf_counter()
        self._function = devices.compile(
            function,
            self._states,
            devices.put(np.ones(len(stack), bool)),
            self._replicas,
            self._structures,
        )
        self.compile_seconds = time.perf_counter() - start

    @property
    def megabytes(self) -> float:
        """Memory that the program takes on one device, by XLA's account; NaN where it has none."""
        need = self._function.memory_analysis()
        if need is None:
            return math.nan
        own = need.argument_size_in_bytes + need.output_size_in_bytes - need.alias_size_in_bytes
        return (own + need.temp_size_in_bytes) / 1e6

    def run_epoch(self, active: np.ndarray) -> dict[str, np.ndarray]:
        """One epoch of those that are `active` [R]; what it measured, [R, ...]."""
        self._states, metrics = self._function(
            self._states, self._devices.put(active), self._replicas, self._structures
        )
        return self._devices.get(metrics)

    def states(self) -> State:
        """All states [R, ...], in host memory."""
        return self._devices.get(self._states)

    def state(self, index: int) -> State:
        """One of them."""
        return self._devices.get_one(self._states, index)


class Solved:
    """What one epoch would give, of models that are solved at once from the training rows."""

    compile_seconds = 0.0

    def __init__(self, stack: Stack, devices: Devices, states: State):
        del devices  # models are solved on the host
        self._stack = stack
        self._states = [stacks.take(states, index) for index in range(len(stack))]

    def run_epoch(self, active: np.ndarray) -> dict[str, np.ndarray]:
        """Solves those that are `active` [R]; what it measured, [R, ...]."""
        measured = [self._solve(index) if active[index] else None for index in range(len(active))]
        some = next(line for line in measured if line is not None)
        filled = [some if line is None else line for line in measured]
        return {name: np.stack([line[name] for line in filled]) for name in some}

    def _solve(self, index: int) -> dict[str, np.ndarray]:
        model, task, _, _ = self._stack.trainings[index]
        rows = task.dataset.take(task.split.train)
        variables = model.solve(rows.structures, np.asarray(task.scaler.scale(rows.labels)))
        statistics = {name: value for name, value in variables.items() if name != "params"}
        params = variables["params"]
        forward = jax.jit(lambda structures: models.apply(model, variables, structures))
        losses = {}
        for part in ("train", "validation"):
            some = task.dataset.take(getattr(task.split, part))
            outputs = forward(some.structures)
            losses[part] = np.abs(outputs - task.scaler.scale(some.labels)).mean()
        self._states[index] = self._states[index].replace(
            epoch=jnp.int32(1),
            params=params,
            best_params=params,
            statistics=statistics,
            best_statistics=statistics,
            best_loss=jnp.float32(losses["validation"]),
            best_epoch=jnp.int32(1),
        )
        return {
            "losses": np.array([losses["train"]]),
            "validation_loss": np.array(losses["validation"]),
            "validation_mae": np.asarray(
                np.abs(task.scaler.unscale(outputs) - some.labels).mean(axis=0)
            ),
            "lr": np.array(0.0),
            "best_epoch": np.array(1),
        }

    def states(self) -> State:
        """All states [R, ...]."""
        return jax.tree.map(lambda *leaves: np.stack(leaves), *self._states)

    def state(self, index: int) -> State:
        """One of them."""
        return self._states[index]
