"""THE training loop: of one training, or of a stack of them as one program."""

import contextlib
import operator
import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from qc_jax import models
from qc_jax.canvas import images
from qc_jax.data.dataset import Task
from qc_jax.errors import InputError
from qc_jax.train import hosts
from qc_jax.train.checkpoint import Checkpoints
from qc_jax.train.config import PUBLISHED, TrainConfig
from qc_jax.train.forces import FORCES, VIRIALS
from qc_jax.train.observers import Observer
from qc_jax.train.parallel import Devices
from qc_jax.train.program import ClosedForm, CompileCache, Program, Streamed
from qc_jax.train.stack import Stack, Training, batches_of, devices_of
from qc_jax.train.state import State, count_parameters, select_replica


class FitResult(NamedTuple):
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
        """Return what it took, 'compile' and 'train'."""
        train = sum(line["seconds"] for line in self.history)
        return {"compile": self.compile_seconds, "train": train}


class Interrupted(Exception):
    """The training was asked to stop; its checkpoint is written."""


def fit(
    model: models.Architecture,
    task: Task,
    config: TrainConfig = PUBLISHED,
    observers: Sequence[Observer] = (),
    *,
    initial: Mapping[str, Any] | None = None,
) -> FitResult:
    """Train one model: `fit_stack` of a stack of one.

    Args:
      model: Its outputs are the task's targets.
      task: The data.
      config: How.
      observers: Told of it; the first that has `checkpoints` keeps its states.
      initial: Variables that the training starts from instead of those that follow from the seed:
        a part of the model's, as nested dicts.

    Raises:
      InputError: The devices don't divide the batch, the model can't take a structure or the
        initial variables, a loss is not finite, or a checkpoint can't be read.
      Interrupted: An observer said so.
    """
    kept = [observer.checkpoints for observer in observers if observer.checkpoints is not None]
    training = Training(model, task, config, tuple(observers), initial)
    (trained,) = fit_stack([training], kept[0] if kept else None)
    if isinstance(trained, InputError):
        raise trained
    assert trained is not None
    return trained


def fit_stack(
    trainings: Sequence[Training],
    directory: str | os.PathLike | None = None,
    done: Sequence[bool] | None = None,
    on_epoch: Callable[[int, dict[str, Any]], None] = lambda index, line: None,
    on_end: Callable[[int, FitResult | InputError], None] = lambda index, trained: None,
    stop: Callable[[], bool] = lambda: False,
    cache: CompileCache | None = None,
) -> list[FitResult | InputError | None]:
    """Train all until the last epoch or the early stop, from the newest checkpoint on.

    An interrupted training that is called again with the same arguments, on as many devices, ends
    in the same bits. Where devices of several processes share the batches, all of them call it. A
    model of closed form is solved at once from the training rows instead, as one
    epoch. What each epoch measured goes to each training's observers and to `on_epoch`:
    `epoch`, `loss`, `validation_loss` (both scaled), `validation_mae` by target in its unit (that
    of forces, where they are learned, too), `lr`,
    `seconds` (the stack's, divided by the trainings that were not over), and of structures that
    stay on disk `waited`, the part of the time that was spent waiting for them.

    Args:
      trainings: R of them whose `stack.static_signature` is the same.
      directory: where the checkpoints of their states are kept; None keeps none.
      done: [R], True for those that are finished and not to be trained again.
      on_epoch: told of every epoch of every training, those before an interruption included.
      on_end: told once of each training that ends, as soon as it does.
      stop: asked after every epoch whether to save and to stop.
      cache: programs of stacks before this one.

    Returns:
      What each ended with: an InputError where its loss was not finite, None where it was done.

    Raises:
      InputError: the devices don't divide the batch, the model can't take a structure or the
        initial variables, or has no forces to learn, or a checkpoint can't be read.
      Interrupted: `stop` said so.
    """
    stack = Stack(trainings)
    if stack.structures is not None:  # else they are checked as they are read
        models.check(stack.model, stack.structures, stack.names)
    devices = devices_of(trainings)
    active = ~np.array([False] * len(stack) if done is None else done)
    ended: list[FitResult | InputError | None] = [None] * len(stack)
    histories: list[list[dict[str, Any]]] = [[] for _ in trainings]

    def end(index: int, what: FitResult | InputError) -> None:
        ended[index], active[index] = what, False
        on_end(index, what)

    if not active.any():
        return ended
    shapes = stack.state_shapes()
    _require_memory(stack, devices, shapes)
    with contextlib.ExitStack() as opened:
        checkpoints = states = None
        if directory is not None:
            checkpoints = opened.enter_context(Checkpoints(directory, devices.spans_processes))
            states = checkpoints.latest(like=shapes)
        if states is None:
            states = stack.first_states()
        for index in np.flatnonzero(active).tolist():
            state = select_replica(states, index)
            histories[index] = _resume(trainings[index], int(state.epoch))
            for line in histories[index]:
                on_epoch(index, line)
            if _finished(stack, len(histories[index]), int(state.best_epoch)):
                end(index, FitResult(state, histories[index], 0.0))
        if not active.any():
            return ended

        program = _program(stack, devices, states, cache)
        epoch, saved = int(np.asarray(states.epoch).max()), time.monotonic()
        del states
        while active.any():
            start, running = time.perf_counter(), np.flatnonzero(active).tolist()
            compiled = program.compile_seconds
            metrics = program.run_epoch(active)
            compiled = program.compile_seconds - compiled  # that of structures from disk, meanwhile
            seconds = (time.perf_counter() - start - compiled) / len(running)
            epoch += 1
            for index in running:
                mine = jax.tree.map(operator.itemgetter(index), metrics)
                mine["losses"] = mine["losses"][: batches_of(trainings[index]).train]
                wrong = _not_finite(mine, len(histories[index]) + 1)
                if wrong:
                    end(index, InputError(wrong))
                    continue
                line = _line(trainings[index], len(histories[index]) + 1, mine, seconds)
                for observer in trainings[index].observers:
                    observer.on_epoch(line, resumed=False)
                histories[index].append(line)
                on_epoch(index, line)
                if _finished(stack, line["epoch"], int(mine["best_epoch"])):
                    state = program.state(index)
                    end(index, FitResult(state, histories[index], program.compile_seconds))
            asked = [watch.stop() for index in running for watch in trainings[index].observers]
            stopping = stop() or any(asked)
            settings = stack.settings
            due = epoch % settings.checkpoint_every == 0 or (
                0 < 60 * settings.checkpoint_minutes < time.monotonic() - saved
            )
            if devices.spans_processes:  # clocks and signals are each process's own
                due, stopping = hosts.any_process(due, stopping)
            over = not active.any() and any(map(_is_trained, ended))
            if checkpoints is not None and (due or stopping or over):
                checkpoints.save(epoch, program.states())
                saved = time.monotonic()
            if stopping and active.any():
                raise Interrupted(f"stopped after epoch {epoch}, as was asked")
        return ended


def _resume(training: Training, epochs: int) -> list[dict[str, Any]]:
    """Return what the epochs of a restored state measured, which all observers are told of."""
    if not epochs:
        for observer in training.observers:
            observer.history(0)  # forgets epochs that a kill left without a checkpoint
        return []
    told = (observer.history(epochs) for observer in training.observers)
    lines = next((found for found in told if found is not None), None)
    if lines is None:
        raise InputError(f"the checkpoint has {epochs} epochs, and no observer knows of them")
    for line in lines:
        for observer in training.observers:
            observer.on_epoch(line, resumed=True)
    return lines


def _require_memory(stack: Stack, devices: Devices, states: State) -> None:
    """Raise InputError where a device cannot hold what a step certainly needs."""
    each = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(states)) / len(stack)
    weights = count_parameters(states.params) / len(stack)
    need, what = (
        each * devices.replicas_per_device,
        f"{weights:.3g} weights and what Adam remembers of them",
    )
    if "canvas" in stack.model.inputs and stack.structures is not None:
        pixels = stack.structures.canvas_size**2
        rows = stack.settings.batch_size / devices.sharing
        need += 4.0 * pixels * len(images.parse(stack.structures.images).channels) * rows
        what += f", images of {stack.structures.canvas_size} pixels for {rows:g} rows"
    there = devices.memory()
    if need > there:
        raise InputError(
            f"memory: a device needs at least {need / 1e9:.3g} GB ({what}), and has "
            f"{there / 1e9:.3g} GB; expected a smaller model, canvas_size or batch_size"
        )


def _program(
    stack: Stack, devices: Devices, states: State, cache: CompileCache | None
) -> Program | Streamed | ClosedForm:
    if stack.model.closed_form:
        return ClosedForm(stack, devices, states)
    if stack.stream is not None:
        return Streamed(stack, devices, states)
    return Program(stack, devices, states, cache)


def _line(
    training: Training, epoch: int, metrics: dict[str, Any], seconds: float
) -> dict[str, Any]:
    """Return the line of metrics.jsonl of one training's epoch."""
    learned = [*training.task.targets]
    if training.settings.force_weight:
        learned.append(FORCES)
    if training.settings.virial_weight:
        learned.append(VIRIALS)
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


def _is_trained(what: FitResult | InputError | None) -> bool:
    return isinstance(what, FitResult)


def _finished(stack: Stack, epoch: int, best_epoch: int) -> bool:
    settings = stack.settings
    last = 1 if stack.model.closed_form else settings.epochs
    return epoch >= last or epoch - best_epoch >= settings.early_stopping_patience


def _not_finite(metrics: dict[str, Any], epoch: int) -> str | None:
    """Return what is wrong with the losses of one training's epoch, if anything is."""
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
