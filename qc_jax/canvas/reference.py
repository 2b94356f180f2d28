"""The canvas formulas as they are written down: one structure at a time, orbital by orbital.

Slow on purpose and independent of `basis`: what `render` is tested against, and what its speed is
compared with. The published encoder works this way.
"""

import math

import numpy as np
from jaxtyping import Float

from qc_jax.chem.units import EBOHR_DEBYE
from qc_jax.data.table import ORBITAL_L, ORBITAL_M


def encode(
    populations: Float[np.ndarray, "atoms 16"],
    charges: Float[np.ndarray, " atoms"],
    dipole: Float[np.ndarray, "3"],
    size: int = 32,
) -> Float[np.ndarray, "size size 10"]:
    """Return the canvas of one pair, or larger structure.

    Args:
      populations: [n, 16] electrons by (l, m).
      charges: [n] e.
      dipole: [3] Debye.
      size: pixels along each side, S; widths and positions scale with S/32.

    Returns:
      [S, S, 10] float64.
    """
    columns, rows = np.meshgrid(np.arange(size), np.arange(size))
    scale = size / 32
    n = len(charges)
    centres = [
        ((32 // 2 + (i - n / 2 + 1 / 2) * (32 // (n + 1))) * scale, 32 // 2 * scale)
        for i in range(n)
    ]

    def gaussian(atom: int, sigma: float) -> np.ndarray:
        x, y = centres[atom]
        return np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * (sigma * scale) ** 2))

    u, v = np.meshgrid(np.linspace(-1, 1, size), np.linspace(-1, 1, size))
    r = np.sqrt(u**2 + v**2)
    theta = np.arctan2(v, u)
    rho = r + 1e-6
    canvas = np.zeros((size, size, 10))
    sp = df = 0.0
    for atom in range(n):
        total = moment = 0.0
        for orbital in range(16):
            population = float(populations[atom, orbital])
            degree, order = int(ORBITAL_L[orbital]), int(ORBITAL_M[orbital])
            canvas[..., 0] += population * (degree + 1) / 3 * gaussian(atom, 3)
            moment += order * population
            total += population
            if degree <= 1:
                sp += population
            else:
                df += population
        canvas[..., 1] += abs(moment) * gaussian(atom, 3)
        canvas[..., 7] += total * gaussian(atom, 4)
        charge = float(charges[atom])
        canvas[..., 6] += 10 * abs(charge) * gaussian(atom, 4)
        canvas[..., 8 if charge > 0 else 9] += 10 * abs(charge) * gaussian(atom, 3.5)
    canvas[..., 2] = sp * np.exp(-(r**2) / 0.3)
    canvas[..., 3] = df * np.exp(-(r**2) / 0.5) * (1 + np.cos(4 * theta))
    size_of_dipole = math.sqrt(sum(float(component) ** 2 for component in dipole)) / EBOHR_DEBYE
    canvas[..., 4] = size_of_dipole * rho * np.exp(-(rho**2) / 0.4)
    # |q_0 − q_1| of a pair, and the same thing of more atoms.
    difference = max(float(charge) for charge in charges) - min(float(charge) for charge in charges)
    canvas[..., 5] = difference * (3 * np.cos(theta) ** 2 - 1) * np.exp(-(rho**2) / 0.4)
    return canvas
