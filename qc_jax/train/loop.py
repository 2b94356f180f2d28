"""THE training loop: of one training, or of a stack of them as one program."""

import operator
import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import numpy as np

from qc_jax import models
from qc_jax.data.dataset import Task
from qc_jax.errors import InputError
from qc_jax.train import hosts
from qc_jax.train.checkpoint import Checkpoints
from qc_jax.train.forces import FORCES
from qc_jax.train.parallel import Devices
from qc_jax.train.program import Program, Solved, Streamed
from qc_jax.train.settings import Settings
from qc_jax.train.stack import Stack, Training
from qc_jax.train.state import State, take
from qc_jax.train.workdir import Workdir


class Trained(NamedTuple):
    """What a training ends with.

    Attributes:
      state: the last one; its `best_variables` are the result.
      history: a dict an epoch, the lines of metrics.jsonl.
      compile_seconds: of the program that it was part of; 0 where nothing was left to train.
    """

    state: State
    history: list[dict[str, Any]]
    compile_seconds: float

    @property
    def seconds(self) -> dict[str, float]:
        """What it took, 'compile' and 'train'."""
        train = sum(line["seconds"] for line in self.history)
        return {"compile": self.compile_seconds, "train": train}


class Interrupted(Exception):
    """The training was asked to stop; its checkpoint is written."""


def fit(
    model: nn.Module,
    task: Task,
    settings: Settings,
    workdir: Workdir,
    on_epoch: Callable[[dict[str, Any]], None] = lambda line: None,
    stop: Callable[[], bool] = lambda: False,
    initial: Mapping[str, Any] | None = None,
) -> Trained:
    """Trains one model: `fit_stack` of a stack of one, its checkpoints in the work directory.

    Args:
      model: its outputs are the task's targets.
      task: the data.
      settings: how.
      workdir: claimed for this run.
      on_epoch: told of every epoch, those before an interruption included.
      stop: asked after every epoch whether to save and to stop.
      initial: variables that the training starts from instead of those that follow from the seed:
        a part of the model's, as nested dicts.

    Raises:
      InputError: the devices don't divide the batch, the model can't take a structure or the
        initial variables, a loss is not finite, or a checkpoint can't be read.
      Interrupted: `stop` said so.
    """
    (trained,) = fit_stack(
        [Training(model, task, settings, workdir, initial)],
        workdir.checkpoints,
        on_epoch=lambda _, line: on_epoch(line),
        stop=stop,
    )
    if isinstance(trained, InputError):
        raise trained
    assert trained is not None
    return trained


def fit_stack(
    trainings: Sequence[Training],
    directory: str | os.PathLike,
    done: Sequence[bool] | None = None,
    on_epoch: Callable[[int, dict[str, Any]], None] = lambda index, line: None,
    on_end: Callable[[int, Trained | InputError], None] = lambda index, trained: None,
    stop: Callable[[], bool] = lambda: False,
) -> list[Trained | InputError | None]:
    """Trains all until the last epoch or the early stop, from the newest checkpoint on.

    An interrupted training that is called again with the same arguments, on as many devices, ends
    in the same bits. Where devices of several processes share the batches, all of them call it. A
    model of closed form is solved at once from the training rows instead, as one
    epoch. What each epoch measured goes to each training's metrics.jsonl and to `on_epoch`:
    `epoch`, `loss`, `validation_loss` (both scaled), `validation_mae` by target in its unit (that
    of forces, where they are learned, too), `lr`,
    `seconds` (the stack's, divided by the trainings that were not over), and of structures that
    stay on disk `waited`, the part of the time that was spent waiting for them.

    Args:
      trainings: R of them whose `stack.key` is the same.
      directory: where the checkpoints of their states are kept.
      done: [R], True for those that are finished and not to be trained again.
      on_epoch: told of every epoch of every training, those before an interruption included.
      on_end: told once of each training that ends, as soon as it does.
      stop: asked after every epoch whether to save and to stop.

    Returns:
      What each ended with: an InputError where its loss was not finite, None where it was done.

    Raises:
      InputError: the devices don't divide the batch, the model can't take a structure or the
        initial variables, or has no forces to learn, or a checkpoint can't be read.
      Interrupted: `stop` said so.
    """
    stack = Stack(trainings)
    first = trainings[0]  # the structures are the same for all
    if stack.structures is not None:  # else they are checked as they are read
        models.check(stack.model, stack.structures, first.task.names)
    devices = Devices(stack.settings.parallel, len(stack), stack.settings.batch_size)
    active = ~np.array([False] * len(stack) if done is None else done)
    ended: list[Trained | InputError | None] = [None] * len(stack)
    histories: list[list[dict[str, Any]]] = [[] for _ in trainings]

    def end(index: int, what: Trained | InputError) -> None:
        ended[index], active[index] = what, False
        on_end(index, what)

    if not active.any():
        return ended
    with Checkpoints(directory, devices.everywhere) as checkpoints:
        states = checkpoints.latest(like=jax.eval_shape(stack.first_states))
        if states is None:
            states = stack.first_states()
        for index in np.flatnonzero(active).tolist():
            state = take(states, index)
            histories[index] = trainings[index].workdir.metrics(int(state.epoch))
            for line in histories[index]:
                on_epoch(index, line)
            if _finished(stack, len(histories[index]), int(state.best_epoch)):
                end(index, Trained(state, histories[index], 0.0))
        if not active.any():
            return ended

        program = _program(stack)(stack, devices, states)
        epoch, saved = int(np.max(states.epoch)), time.monotonic()
        del states
        while active.any():
            start, running = time.perf_counter(), np.flatnonzero(active).tolist()
            metrics = program.run_epoch(active)
            seconds = (time.perf_counter() - start) / len(running)
            epoch += 1
            for index in running:
                mine = jax.tree.map(operator.itemgetter(index), metrics)
                wrong = _not_finite(mine, len(histories[index]) + 1)
                if wrong:
                    end(index, InputError(wrong))
                    continue
                line = _line(trainings[index], len(histories[index]) + 1, mine, seconds)
                trainings[index].workdir.append_metrics(line)
                histories[index].append(line)
                on_epoch(index, line)
                if _finished(stack, line["epoch"], int(mine["best_epoch"])):
                    state = program.state(index)
                    end(index, Trained(state, histories[index], program.compile_seconds))
            stopping = stop()
            settings = stack.settings
            due = epoch % settings.checkpoint_every == 0 or (
                0 < 60 * settings.checkpoint_minutes < time.monotonic() - saved
            )
            if devices.everywhere:  # clocks and signals are each process's own
                due, stopping = hosts.agree(due, stopping)
            if due or stopping or (not active.any() and any(map(_is_trained, ended))):
                checkpoints.save(epoch, program.states())
                saved = time.monotonic()
            if stopping and active.any():
                raise Interrupted
        return ended


def _program(stack: Stack) -> type[Program | Streamed | Solved]:
    if stack.model.closed_form:
        return Solved
    return Program if stack.stream is None else Streamed


def _line(
    training: Training, epoch: int, metrics: dict[str, Any], seconds: float
) -> dict[str, Any]:
    """The line of metrics.jsonl of one training's epoch."""
    learned = [*training.task.targets]
    if training.settings.force_weight:
        learned.append(FORCES)
    maes = zip(learned, metrics["validation_mae"].tolist(), strict=True)
    line = {
        "epoch": epoch,
        "loss": float(metrics["losses"].mean()),
        "validation_loss": float(metrics["validation_loss"]),
        "validation_mae": dict(maes),
        "lr": float(metrics["lr"]),
        "seconds": seconds,
    }
    if "waited" in metrics:
        line["waited"] = float(metrics["waited"])
    return line


def _is_trained(what: Trained | InputError | None) -> bool:
    return isinstance(what, Trained)


def _finished(stack: Stack, epoch: int, best_epoch: int) -> bool:
    settings = stack.settings
    last = 1 if stack.model.closed_form else settings.epochs
    return epoch >= last or epoch - best_epoch >= settings.early_stopping_patience


def _not_finite(metrics: dict[str, Any], epoch: int) -> str | None:
    """What is wrong with the losses of one training's epoch, if anything is."""
    bad = ~np.isfinite(metrics["losses"])
    if bad.any():
        where = f"step {int(np.argmax(bad)) + 1} of {len(bad)}"
    elif not np.isfinite(metrics["validation_loss"]):
        where = "the validation"
    else:
        return None
    return (
        f"the loss is not finite in epoch {epoch}, {where}, at lr {float(metrics['lr']):g}; "
        "the training stops, its last checkpoint stands"
    )
