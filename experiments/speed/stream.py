"""Training on structures that stay on disk, and the time that it waits for them."""

import tempfile
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from qc_jax import models
from qc_jax.data import scaling
from qc_jax.data.dataset import Task
from qc_jax.data.splits import Split
from qc_jax.data.stream import Stream
from qc_jax.errors import InputError
from qc_jax.train import hosts
from qc_jax.train.config import TrainConfig
from qc_jax.train.parallel import Devices
from qc_jax.train.program import Streamed
from qc_jax.train.stack import Stack, Training

from .models import one, trained


class StreamTiming(NamedTuple):
    """One epoch.

    Attributes:
      seconds: of its training steps and a validation batch, without compilation.
      waited: the part of them for which no batch was ready.
      compile_seconds: of the programs.
    """

    seconds: float
    waited: float
    compile_seconds: float


def run(
    names: Sequence[str] = ("schnet",),
    batch: Sequence[int] = (64,),
    molecules: int = 130_000,
    rows: int = 10_000,
    data_dir: str = "",
) -> list[dict[str, Any]]:
    """Print the speed of one model, and how long it waited; return them."""
    from .molecules import open_stream  # TFDS comes with it

    (name,) = trained([one("models", names)])
    settings = TrainConfig(batch_size=one("batch", batch))
    if jax.process_count() > 1 and not data_dir:
        raise InputError("--distributed: expected --data_dir, where all find the molecules")
    rows = min(rows, molecules)
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        with hosts.primary_first("molecules"):  # which writes them
            stream = open_stream(data_dir or folder, molecules)
        print(f"{molecules:,} molecules there in {time.perf_counter() - start:.0f} s")
        got = time_stream(models.create(name), stream, settings, rows)
    print(
        f"{name}: {rows:,} of them, drawn from all, in {got.seconds:.1f} s: "
        f"{rows / got.seconds:,.0f} molecules/s; waited for input {100 * got.waited:.2f} % "
        f"of the time; compiled in {got.compile_seconds:.1f} s"
    )
    return [{"model": name, "molecules": molecules, "rows": rows, **got._asdict()}]


def time_stream(
    model: models.Architecture, stream: Stream, settings: TrainConfig, rows: int
) -> StreamTiming:
    """Time an epoch over `rows` random rows of a stream.

    Args:
      model: trained by steps, of one output.
      stream: of one target.
      settings: how.
      rows: of the epoch, at most as many as there are.
    """
    chosen = np.random.default_rng(0).permutation(len(stream))[:rows]
    few = chosen[: settings.batch_size]
    targets = ("total_energy_ev",)
    scaler = scaling.fit(np.asarray(stream.labels)[chosen], targets)
    dataset: Any = stream
    split = Split(chosen, few, few, "random rows")
    task = Task(targets, np.arange(len(stream)).astype(str), dataset, split, scaler, {})
    stack = Stack([Training(model, task, settings)])
    devices = Devices(settings.parallel, 1, settings.batch_size)
    program = Streamed(stack, devices, stack.first_states())
    start = time.perf_counter()
    measured = program.run_epoch(np.ones(1, bool))
    seconds = time.perf_counter() - start - program.compile_seconds
    return StreamTiming(seconds, float(measured["waited"][0]), program.compile_seconds)
