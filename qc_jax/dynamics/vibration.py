"""The minimum of a pair's energy and the frequency of its harmonic vibration there."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Int

from qc_jax.chem.elements import element, pair_name
from qc_jax.chem.units import FS, LIGHT_CM_FS
from qc_jax.data.atoms import Structure
from qc_jax.dynamics.potential import Potential
from qc_jax.engines import tblite
from qc_jax.engines.engine import EngineError
from qc_jax.errors import InputError
from qc_jax.runs.saved import SavedRun
from qc_jax.xtb.solutions import METHOD

_GRID = 200  # distances among which the minimum is looked for first
_NEWTON = 30  # steps at most from there
_STEP = 0.005  # Å, of the reference's second derivative


class Vibration(NamedTuple):
    """A pair at its minimum.

    Attributes:
      distance_ang: Å.
      force_constant: second derivative of the energy there, eV/Å².
      wavenumber_cm: ν/c = √(k/μ)/(2πc) with the reduced mass μ, 1/cm.
    """

    distance_ang: float
    force_constant: float
    wavenumber_cm: float


def of_force_constant(
    numbers: Int[np.ndarray, "2"], distance: float, force_constant: float
) -> Vibration:
    """Return the vibration of two atoms with these numbers, masses being natural ones.

    Raises:
      InputError: the force constant is not above 0.
    """
    if not force_constant > 0:
        raise InputError(f"force constant: expected above 0, got {force_constant} eV/Å²")
    one, other = (element(int(number)).mass_amu for number in numbers)
    reduced = one * other / (one + other)
    wavenumber = math.sqrt(force_constant / reduced) * FS / (2 * math.pi * LIGHT_CM_FS)
    return Vibration(distance, force_constant, wavenumber)


def of_pair(potential: Potential, low: float, high: float) -> Vibration:
    """Find the lowest minimum between two distances (Å), by a grid and Newton's steps.

    Raises:
      InputError: the potential is not of two free atoms, or falls towards one of the ends.
    """
    if len(potential.numbers) != 2 or potential.cell is not None:
        raise InputError(f"expected two atoms without a cell, got {len(potential.numbers)}")
    links = potential.links(np.zeros((2, 3)))
    with potential.precision():

        def energy(distance: jax.Array) -> jax.Array:
            return potential.energy_fn(
                jnp.stack([jnp.zeros(3, potential.dtype), distance * jnp.eye(3)[2]]), links
            )

        slope = jax.grad(energy)
        at = jax.jit(
            lambda distance: (energy(distance), slope(distance), jax.grad(slope)(distance))
        )
        grid = np.linspace(low, high, _GRID).astype(potential.dtype)
        best = int(np.argmin([at(distance)[0] for distance in grid]))
        place = grid[best]
        if not low < high or best in (0, _GRID - 1):
            raise InputError(
                f"the energy has no minimum between {low:.3f} and {high:.3f} Å, where the model "
                f"was trained: it is lowest at {float(place):.3f} Å"
            )
        for _ in range(_NEWTON):
            _, first, second = map(float, at(place))
            # No further than the neighbours on the grid, between which the minimum is.
            place, before = np.clip(place - first / second, *grid[[best - 1, best + 1]]), place
            if abs(place - before) < 1e-10:
                break
        return of_force_constant(potential.numbers, float(place), float(at(place)[2]))


def of_run(run: SavedRun, numbers: np.ndarray) -> Vibration:
    """Find the minimum of two elements by a trained model, where its training saw them.

    Raises:
      InputError: as `of_pair`, or the run does not say at which distances it was trained.
    """
    if run.domain is None:
        raise InputError(f"{run.path} does not say at which distances it was trained")
    start = Structure(numbers, np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 1.0]]))
    return of_pair(Potential(run, start, double=True), *run.domain.range_of(*map(int, numbers)))


def of_gfn2(numbers: np.ndarray) -> Vibration:
    """Return GFN2-xTB's own, as the data are made: its minimum, and differences of its gradients.

    Raises:
      InputError: tblite does not converge.
    """
    engine = tblite.TbliteEngine()
    name = pair_name(*numbers.tolist())
    try:
        relaxed = engine.compute(name)
    except EngineError as error:
        raise InputError(f"{METHOD} of {name}: {error}") from error
    curve = tblite.PairCurve(numbers.tolist(), engine.config)
    near = curve.solve(relaxed.distance, fine=True)
    low, high = (curve.solve(relaxed.distance + h, near, fine=True) for h in (-_STEP, _STEP))
    if low is None or high is None:
        raise InputError(f"{METHOD} of {name}: does not converge beside its minimum")
    constant = (high.gradient - low.gradient) / (2 * _STEP)
    return of_force_constant(numbers, relaxed.distance, constant)
