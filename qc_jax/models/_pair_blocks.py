"""What the tight-binding network's last layer says of two atoms: blocks, levels, repulsion."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from qc_jax.chem.units import BOHR_ANG, HARTREE_EV
from qc_jax.data import labels as formulas
from qc_jax.models._eigen import eigh

ABSENT_EV = 60.0  # the level of an orbital that an element has not: never filled
ENTRIES = 2 * (9 + 4 + 1)  # of the matrix, of an atom beside another one
LEAST_GAP_EV = 1e-2  # that softness and electrophilicity are computed of
_COULOMB_EV_ANG = HARTREE_EV * BOHR_ANG
_LARGEST_SCREEN = 6.0  # of the logarithm of the repulsion's correction


def by_symmetry(
    entries: Float[Array, "*pairs entries"],
) -> list[tuple[Float[Array, "*pairs n n"], Float[Array, "*pairs n n"]]]:
    """Return on-site shifts and half hoppings of σ, π and δ symmetry, shells in rows and columns.

    Of σ there are n = 3 shells, s, p and d, of π p and d, of δ d, with an orbital each.
    """
    found = []
    for n, part in zip((3, 2, 1), jnp.split(entries, (18, 26), axis=-1), strict=True):
        own, between = jnp.moveaxis(part.reshape(*part.shape[:-1], 2, n, n), -3, 0)
        found.append((own, between))
    return found


def levels(
    entries: Float[Array, "batch 2 entries"],
    onsite: Float[Array, "batch 2 3"],
    present: Bool[Array, "batch 2 3"],
) -> tuple[Float[Array, "orbitals batch"], Float[Array, "orbitals batch"]]:
    """Return levels of pairs in eV, ascending, and which part of each is the first atom's.

    Args:
      entries: of `by_symmetry`, of each atom beside the other.
      onsite: of s, p and d shells, eV.
      present: whether the atoms have them.
    """
    parts = by_symmetry(entries)
    found, first = [], []
    for m, (own, between) in enumerate(parts):
        n = 3 - m
        there, diagonal = present[..., m:], onsite[..., m:]
        both = there[..., :, None] & there[..., None, :]
        own = jnp.where(both, (own + own.swapaxes(-1, -2)) / 2, 0)
        own += jnp.eye(n) * jnp.where(there, diagonal, ABSENT_EV)[..., None]
        between = between[:, 0] + between[:, 1].swapaxes(-1, -2)  # [B, n, n]
        between = jnp.where(there[:, 0, :, None] & there[:, 1, None, :], between, 0)
        matrix = jnp.block(
            [[own[:, 0], between], [between.swapaxes(-1, -2), own[:, 1]]]
        )  # [B, 2n, 2n]
        matrix = matrix.astype(jnp.promote_types(matrix.dtype, jnp.float32))
        values, vectors = eigh(jnp.moveaxis(matrix, 0, -1))
        times = 1 if m == 0 else 2
        found += [values] * times
        first += [jnp.sum(vectors[:n] ** 2, axis=0)] * times
    values, part = jnp.concatenate(found), jnp.concatenate(first)
    order = jnp.argsort(values, axis=0)
    values, part = (jnp.take_along_axis(each, order, axis=0) for each in (values, part))
    return values, part


def repulsion(
    cores: Float[Array, "*pairs"],
    steepness: Float[Array, "*pairs"],
    screen: Float[Array, "*pairs"],
    distance: Float[Array, "*pairs"],
) -> Float[Array, "*pairs"]:
    """Return the repulsion of GFN2-xTB in eV, times a correction.

    Args:
      cores: product of both effective charges, e².
      steepness: sum of both logarithms.
      screen: logarithm of the correction.
      distance: Å.
    """
    steepness = jnp.exp(steepness / 2) * (distance / BOHR_ANG) ** 1.5
    repulsion = cores * _COULOMB_EV_ANG / distance
    # Bounded: one step that overshoots would make it infinite, and end the training.
    screen = _LARGEST_SCREEN * jnp.tanh(screen / _LARGEST_SCREEN)
    return repulsion * jnp.exp(screen - steepness)


def of_levels(
    homo: Float[Array, " batch"], lumo: Float[Array, " batch"]
) -> dict[str, Float[Array, " batch"]]:
    """Return the targets that follow from HOMO and LUMO, eV."""
    gap = jnp.maximum(lumo - homo, 0)
    return {
        **formulas.of_levels(homo, lumo, gap, jnp.maximum(gap, LEAST_GAP_EV)),
        "fermi_level_ev": (homo + lumo) / 2,
    }
