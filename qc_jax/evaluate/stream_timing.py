"""How fast a model trains on structures that stay on disk, and how long it waits for them."""

import dataclasses
import time
from typing import Any

import numpy as np

from qc_jax.data import scaling
from qc_jax.data.dataset import Task
from qc_jax.data.splits import Split
from qc_jax.data.stream import Stream
from qc_jax.models import Architecture
from qc_jax.train.config import TrainConfig
from qc_jax.train.parallel import Devices
from qc_jax.train.program import Streamed
from qc_jax.train.stack import Stack, Training


@dataclasses.dataclass(frozen=True)
class StreamTiming:
    """One epoch.

    Attributes:
      seconds: of its training steps and a validation batch, without compilation.
      waited: the part of them for which no batch was ready.
      compile_seconds: of the programs.
    """

    seconds: float
    waited: float
    compile_seconds: float


def time_stream(
    model: Architecture, stream: Stream, settings: TrainConfig, rows: int
) -> StreamTiming:
    """Times an epoch over `rows` random rows of a stream.

    Args:
      model: trained by steps, of one output.
      stream: of one target.
      settings: how.
      rows: of the epoch, at most as many as there are.
    """
    chosen = np.random.default_rng(0).permutation(len(stream))[:rows]
    few = chosen[: settings.batch_size]
    split = Split(chosen, few, few, "random rows")
    targets = ("total_energy_ev",)
    names = np.arange(len(stream)).astype(str)
    scaler = scaling.fit(np.asarray(stream.labels)[chosen], targets)
    dataset: Any = stream
    task = Task(targets, names, dataset, split, scaler, {})
    stack = Stack([Training(model, task, settings)])
    devices = Devices(settings.parallel, 1, settings.batch_size)
    program = Streamed(stack, devices, stack.first_states())
    start = time.perf_counter()
    measured = program.run_epoch(np.ones(1, bool))
    whole = time.perf_counter() - start
    seconds = whole - program.compile_seconds
    return StreamTiming(
        seconds=seconds,
        waited=float(measured["waited"][0]) * whole / seconds,
        compile_seconds=program.compile_seconds,
    )
