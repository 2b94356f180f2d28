"""Molecules relaxed downhill, a batch at once: BFGS with steps of bounded length."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from qc_jax.dftb.convergence import Converged

_LONGEST = 0.3  # bohr, that an atom moves in a step
_SHORTEST = 1e-6  # bohr, a step that is taken whatever it does to the energy
_FORCE = 1e-5  # hartree/bohr, the largest component at a minimum
_STEPS = 500
_SOFT = 2.0  # bohr²/hartree, the first guess of the inverse Hessian's diagonal


def downhill(
    evaluate: Callable[[np.ndarray, np.ndarray, np.ndarray | None], Converged],
    positions: Float[np.ndarray, "batch atoms 3"],
) -> tuple[Float[np.ndarray, "batch atoms 3"], list[str | None]]:
    """Return the minima of the free energy below the given positions (bohr).

    J. Nocedal, S. J. Wright, Numerical Optimization (2006), eq. 6.17; a step that raises the energy
    is halved. All molecules take a step at a time; those that are done are left out.

    Args:
      evaluate: maps (rows of the batch, their positions, trial charges) to energies and gradients.
      positions: where each begins; atoms without forces stay.

    Returns:
      The positions, and of each molecule why it found no minimum, None where it did.
    """
    count, size = len(positions), positions[0].size
    x = positions.reshape(count, size).copy()
    now = evaluate(np.arange(count), positions, None)
    reasons = [None if ok else now.reason(row) for row, ok in enumerate(now.settled)]
    energy, gradient = now.energy, now.gradient.reshape(count, size)
    excess = now.rest["excess"]
    inverse = np.tile(_SOFT * np.eye(size), (count, 1, 1))
    step = np.stack([_step(*both) for both in zip(inverse, gradient, strict=True)])
    for _ in range(_STEPS):
        force = np.abs(gradient).max(axis=1)
        rows = np.flatnonzero((force >= _FORCE) & [reason is None for reason in reasons])
        if not len(rows):
            return x.reshape(positions.shape), reasons
        trial = (x[rows] + step[rows]).reshape(len(rows), *positions.shape[1:])
        new = evaluate(rows, trial, excess[rows])
        for k, row in enumerate(rows):
            tiny = np.abs(step[row]).max() < _SHORTEST
            if not new.settled[k]:
                reasons[row] = new.reason(k) if tiny else None
            if not new.settled[k] or (new.energy[k] > energy[row] + 1e-10 and not tiny):
                step[row] /= 2
                continue
            slope = new.gradient[k].ravel()
            inverse[row] = _updated(inverse[row], step[row], slope - gradient[row])
            x[row] += step[row]
            energy[row], gradient[row], excess[row] = new.energy[k], slope, new.rest["excess"][k]
            step[row] = _step(inverse[row], slope)
    for row in rows:
        reasons[row] = (
            f"no minimum within {_STEPS} steps: the largest force is still "
            f"{np.abs(gradient[row]).max():.1e} hartree/bohr"
        )
    return x.reshape(positions.shape), reasons


def _step(
    inverse: Float[np.ndarray, "n n"], gradient: Float[np.ndarray, " n"]
) -> Float[np.ndarray, " n"]:
    step = -inverse @ gradient
    if step @ gradient > 0:
        step = -_SOFT * gradient
    return step * min(1.0, _LONGEST / max(np.abs(step).max(), 1e-300))


def _updated(
    inverse: Float[np.ndarray, "n n"],
    step: Float[np.ndarray, " n"],
    change: Float[np.ndarray, " n"],
) -> Float[np.ndarray, "n n"]:
    curvature = change @ step
    if curvature <= 1e-12:
        return inverse
    left = np.eye(len(step)) - np.outer(step, change) / curvature
    return left @ inverse @ left.T + np.outer(step, step) / curvature
