"""What stacking trainings brings: the time of an epoch against the number of trainings."""

import contextlib
import dataclasses
import functools
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from qc_jax import models
from qc_jax.data.dataset import Task
from qc_jax.studies.turns import take_turns
from qc_jax.train.config import TrainConfig
from qc_jax.train.parallel import Devices
from qc_jax.train.program import Program
from qc_jax.train.rows import num_batches
from qc_jax.train.stack import Stack, Training

from . import arithmetic
from .models import one, shipped_task, trained

_TURN_SECONDS = 30.0  # after which no further round starts
_HEAD = (
    "model                stack  ms/epoch of training  compile s   GFLOP/s  % of pr.  busy cores"
    "   MB/device"
)


class GridTiming(NamedTuple):
    """One stack size; all sizes took turns.

    Attributes:
      size: trainings in the stack.
      seconds: of an epoch of one training: the stack's divided by its size, the median over rounds.
      compile_seconds: of the stack's program.
      gigaflops: arithmetic operations of the forward and backward passes, 10^9 a second.
      cores: how many cores of the CPU were busy on average, this process's threads all counted.
      megabytes: memory of the program on one device: arguments, results and intermediates, by XLA.
    """

    size: int
    seconds: float
    compile_seconds: float
    gigaflops: float
    cores: float
    megabytes: float


def run(
    names: Sequence[str] = ("schnet",),
    batch: Sequence[int] = (64,),
    stack: Sequence[int] = (1, 4, 16),
    rounds: int = 5,
    profile: str = "",
) -> list[dict[str, Any]]:
    """Print a row for each model and stack; return them."""
    rows: list[dict[str, Any]] = []
    settings = TrainConfig(batch_size=one("batch", batch), parallel="replicas")
    names = trained(names)
    devices, peak = jax.local_device_count(), arithmetic.product_gigaflops()
    print(
        f"{devices} devices; a large float32 matrix product: {peak:,.0f} GFLOP/s; an epoch: "
        f"{len(shipped_task(False).split.train):,} training pairs in batches of "
        f"{settings.batch_size}, and validation"
    )
    for name in names:
        model = models.create(name)
        task = shipped_task("canvas" in model.inputs)
        with jax.profiler.trace(profile) if profile else contextlib.nullcontext():
            timings = time_grid(model, task, settings, stack, rounds)
        print(_HEAD)
        for got in timings:
            print(
                f"{name:19s}  {got.size:5d}  {got.seconds * 1e3:20,.1f}  {got.compile_seconds:9.1f}"
                f"  {got.gigaflops:8,.1f}  {100 * got.gigaflops / peak:8.1f}"
                f"  {got.cores:10.2f}  {got.megabytes:10,.1f}",
                flush=True,
            )
            rows.append({"model": name, "product_gigaflops": peak, **got._asdict()})
    return rows


def time_grid(
    model: models.Architecture,
    task: Task,
    settings: TrainConfig,
    sizes: Sequence[int],
    rounds: int,
) -> list[GridTiming]:
    """Time the epochs, validation included, of stacks of several sizes.

    Args:
      model: trained by steps.
      task: what all trainings learn, each from its own seed.
      settings: how.
      sizes: of the stacks.
      rounds: in which the stacks take turns; fewer where they would take long.
    """
    programs = {size: _program(model, task, settings, size) for size in sizes}
    busy: dict[int, list[float]] = {size: [] for size in sizes}

    def epoch(size: int) -> Any:
        wall, cpu = time.perf_counter(), time.process_time()
        metrics = programs[size].run_epoch(np.ones(size, bool))
        busy[size].append((time.process_time() - cpu) / (time.perf_counter() - wall))
        return metrics

    work: dict[str, Callable[[], Any]] = {
        str(size): functools.partial(epoch, size) for size in sizes
    }
    taken = take_turns(work, rounds, _TURN_SECONDS)
    steps, validations = (
        num_batches(part, settings.batch_size) for part in (task.split.train, task.split.validation)
    )
    one_batch = (model, task, settings.batch_size)
    whole = steps * arithmetic.of_step(*one_batch)
    whole += validations * arithmetic.of_prediction(*one_batch)
    timings = []
    for size, program in programs.items():
        seconds = float(np.median(taken[str(size)])) / size
        timings.append(
            GridTiming(
                size=size,
                seconds=seconds,
                compile_seconds=program.compile_seconds,
                gigaflops=whole / seconds / 1e9,
                cores=float(np.median(busy[size])),
                megabytes=program.bytes / 1e6,
            )
        )
    return timings


def _program(model: models.Architecture, task: Task, settings: TrainConfig, size: int) -> Program:
    stack = Stack(
        [Training(model, task, dataclasses.replace(settings, seed=seed)) for seed in range(size)]
    )
    devices = Devices(settings.parallel, size, settings.batch_size)
    return Program(stack, devices, stack.first_states())
