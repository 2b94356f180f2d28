"""Fermi–Dirac occupations of orbitals: the level and the entropy that belong to them."""

import numpy as np
from scipy import optimize, special


def fermi_level(energies: np.ndarray, electrons: float, capacity: float, kt: float) -> float:
    """Return the level μ at which capacity · Σ f((ε − μ)/kT) is the number of electrons.

    Solved as 'electrons above = holes below' in logarithms, so that it is as sharp in a gap of
    20 eV, where it is the middle of the gap up to the degeneracies, as in a metal.

    Args:
      energies: [M] orbital energies, any order, the unit of `kt`.
      electrons: how many.
      capacity: electrons that one orbital can take: 2 spin-restricted, 1 in one spin channel.
      kt: Boltzmann's constant times the electronic temperature.

    Returns:
      μ; −∞ without electrons, +∞ where every orbital is full.
    """
    levels = np.sort(np.asarray(energies, dtype=np.float64))
    filled = electrons / capacity
    if filled <= 0:
        return -np.inf
    if filled >= len(levels):
        return np.inf
    below = int(np.floor(filled))  # orbitals that are full at T = 0
    part = filled - below  # of the next orbital, full at T = 0

    def excess(mu: float) -> float:
        x = (levels - mu) / kt
        above = special.logsumexp(special.log_expit(-x[below:]))
        holes = special.log_expit(x[:below])
        missing = np.append(holes, np.log(part)) if part > 0 else holes
        return float(above - special.logsumexp(missing))

    margin = 50 * kt
    return float(
        optimize.brentq(excess, levels[0] - margin, levels[-1] + margin, xtol=1e-14, rtol=1e-14)
    )


def occupations(energies: np.ndarray, mu: float, kt: float) -> np.ndarray:
    """Return f = 1 / (1 + exp((ε − μ)/kT)) of every orbital, 0 to 1."""
    return special.expit(-(np.asarray(energies, dtype=np.float64) - mu) / kt)


def entropy(occupied: np.ndarray) -> float:
    """Return S/k_B = −Σ f ln f + (1 − f) ln(1 − f) of one spin channel, f from 0 to 1."""
    f = np.asarray(occupied, dtype=np.float64)
    return float((special.entr(f) + special.entr(1 - f)).sum())
