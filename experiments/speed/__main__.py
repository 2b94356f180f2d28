"""How fast things run on this machine, beside what they can cost at best.

    python -m experiments.speed --what=canvas [--size=32] [--batch=256,4096]

prints for each batch the canvases and gigabytes written a second, the run time as a multiple of
what JAX needs for x + 1 on an array of the same shape (the price of writing it), and the speed as a
multiple of a NumPy encoder that goes through pairs and orbitals in Python loops.

    python -m experiments.speed --what=models [--models=schnet,gcn] [--batch=64] [--reference]

prints for each model its parameters, the seconds that its training epoch takes to compile, how many
pairs a second it trains on and predicts, over whole epochs of the shipped table, and the training's
arithmetic as a share of what a large matrix product reaches. With
--reference the same network in PyTorch takes turns with it, on all cores of the CPU.

    python -m experiments.speed --what=grid [--models=schnet] [--stack=1,4,16]

prints for stacks of trainings how long an epoch of one training takes, beside how long the program
took to compile, its arithmetic (as a share of what a matrix product reaches on the devices), how
many cores it kept busy and its memory. On a CPU, XLA_FLAGS=--xla_force_host_platform_device_count=2
shares the trainings out on two devices.

    python -m experiments.speed --what=stream [--models=schnet] [--molecules=130000] [--rows=10000]

writes random molecules of up to 29 atoms as a TFDS dataset, trains on some of them while Grain
reads them at random, and prints for which part of the time the device waited for its input. With
--distributed, as of `train`, the processes share each batch, and each reads its part.

    python -m experiments.speed --what=dftb [--pairs=2850] [--data_dir=DIR]

prints how long pseudo-atoms, tables of integrals, single points and relaxations of PTBP's pairs
take by tight binding, of 60 random ones unless told, on tables made anew or kept in DIR.

    python -m experiments.speed --what=densities [--size=32] [--batch=256,1024]

prints for each batch the density images and gigabytes written a second, and the run time as a
multiple of that of x + 1 on an array of the same shape.

--out=FILE.json keeps the rows of any of them, with the device, the versions and the time.
"""

import datetime
import inspect
import os
from collections.abc import Callable
from typing import Any

import jax

from qc_jax.data import files
from qc_jax.errors import InputError
from qc_jax.runs import building, cli, distributed
from qc_jax.train import hosts

from . import canvases, densities, dftb, grid, models, stream

# Each prints its own table, returns its rows, and takes the flags that its arguments are called by.
TIMINGS: dict[str, Callable[..., list[dict[str, Any]]]] = {
    "canvas": canvases.run,
    "models": models.run,
    "grid": grid.run,
    "stream": stream.run,
    "dftb": dftb.run,
    "densities": densities.run,
}

FLAGS = cli.Flags(__doc__)
_WHAT = FLAGS.enum("what", "canvas", sorted(TIMINGS), "What to time.")
_OUT = FLAGS.string("out", None, "A .json for the rows.")
_OVERWRITE = FLAGS.boolean("overwrite", False, "Replace the file at --out.")
_OPTIONS = {
    "rounds": FLAGS.integer(
        "rounds", None, "In which candidates take turns; 21 of images, else 5.", lower_bound=1
    ),
    "size": FLAGS.integer("size", None, "Pixels along each side; 32 unless given."),
    "batch": FLAGS.strings(
        "batch",
        None,
        "Batch sizes of canvases, 256,4096 on a CPU and 4096,32768 elsewhere unless given; of "
        "densities, 256 and 4096; the batch size of models, 64 unless given.",
    ),
    "names": FLAGS.strings(
        "models", None, "All that are trained by steps, or schnet for a grid, unless given."
    ),
    "stack": FLAGS.strings("stack", None, "Trainings in a stack; 1,4,16 unless given."),
    "molecules": FLAGS.integer("molecules", None, "On disk; 130000 unless given.", lower_bound=10),
    "rows": FLAGS.integer("rows", None, "Trained on; 10000 unless given.", lower_bound=1),
    "pairs": FLAGS.integer("pairs", None, "Of tight binding; 60 unless given.", lower_bound=1),
    "data_dir": FLAGS.string(
        "data_dir", None, "Where molecules, or atoms and tables, are kept, instead of for now."
    ),
    "profile": FLAGS.string("profile", None, "A directory for the profiler's trace of epochs."),
    "reference": FLAGS.boolean("reference", None, "Time the PyTorch references, too."),
}
_GROUP = distributed.Group(FLAGS)


def main(_: list[str]) -> None:
    """Print the device and the table of what --what names."""
    if "distributed" in FLAGS.given() and _WHAT.value != "stream":
        raise InputError(f"--distributed: --what={_WHAT.value} does not use it")
    with _GROUP.joined():
        _time()


def _time() -> None:
    timing = TIMINGS[_WHAT.value]
    if _OUT.value is not None:
        cli.check_file(_OUT.value, (".json",), bool(_OVERWRITE.value))
    given = {name: flag for name, flag in _OPTIONS.items() if flag.value is not None}
    for name, flag in given.items():
        if name not in inspect.signature(timing).parameters:
            raise InputError(f"--{flag.name}: --what={_WHAT.value} does not use it")
    jax.config.update("jax_enable_compilation_cache", False)  # compilation is timed, too
    cpu = jax.default_backend() == "cpu"
    device = f"CPU, {os.cpu_count()} cores" if cpu else jax.devices()[0].device_kind
    print(f"{device}, JAX {jax.__version__}")
    rows = timing(**{name: _value(flag) for name, flag in given.items()})
    if _OUT.value is not None and hosts.first():
        about = {
            "what": _WHAT.value,
            "device": device,
            "devices": jax.device_count(),
            "processes": jax.process_count(),
            "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "versions": building.versions(),
        }
        files.write_json(_OUT.value, {**about, "rows": rows})


def _value(flag):
    if flag.name not in ("batch", "stack"):
        return flag.value
    for text in flag.value:
        if not text.strip().isdigit() or int(text) < 1:
            raise InputError(f"--{flag.name}: expected whole numbers from 1 up, got {text!r}")
    return [int(text) for text in flag.value]


if __name__ == "__main__":
    cli.run(main, FLAGS)
