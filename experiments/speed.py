"""How fast things run on this machine, beside what they can cost at best.

    python -m experiments.speed --what=canvas [--size=32] [--batch=256,4096]

prints for each batch the canvases and gigabytes written a second, the run time as a multiple of
what JAX needs for x + 1 on an array of the same shape (the price of writing it), and the speed as a
multiple of a NumPy encoder that goes through pairs and orbitals in Python loops. The first two take
turns in the same run; medians count.

    python -m experiments.speed --what=models [--models=schnet,gcn] [--batch=64] [--reference]

prints for each model its parameters, the seconds that its training epoch takes to compile, and how
many pairs a second it trains on and predicts, over whole epochs of the shipped table. With
--reference the same network in PyTorch takes turns with it, on all cores of the CPU.

    python -m experiments.speed --what=grid [--models=schnet] [--stack=1,4,16] [--reference]

prints for stacks of trainings how long an epoch of one training takes, beside how long the program
took to compile, its arithmetic (as a share of what a matrix product reaches on the devices), how
many cores it kept busy and its memory. On a CPU, XLA_FLAGS=--xla_force_host_platform_device_count=2
shares the trainings out on two devices.

    python -m experiments.speed --what=stream [--models=schnet] [--molecules=130000] [--rows=10000]

writes random molecules of up to 29 atoms as a TFDS dataset, trains on some of them while Grain
reads them at random, and prints for which part of the time the device waited for its input.
"""

import contextlib
import functools
import importlib
import importlib.util
import os
import tempfile
import time
import types
from collections.abc import Callable

import jax
from absl import flags

from qc_jax import canvas, models
from qc_jax.canvas.basis import check_size
from qc_jax.data.dataset import Task, prepare
from qc_jax.data.table import open_table
from qc_jax.errors import InputError
from qc_jax.evaluate.canvas_timing import time_canvas
from qc_jax.evaluate.grid_timing import product_gigaflops, time_grid
from qc_jax.evaluate.model_timing import ModelTiming, time_model
from qc_jax.evaluate.stream_timing import time_stream
from qc_jax.runs import cli
from qc_jax.train.config import TrainConfig


def _canvas() -> None:
    size = check_size(flags.FLAGS.size)
    batches = _batches("256,4096" if _on_cpu() else "4096,32768")
    print(f"{size} x {size} x 10 canvases, float32")
    print("   batch  canvases/s    GB/s  time / (x + 1)  speed / NumPy encoder")
    for batch in batches:
        got = time_canvas(batch, size, flags.FLAGS.rounds or 21)
        print(
            f"{got.batch:8d}  {got.canvases_per_s:10,.0f}  {got.gigabytes_per_s:6.2f}"
            f"  {got.ratio:14.2f}  {got.canvases_per_s / got.encoded_per_s:9.0f}"
            f" (of {got.encoded_per_s:,.0f}/s)"
        )


def _models() -> None:
    names = _names()
    batch = _batch_of("models")
    settings = TrainConfig(batch_size=batch)
    modules = {name: _reference(name) for name in names} if flags.FLAGS.reference else {}
    tasks = _tasks(settings)
    rows = len(tasks[False].split.train)
    print(
        f"training: one epoch of {rows:,} pairs in batches of {batch}, shuffled, with the last "
        "batch, dropout and Adam"
    )
    if modules:
        timing = _of_references("timing")
        print(
            f"reference: {timing.use_all_cores()}; DataLoader of PyTorch Geometric, edges listed "
            "and canvases drawn beforehand"
        )
        load = os.getloadavg()[0]
        if load > 0.5:
            # PyTorch's threads spin while they wait for one that other work has put aside.
            print(f"warning: load average {load:.1f} at the start; on a busy machine ratios lie")
    print(_HEAD + (_REFERENCE_HEAD if modules else ""))
    for name in names:
        model, module = models.create(name), modules.get(name)
        task, reference = tasks["canvas" in model.inputs], None
        if module is not None:
            reference = timing.Trainer(module, models.defaults(name), task, settings)
        got = time_model(model, task, settings, flags.FLAGS.rounds or 5, reference)
        notes = []
        if got.batches < got.all_batches:
            notes.append(f"{got.batches} batches of {got.all_batches}")
        if hasattr(module, "EQUATIONS"):
            notes.append("reference: our own, of the paper's equations")
        print(_row(name, got) + "; ".join(notes), flush=True)


def _grid() -> None:
    names = _names() if flags.FLAGS.models else ("schnet",)
    sizes = _whole_numbers("stack", flags.FLAGS.stack or ["1", "4", "16"])
    batch = _batch_of("a grid")
    settings = TrainConfig(batch_size=batch, parallel="replicas")
    tasks = _tasks(settings)
    devices = jax.local_device_count()
    # The devices of a CPU share its cores.
    peak = product_gigaflops() * (1 if _on_cpu() else devices)
    print(
        f"{devices} devices; a large float32 matrix product: {peak:,.0f} GFLOP/s; an epoch: "
        f"{len(tasks[False].split.train):,} training pairs in batches of {batch}, and validation"
    )
    for name in names:
        model = models.create(name)
        task, epoch = tasks["canvas" in model.inputs], None
        module = _reference(name) if flags.FLAGS.reference else None
        if module is not None:
            timing = _of_references("timing")
            print(f"reference: {timing.use_all_cores()}")
            trainer = timing.Trainer(module, models.defaults(name), task, settings)
            epoch = functools.partial(trainer.train, task.split.train)
        trace = flags.FLAGS.profile
        with jax.profiler.trace(trace) if trace else contextlib.nullcontext():
            timings, seconds = time_grid(
                model, task, settings, sizes, flags.FLAGS.rounds or 5, epoch
            )
        print(_GRID_HEAD + ("  times as fast as the reference" if seconds else ""))
        for got in timings:
            row = (
                f"{name:19s}  {got.size:5d}  {got.seconds * 1e3:20,.1f}  {got.compile_seconds:9.1f}"
                f"  {got.gigaflops:8,.1f}  {100 * got.gigaflops / peak:8.1f}"
                f"  {got.cores:10.2f}  {got.megabytes:10,.1f}"
            )
            print(row + (f"  {seconds / got.seconds:30.1f}" if seconds else ""), flush=True)
        if seconds:
            print(f"the reference's training epoch, without validation: {seconds * 1e3:,.0f} ms")


def _stream() -> None:
    from . import molecules

    name, *more = _names() if flags.FLAGS.models else ("schnet",)
    batch = _batch_of("a stream")
    if more:
        raise InputError(f"--models: expected one model of a stream, got {name}, {more[0]}")
    count, epoch_rows = flags.FLAGS.molecules, min(flags.FLAGS.rows, flags.FLAGS.molecules)
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        stream = molecules.open_stream(flags.FLAGS.data_dir or folder, count)
        print(f"{count:,} molecules there in {time.perf_counter() - start:.0f} s")
        got = time_stream(models.create(name), stream, TrainConfig(batch_size=batch), epoch_rows)
    print(
        f"{name}: {epoch_rows:,} of them, drawn from all, in {got.seconds:.1f} s: "
        f"{epoch_rows / got.seconds:,.0f} molecules/s; waited for input {100 * got.waited:.2f} % "
        f"of the time; compiled in {got.compile_seconds:.1f} s"
    )


_GRID_HEAD = (
    "model                stack  ms/epoch of training  compile s   GFLOP/s  % of pr.  busy cores"
    "   MB/device"
)
_HEAD = "model                parameters  compile s  training/s  predicting/s  "
_REFERENCE_HEAD = "reference: training/s  predicting/s  times as fast: training  predicting  "


def _row(name: str, got: ModelTiming) -> str:
    row = (
        f"{name:19s}  {got.parameters:10,d}  {got.compile_seconds:9.1f}"
        f"  {got.ours.train:10,.0f}  {got.ours.predict:12,.0f}  "
    )
    if got.reference is not None:
        row += (
            f"{got.reference.train:21,.0f}  {got.reference.predict:12,.0f}"
            f"  {got.ours.train / got.reference.train:23.1f}"
            f"  {got.ours.predict / got.reference.predict:10.1f}  "
        )
    return row


def _names() -> tuple[str, ...]:
    """The models that were asked for, or all that are trained by steps and have what they need."""
    if flags.FLAGS.models:
        for name in flags.FLAGS.models:
            if not _trained(name):
                raise InputError(f"--models: {name} is solved at once, not trained by steps")
        return tuple(flags.FLAGS.models)
    names = []
    for name in models.available():
        try:
            names += [name] if _trained(name) else []
        except InputError as error:
            print(f"left out: {error}")
    return tuple(names)


def _trained(name: str) -> bool:
    return not models.create(name).closed_form


def _reference(name: str) -> types.ModuleType | None:
    """Return the module of a model's reference network, None where it has none."""
    package = _of_references("timing").__package__
    there = importlib.util.find_spec(f"{package}.{name}") is not None
    return _of_references(name) if there else None


def _of_references(name: str) -> types.ModuleType:
    """Return a module of the PyTorch networks, which are in a clone alone.

    Raises:
      InputError: this is no clone, or a package that they need is not installed.
    """
    package = "tests.references"
    try:
        if importlib.util.find_spec(package) is None:
            raise ModuleNotFoundError(name=package)
    except ModuleNotFoundError as error:
        raise InputError(
            "--reference: the PyTorch networks are in tests/references of a clone; start "
            "`python -m experiments.speed` in the clone's folder"
        ) from error
    try:
        return importlib.import_module(f"{package}.{name}")
    except ModuleNotFoundError as error:
        install = importlib.import_module(package).INSTALL
        raise InputError(
            f"--reference: {error.name} is not installed, which the PyTorch networks need; "
            f"{install}"
        ) from error


def _tasks(settings: TrainConfig) -> dict[bool, Task]:
    """Whether the canvas is read → the shipped table's task."""
    table = open_table("gfn2_xtb")
    features = {False: None, True: canvas.features(table)}
    return {
        drawn: prepare(table, ("e_homo_ev",), settings.seed, given)
        for drawn, given in features.items()
    }


def _batches(default: str) -> list[int]:
    return _whole_numbers("batch", flags.FLAGS.batch or default.split(","))


def _batch_of(what: str) -> int:
    batch, *more = _batches("64")
    if more:
        raise InputError(f"--batch: expected one batch size of {what}, got {batch}, {more[0]}")
    return batch


def _whole_numbers(flag: str, texts: list[str]) -> list[int]:
    for text in texts:
        if not text.strip().isdigit() or int(text) < 1:
            raise InputError(f"--{flag}: expected whole numbers from 1 up, got {text!r}")
    return [int(text) for text in texts]


def _on_cpu() -> bool:
    return jax.default_backend() == "cpu"


# What can be timed. Each prints its own table, below the line that names the device.
_TIMINGS: dict[str, Callable[[], None]] = {
    "canvas": _canvas,
    "models": _models,
    "grid": _grid,
    "stream": _stream,
}

flags.DEFINE_enum("what", "canvas", sorted(_TIMINGS), "what to time")
flags.DEFINE_integer(
    "rounds",
    None,
    "rounds in which the candidates take turns; 21 of canvases, at most 5 of models unless given",
    lower_bound=1,
)
flags.DEFINE_integer("size", 32, "canvas: pixels along each side")
flags.DEFINE_list(
    "batch",
    None,
    "batch sizes of canvases, 256,4096 on a CPU and 4096,32768 elsewhere unless given; the batch "
    "size of models, 64 unless given",
)
flags.DEFINE_list(
    "models",
    None,
    "which; all that are trained by steps, or schnet for a grid, unless given",
)
flags.DEFINE_list("stack", None, "grid: trainings in a stack; 1,4,16 unless given")
flags.DEFINE_integer("molecules", 130_000, "stream: on disk", lower_bound=10)
flags.DEFINE_integer("rows", 10_000, "stream: trained on, drawn from all of them", lower_bound=1)
flags.DEFINE_string("data_dir", None, "stream: where they are kept; a temporary place otherwise")
flags.DEFINE_string("profile", None, "grid: a directory for the profiler's trace of the epochs")
flags.DEFINE_bool("reference", False, "models, grid: time the PyTorch references too")


def main(argv: list[str]) -> None:
    """Prints the device and the table of what `--what` names."""
    if argv:
        raise InputError(f"expected flags only (--what=canvas), got {argv[0]!r}")
    name = f"CPU, {os.cpu_count()} cores" if _on_cpu() else jax.devices()[0].device_kind
    print(f"{name}, JAX {jax.__version__}")
    _TIMINGS[flags.FLAGS.what]()


if __name__ == "__main__":
    cli.run(main)
