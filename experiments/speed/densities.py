"""Density images a second, beside the price of writing them."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from qc_jax.canvas.basis import check_size
from qc_jax.canvas.densities import CHANNELS, draw
from qc_jax.canvas.orbitals import solve
from qc_jax.chem.elements import pair_names

from .canvases import beside_writing

_ELEMENTS = ("H", "C", "N", "O", "Al", "Cl", "Fe", "Ag")  # s, p and d shells


class DensityTiming(NamedTuple):
    """Medians over rounds; `draw` and x + 1 took turns in them.

    Attributes:
      images_per_s: of all ten channels.
      gigabytes_per_s: that are written (10^9 bytes of float32).
      ratio: run time to that of x + 1 on an array of the images' shape.
    """

    images_per_s: float
    gigabytes_per_s: float
    ratio: float


def run(
    size: int = 32, batch: Sequence[int] = (256, 4096), rounds: int = 21
) -> list[dict[str, Any]]:
    """Print a row for each batch size; return them."""
    check_size(size)
    print(f"{size} x {size} x {len(CHANNELS)} density images, float32")
    print("   batch    images/s    GB/s  time / (x + 1)")
    rows = []
    for one in batch:
        got = time_densities(one, size, rounds)
        print(
            f"{one:8d}  {got.images_per_s:10,.0f}  {got.gigabytes_per_s:6.2f}  {got.ratio:14.2f}",
            flush=True,
        )
        rows.append({"size": size, "batch": one, **got._asdict()})
    return rows


def time_densities(
    batch: int, size: int = 32, rounds: int = 21, elements: Sequence[str] = _ELEMENTS
) -> DensityTiming:
    """Time `draw` on so many pairs of the elements, over and over the same ones."""
    radial, orbitals = solve(pair_names(sorted(elements)))
    count = len(orbitals.distance)
    many = jax.tree.map(lambda leaf: jnp.asarray(leaf)[np.arange(batch) % count], orbitals)
    shape = (batch, size, size, len(CHANNELS))
    return DensityTiming(*beside_writing(lambda: draw(many, radial, size), shape, rounds))
