"""THE training loop."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from qc_jax import models
from qc_jax.data.dataset import Task
from qc_jax.errors import InputError
from qc_jax.train import parallel, steps
from qc_jax.train.checkpoint import Checkpoints
from qc_jax.train.settings import Settings
from qc_jax.train.state import State, init
from qc_jax.train.workdir import Workdir


class Trained(NamedTuple):
    """What a training ends with.

    Attributes:
      state: the last one; its `best_variables` are the result.
      history: a dict an epoch, the lines of metrics.jsonl.
      compile_seconds: 0 where nothing was left to train.
    """

    state: State
    history: list[dict[str, Any]]
    compile_seconds: float


def fit(
    model: nn.Module,
    task: Task,
    settings: Settings,
    workdir: Workdir,
    on_epoch: Callable[[dict[str, Any]], None] = lambda line: None,
) -> Trained:
    """Trains until the last epoch or the early stop, from the newest checkpoint on.

    An interrupted training that is called again with the same arguments, on as many devices, ends
    in the same bits. A model with `solve` is solved at once from the training rows instead,
    as one epoch. What each epoch measured goes to metrics.jsonl and to `on_epoch`: `epoch`,
    `loss`, `validation_loss` (both scaled), `validation_mae` by target in its unit, `lr`,
    `seconds`.

    Args:
      model: its outputs are the task's targets.
      task: the data.
      settings: how.
      workdir: claimed for this run.
      on_epoch: told of every epoch, those before the interruption included.

    Raises:
      InputError: the devices don't divide the batch, the model can't take a structure, a loss is
        not finite, or a checkpoint can't be read.
    """
    models.check(model, task.dataset.structures, task.names)
    devices = parallel.local_devices(settings.batch_size)
    sample = task.dataset.take(np.arange(1)).structures
    first_state = jax.jit(lambda: init(model, sample, task.scaler, settings))
    with Checkpoints(workdir.checkpoints) as checkpoints:
        state = checkpoints.latest(like=jax.eval_shape(first_state))
        if state is None:
            state = first_state()
            if hasattr(model, "solve"):
                line, state = _solve(model, task, state)
                workdir.append_metrics(line)
                on_epoch(line)
                checkpoints.save(state)
                return Trained(state, [line], 0.0)
        elif hasattr(model, "solve"):
            return Trained(state, workdir.metrics(1), 0.0)
        history = workdir.metrics(int(state.epoch))
        for line in history:
            on_epoch(line)
        if _finished(len(history), int(state.best_epoch), settings):
            return Trained(state, history, 0.0)

        function = steps.make_epoch(
            model, settings, task.split.train, task.split.validation, devices
        )
        states, datasets = parallel.replicate(state), parallel.replicate(task.dataset)
        start = time.perf_counter()
        run_epoch = parallel.compile_parallel(function, states, datasets)
        compile_seconds = time.perf_counter() - start

        finished = False
        while not finished:
            start = time.perf_counter()
            states, metrics = run_epoch(states, datasets)
            metrics = parallel.first(metrics)
            seconds = time.perf_counter() - start
            epoch = len(history) + 1
            _check_finite(metrics, epoch)
            line = {
                "epoch": epoch,
                "loss": float(metrics["losses"].mean()),
                "validation_loss": float(metrics["validation_loss"]),
                "validation_mae": dict(
                    zip(task.targets, metrics["validation_mae"].tolist(), strict=True)
                ),
                "lr": float(metrics["lr"]),
                "seconds": seconds,
            }
            workdir.append_metrics(line)
            history.append(line)
            on_epoch(line)
            finished = _finished(epoch, int(metrics["best_epoch"]), settings)
            if finished or epoch % settings.checkpoint_every == 0:
                checkpoints.save(parallel.first(states))
        return Trained(parallel.first(states), history, compile_seconds)


def _solve(model: nn.Module, task: Task, state: State) -> tuple[dict[str, Any], State]:
    """What one epoch would give, of a model that is solved at once from the training rows."""
    start = time.perf_counter()
    rows = task.dataset.take(task.split.train)
    variables = model.solve(rows.structures, np.asarray(task.scaler.scale(rows.labels)))
    statistics = {name: value for name, value in variables.items() if name != "params"}
    params = variables["params"]
    line: dict[str, Any] = {"epoch": 1}
    forward = jax.jit(lambda structures: models.apply(model, variables, structures))
    for prefix, part in (("", rows), ("validation_", task.dataset.take(task.split.validation))):
        outputs = forward(part.structures)
        error = np.abs(outputs - task.scaler.scale(part.labels))
        natural = np.abs(task.scaler.unscale(outputs) - part.labels).mean(axis=0)
        line[f"{prefix}loss"] = float(error.mean())
    line["validation_mae"] = dict(zip(task.targets, natural.tolist(), strict=True))
    line |= {"lr": 0.0, "seconds": time.perf_counter() - start}
    return line, state.replace(
        epoch=jnp.int32(1),
        params=params,
        best_params=params,
        statistics=statistics,
        best_statistics=statistics,
        best_loss=jnp.float32(line["validation_loss"]),
        best_epoch=jnp.int32(1),
    )


def _finished(epoch: int, best_epoch: int, settings: Settings) -> bool:
    return epoch >= settings.epochs or epoch - best_epoch >= settings.early_stopping_patience


def _check_finite(metrics: dict[str, Any], epoch: int) -> None:
    bad = ~np.isfinite(metrics["losses"])
    if bad.any():
        where = f"step {int(np.argmax(bad)) + 1} of {len(bad)}"
    elif not np.isfinite(metrics["validation_loss"]):
        where = "the validation"
    else:
        return
    raise InputError(
        f"the loss is not finite in epoch {epoch}, {where}, at lr {float(metrics['lr']):g}; "
        "the training stops, its last checkpoint stands"
    )
