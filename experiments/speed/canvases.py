"""Canvases a second, beside the price of writing them and beside a per-sample encoder."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from qc_jax.canvas import CHANNELS, features_from, render
from qc_jax.canvas.basis import check_size
from qc_jax.canvas.reference import encode
from qc_jax.studies.turns import take_turns

_ENCODED = 8  # pairs that the per-sample encoder gets in a round


class CanvasTiming(NamedTuple):
    """Medians over rounds; `render` and x + 1 took turns in them.

    Attributes:
      canvases_per_s: of `render`.
      gigabytes_per_s: that `render` writes (10^9 bytes of float32).
      ratio: run time of `render` to that of JAX's x + 1 on an array of the canvases' shape.
      encoded_per_s: canvases of the per-sample NumPy encoder, one Python process.
    """

    canvases_per_s: float
    gigabytes_per_s: float
    ratio: float
    encoded_per_s: float


def run(size: int = 32, batch: Sequence[int] = (), rounds: int = 21) -> list[dict[str, Any]]:
    """Print a row for each batch size; return them."""
    check_size(size)
    on_cpu = jax.default_backend() == "cpu"
    print(f"{size} x {size} x 10 canvases, float32")
    print("   batch  canvases/s    GB/s  time / (x + 1)  speed / NumPy encoder")
    rows = []
    for one in batch or ((256, 4096) if on_cpu else (4096, 32768)):
        got = time_canvas(one, size, rounds)
        print(
            f"{one:8d}  {got.canvases_per_s:10,.0f}  {got.gigabytes_per_s:6.2f}"
            f"  {got.ratio:14.2f}  {got.canvases_per_s / got.encoded_per_s:9.0f}"
            f" (of {got.encoded_per_s:,.0f}/s)"
        )
        rows.append({"size": size, "batch": one, **got._asdict()})
    return rows


def time_canvas(batch: int, size: int = 32, rounds: int = 21, seed: int = 0) -> CanvasTiming:
    """Time `render` on `batch` random pairs, on JAX's default device."""
    rng = np.random.default_rng(seed)
    populations = rng.uniform(0, 2, (batch, 2, 16))
    charges, dipole = rng.normal(size=(batch, 2)), rng.normal(size=(batch, 3))
    features = jnp.asarray(features_from(populations, charges, dipole))
    encoded = min(batch, _ENCODED)

    def encode_some() -> list[np.ndarray]:
        rows = zip(populations[:encoded], charges, dipole, strict=False)
        return [encode(*row, size).astype(np.float32) for row in rows]

    shape = (batch, size, size, len(CHANNELS))
    drawn = beside_writing(lambda: render(features, size), shape, rounds)
    # By itself, since its Python loops would leave the others cold caches and sleeping threads.
    taken = take_turns({"encode": encode_some}, rounds)["encode"]
    return CanvasTiming(*drawn, encoded_per_s=encoded / float(np.median(taken)))


def beside_writing(
    draw: Callable[[], jax.Array], shape: tuple[int, ...], rounds: int
) -> tuple[float, float, float]:
    """Time what draws a batch of images, in turns with the writing of as many.

    Args:
      draw: draws them.
      shape: theirs, the batch first, float32.
      rounds: of both.

    Returns:
      Images a second, gigabytes a second (10^9 bytes), and the run time as a multiple of JAX's
      x + 1 on an array of the shape; medians.
    """
    zeros = jax.block_until_ready(jnp.zeros(shape, jnp.float32))
    add_one = jax.jit(lambda x: x + 1)
    taken = take_turns({"draw": draw, "x + 1": lambda: add_one(zeros)}, rounds)
    seconds, least = (float(np.median(taken[name])) for name in ("draw", "x + 1"))
    return shape[0] / seconds, zeros.nbytes / seconds / 1e9, seconds / least
