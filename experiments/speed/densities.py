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
from qc_jax.studies.turns import take_turns

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
    images = jax.block_until_ready(jnp.zeros((batch, size, size, len(CHANNELS)), jnp.float32))
    add_one = jax.jit(lambda x: x + 1)
    work = {"draw": lambda: draw(many, radial, size), "x + 1": lambda: add_one(images)}
    taken = take_turns(work, rounds)
    seconds = {name: float(np.median(each)) for name, each in taken.items()}
    return DensityTiming(
        images_per_s=batch / seconds["draw"],
        gigabytes_per_s=images.nbytes / seconds["draw"] / 1e9,
        ratio=seconds["draw"] / seconds["x + 1"],
    )
