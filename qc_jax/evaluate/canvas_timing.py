"""How fast canvases are made, beside the price of writing them and beside a per-sample encoder."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from qc_jax.canvas import CHANNELS, features_from, render
from qc_jax.canvas.reference import encode
from qc_jax.evaluate.timing import take_turns

_ENCODED = 8  # pairs that the per-sample encoder gets in a round


@dataclasses.dataclass(frozen=True)
class CanvasTiming:
    """Medians over rounds; `render` and x + 1 took turns in them.

    Attributes:
      batch: canvases in a batch.
      canvases_per_s: of `render`.
      gigabytes_per_s: that `render` writes (10^9 bytes of float32).
      ratio: run time of `render` to that of JAX's x + 1 on an array of the canvases' shape.
      encoded_per_s: canvases of the per-sample NumPy encoder, one Python process.
    """

    batch: int
    canvases_per_s: float
    gigabytes_per_s: float
    ratio: float
    encoded_per_s: float


def time_canvas(batch: int, size: int = 32, rounds: int = 21, seed: int = 0) -> CanvasTiming:
    """Times `render` on `batch` random pairs, on JAX's default device."""
    rng = np.random.default_rng(seed)
    populations = rng.uniform(0, 2, (batch, 2, 16))
    charges, dipole = rng.normal(size=(batch, 2)), rng.normal(size=(batch, 3))
    features = jnp.asarray(features_from(populations, charges, dipole))
    canvases = jax.block_until_ready(jnp.zeros((batch, size, size, len(CHANNELS)), jnp.float32))
    add_one = jax.jit(lambda x: x + 1)

    def encode_some() -> list[np.ndarray]:
        return [
            encode(populations[row], charges[row], dipole[row], size).astype(np.float32)
            for row in range(min(batch, _ENCODED))
        ]

    seconds = take_turns(
        {
            "render": lambda: render(features, size),
            "x + 1": lambda: add_one(canvases),
        },
        rounds,
    )
    # By itself, since its Python loops would leave the others cold caches and sleeping threads.
    seconds |= take_turns({"encode": encode_some}, rounds)
    rendering = float(np.median(seconds["render"]))
    return CanvasTiming(
        batch=batch,
        canvases_per_s=batch / rendering,
        gigabytes_per_s=canvases.nbytes / rendering / 1e9,
        ratio=rendering / float(np.median(seconds["x + 1"])),
        encoded_per_s=min(batch, _ENCODED) / float(np.median(seconds["encode"])),
    )
