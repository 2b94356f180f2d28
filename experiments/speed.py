"""How fast things run on this machine, beside what they can cost at best.

    python -m experiments.speed --what=canvas [--size=32] [--batch=256,4096]

prints for each batch the canvases and gigabytes written a second, the run time as a multiple of
what JAX needs for x + 1 on an array of the same shape (the price of writing it), and the speed as a
multiple of a NumPy encoder that goes through pairs and orbitals in Python loops. The first two take
turns in the same run; medians count.
"""

import os
from collections.abc import Callable

import jax
from absl import flags

from experiments import cli
from qc_jax.canvas.basis import check_size
from qc_jax.errors import InputError
from qc_jax.evaluate.canvas_timing import time_canvas


def _canvas() -> None:
    size = check_size(flags.FLAGS.size)
    batches = []
    for text in flags.FLAGS.batch or ("256,4096" if _on_cpu() else "4096,32768").split(","):
        if not text.strip().isdigit() or int(text) < 1:
            raise InputError(f"--batch: expected whole numbers from 1 up, got {text!r}")
        batches.append(int(text))
    print(f"{size} x {size} x 10 canvases, float32")
    print("   batch  canvases/s    GB/s  time / (x + 1)  speed / NumPy encoder")
    for batch in batches:
        got = time_canvas(batch, size, flags.FLAGS.rounds)
        print(
            f"{got.batch:8d}  {got.canvases_per_s:10,.0f}  {got.gigabytes_per_s:6.2f}"
            f"  {got.ratio:14.2f}  {got.canvases_per_s / got.encoded_per_s:9.0f}"
            f" (of {got.encoded_per_s:,.0f}/s)"
        )


# What can be timed. Each prints its own table, below the line that names the device.
_TIMINGS: dict[str, Callable[[], None]] = {"canvas": _canvas}

flags.DEFINE_enum("what", "canvas", sorted(_TIMINGS), "what to time")
flags.DEFINE_integer("rounds", 21, "rounds in which the candidates take turns", lower_bound=1)
flags.DEFINE_integer("size", 32, "canvas: pixels along each side")
flags.DEFINE_list(
    "batch", None, "canvas: batch sizes; 256,4096 on a CPU and 4096,32768 elsewhere unless given"
)


def _on_cpu() -> bool:
    return jax.default_backend() == "cpu"


def main(argv: list[str]) -> None:
    """Prints the device and the table of what `--what` names."""
    if argv:
        raise InputError(f"expected flags only (--what=canvas), got {argv[0]!r}")
    name = f"CPU, {os.cpu_count()} cores" if _on_cpu() else jax.devices()[0].device_kind
    print(f"{name}, JAX {jax.__version__}")
    _TIMINGS[flags.FLAGS.what]()


if __name__ == "__main__":
    cli.run(main)
