"""Targets that follow from others: one place for the formulas, whatever the engine."""

from typing import Any

import numpy as np
import numpy.typing as npt

# Levels closer than this are one degenerate level; below it also the gap counts as zero (eV).
DEGENERATE_EV = 1e-3
# Occupations beyond which a level counts as one that holds electrons, or can take one.
HOLDS, TAKES = 1e-3, 2 - 1e-3


def frontier_levels(energies: np.ndarray, electrons: npt.ArrayLike) -> tuple[float, float]:
    """Return HOMO and LUMO of orbitals filled from below, at 0 K.

    HOMO is the highest level that holds electrons, LUMO the lowest that can take one. A partly
    filled level, degenerate partners within `DEGENERATE_EV` included, is both: the gap is then 0.
    Of two spin channels HOMO is the higher and LUMO the lower one; it lies below HOMO where the
    unpaired electrons are not those of the ground state.

    Args:
      energies: orbital energies in eV, any order: [M], two electrons to an orbital; or [2, M], the
        two spin channels, one electron to an orbital. [1, M] is as [M].
      electrons: their number; of two channels [2], each its own.

    Returns:
      HOMO and LUMO in eV; LUMO is NaN where every orbital is full.
    """
    channels = np.atleast_2d(np.asarray(energies, dtype=np.float64))
    each = 2 / len(channels)  # electrons to an orbital
    frontiers = [
        _frontier_of_channel(np.sort(levels), float(count) / each)
        for levels, count in zip(channels, np.atleast_1d(electrons), strict=True)
    ]
    homo = max(homo for homo, _ in frontiers)
    lumo = min(lumo for _, lumo in frontiers)
    if not np.isfinite(lumo):
        return homo, float("nan")
    return homo, homo if abs(lumo - homo) < DEGENERATE_EV else lumo


def _frontier_of_channel(levels: np.ndarray, filled: float) -> tuple[float, float]:
    """Return HOMO and LUMO of sorted levels, so many of them full; -inf and inf where none is."""
    full = int(np.floor(filled + 1e-6))
    if filled - full > 1e-6:  # one orbital is left partly filled
        return float(levels[full]), float(levels[full])
    homo = float(levels[full - 1]) if full else -np.inf
    lumo = float(levels[full]) if full < len(levels) else np.inf
    return homo, homo if lumo - homo < DEGENERATE_EV else lumo


def frontier_of_occupations(energies: np.ndarray, occupations: np.ndarray) -> tuple[float, float]:
    """Return HOMO and LUMO of orbitals that are filled at a temperature, as in the published data.

    HOMO is the highest level that holds electrons (`HOLDS`), LUMO the lowest that can take one
    (`TAKES`). A level that is filled in part is both, and of several the highest one. Spin channels
    are taken together as by `frontier_levels`.

    Args:
      energies: orbital energies in eV, any order: [M], [1, M], or [2, M], the two spin channels.
      occupations: their electrons, up to 2 in one channel, up to 1 in two.

    Returns:
      HOMO and LUMO in eV; LUMO is NaN where every orbital is full.
    """
    channels = np.atleast_2d(energies)
    frontiers = []
    for levels, held in zip(channels, len(channels) * np.atleast_2d(occupations), strict=True):
        homo = levels[held > HOLDS].max(initial=-np.inf)
        frontiers.append((homo, max(homo, levels[held < TAKES].min(initial=np.inf))))
    homo = float(max(homo for homo, _ in frontiers))
    lumo = float(min(lumo for _, lumo in frontiers))
    if not np.isfinite(lumo):
        return homo, float("nan")
    return homo, homo if len(channels) > 1 and abs(lumo - homo) < DEGENERATE_EV else lumo


# Undefined at zero gap; near it, little sure.
OVER_GAP = frozenset({"softness_evinv", "electrophilicity_ev"})


def of_levels(homo: Any, lumo: Any, gap: Any, divisor: Any) -> dict[str, Any]:
    """Return the targets that follow from levels, of NumPy's or JAX's arrays; see `derive`.

    Args:
      homo: eV.
      lumo: eV.
      gap: eV.
      divisor: eV, the gap or what stands for it where it is divided by.
    """
    chi = -(homo + lumo) / 2
    return {
        "e_g_ev": gap,
        "e_homo_ev": homo,
        "e_lumo_ev": lumo,
        "i_ev": -homo,
        "a_ev": -lumo,
        "chi_ev": chi,
        "mu_ev": -chi,
        "eta_ev": gap / 2,
        "softness_evinv": 1 / divisor,
        "electrophilicity_ev": chi**2 / divisor,
    }


def metal_like(homo: np.ndarray, gap: np.ndarray, no_lumo: npt.ArrayLike) -> np.ndarray:
    """Return [N] 1 where the gap is 0, else 0, also where there is no LUMO; NaN where not known.

    Args:
      homo: [N] eV, NaN where not known.
      gap: [N] eV, NaN where there is no LUMO, or where not known.
      no_lumo: [N] whether there is no LUMO.
    """
    known = np.isfinite(homo) & (np.isfinite(gap) | no_lumo)
    return np.where(known, (gap == 0).astype(np.float64), np.nan)


def derive(
    homo: np.ndarray,
    lumo: np.ndarray,
    positions: np.ndarray,
    charges: np.ndarray,
    dipole: np.ndarray,
) -> dict[str, np.ndarray]:
    """Return the targets that are functions of levels, geometry, charges and dipole.

    I = −HOMO, A = −LUMO, χ = (I + A)/2 = −μ, η = (I − A)/2, softness 1/(2η), electrophilicity
    μ²/(2η) (R. G. Parr, L. v. Szentpály, S. Liu, JACS 121, 1922, 1999); the last two are NaN at
    zero gap.

    Args:
      homo: [N] eV.
      lumo: [N] eV, NaN where there is none.
      positions: [N, 2, 3] Å.
      charges: [N, 2] e.
      dipole: [N, 3] Debye.

    Returns:
      Columns [N] by target name.
    """
    gap = lumo - homo
    return {
        **of_levels(homo, lumo, gap, np.where(gap > 0, gap, np.nan)),
        "dipole_mag_d": np.linalg.norm(dipole, axis=-1),
        "dipole_z_d": dipole[:, 2],
        "distance_ang": np.linalg.norm(positions[:, 1] - positions[:, 0], axis=-1),
        "q_maxabs": np.abs(charges).max(axis=-1),
        "q_absmean": np.abs(charges).mean(axis=-1),
        "q_std": charges.std(axis=-1),
    }
