"""Molecules relaxed downhill: BFGS with steps of bounded length."""

import numpy as np
from jaxtyping import Float

from qc_jax.dftb.convergence import NotConverged, converge, place
from qc_jax.dftb.hamiltonian import Molecule
from qc_jax.dftb.parametrization import Parametrization

_LONGEST = 0.3  # bohr, that an atom moves in a step
_FORCE = 1e-5  # hartree/bohr, the largest component at a minimum
_STEPS = 500


def downhill(
    molecule: Molecule,
    parametrization: Parametrization,
    positions: Float[np.ndarray, "atoms 3"],
    kt: float,
) -> Float[np.ndarray, "atoms 3"]:
    """Return the positions (bohr) of the minimum of the free energy below the given ones.

    J. Nocedal, S. J. Wright, Numerical Optimization (2006), eq. 6.17, from a diagonal of 0.5
    hartree/bohr²; a step that raises the energy is halved.

    Raises:
      NotConverged: no minimum within 500 steps, or charges that do not settle.
    """
    shape = positions.shape

    def evaluate(x: np.ndarray, start: np.ndarray | None):
        energy, rest, gradient = converge(
            molecule, parametrization, place(x.reshape(shape)), kt, start
        )
        return energy, gradient[: shape[0]].ravel(), rest["excess"]

    x = positions.ravel()
    energy, gradient, excess = evaluate(x, None)
    inverse = np.eye(len(x)) * 2.0
    for _ in range(_STEPS):
        if np.abs(gradient).max() < _FORCE:
            return x.reshape(shape)
        step = -inverse @ gradient
        if step @ gradient >= 0:
            inverse = np.eye(len(x)) * 2.0
            step = -inverse @ gradient
        step *= min(1.0, _LONGEST / np.abs(step).max())
        while True:
            new_energy, new_gradient, excess = evaluate(x + step, excess)
            if new_energy <= energy + 1e-10 or np.abs(step).max() < 1e-6:
                break
            step /= 2
        change = new_gradient - gradient
        curvature = change @ step
        if curvature > 1e-12:
            left = np.eye(len(x)) - np.outer(step, change) / curvature
            inverse = left @ inverse @ left.T + np.outer(step, step) / curvature
        x, energy, gradient = x + step, new_energy, new_gradient
    raise NotConverged(
        f"no minimum within {_STEPS} steps: the largest force is still "
        f"{np.abs(gradient).max():.1e} hartree/bohr"
    )
