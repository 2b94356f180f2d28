"""Random pairs for the tests of the canvas."""

import numpy as np

from qc_jax.canvas.reference import encode


def random_pairs(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Populations (some negative), charges and dipoles that no symmetry simplifies."""
    rng = np.random.default_rng(seed)
    populations = rng.normal(0.5, 1.0, (count, 2, 16))
    return populations, rng.normal(size=(count, 2)), 3 * rng.normal(size=(count, 3))


def encode_all(populations, charges, dipole, size: int) -> np.ndarray:
    """The reference encoder's canvases, float64 [N, size, size, 10]."""
    rows = range(len(populations))
    return np.stack([encode(populations[i], charges[i], dipole[i], size) for i in rows])
