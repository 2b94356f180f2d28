"""Eigenvalues and eigenvectors of many symmetric matrices at once, derivatives finite."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

SWEEPS = 5  # to float32's rounding, of up to eight rows
_BROADENING_EV2 = 1e-4  # of differences of levels in the derivative of eigenvectors
_BROADENING_DOUBLE_EV2 = 1e-10  # in float64, whose rounding it need not outweigh


@jax.custom_jvp
def eigh(
    matrices: Float[Array, "n n batch"],
) -> tuple[Float[Array, "n batch"], Float[Array, "n n batch"]]:
    """Return the eigenvalues, in no order, and the eigenvectors as columns, of even n.

    G. H. Golub, C. F. Van Loan, Matrix Computations, section 8.5: cyclic Jacobi with n/2 rotations
    of rows that have nothing in common at a time. All matrices are rotated together, elementwise
    along the last axis: a call of LAPACK for each takes two to ten times as long on a CPU, and
    accelerators have no fast one. Derivatives of eigenvectors stay finite where levels meet: what
    degenerate levels sum up to is right, each of them alone has none.
    """
    rows = np.arange(matrices.shape[0])
    partners, signs = _rounds(matrices.shape[0])
    tiny = jnp.finfo(matrices.dtype).tiny

    def rotate(carry: tuple[jax.Array, jax.Array], one: tuple[jax.Array, jax.Array]):
        found, vectors = carry
        partner, sign = one[0], one[1][:, None]
        diagonal, coupling = found[rows, rows], found[rows, partner]
        apart = (diagonal[partner] - diagonal) * sign
        larger = jnp.abs(apart) + jnp.sqrt(apart**2 + 4 * coupling**2) + tiny
        tangent = 2 * coupling * jnp.where(apart >= 0, 1, -1) / larger
        cosine = jax.lax.rsqrt(1 + tangent**2)
        sine = -sign * tangent * cosine
        found = cosine[:, None] * found + sine[:, None] * found[partner]
        found = cosine * found + sine * found[:, partner]
        return (found, cosine * vectors + sine * vectors[:, partner]), None

    start = jnp.broadcast_to(jnp.eye(len(rows), dtype=matrices.dtype)[..., None], matrices.shape)
    every = (jnp.tile(partners, (SWEEPS, 1)), jnp.tile(signs, (SWEEPS, 1)).astype(matrices.dtype))
    (found, vectors), _ = jax.lax.scan(rotate, (matrices, start), every)
    return found[rows, rows], vectors


@eigh.defjvp
def _(primals: tuple[jax.Array], tangents: tuple[jax.Array]):
    (matrices,), (changes,) = primals, tangents
    values, vectors = eigh(matrices)
    change = jnp.einsum("ai...,ab...,bj...->ij...", vectors, changes, vectors)
    rows = np.arange(matrices.shape[0])
    apart = values[None] - values[:, None]
    mixing = change * apart / (apart**2 + _BROADENING_EV2)
    turned = jnp.einsum("ai...,ij...->aj...", vectors, mixing)
    return (values, vectors), (change[rows, rows], turned)


@jax.custom_jvp
def eigh_large(
    matrices: Float[Array, "batch n n"],
) -> tuple[Float[Array, "batch n"], Float[Array, "batch n n"]]:
    """Return the eigenvalues, ascending, and the eigenvectors as columns, by JAX's own solver.

    It is the faster one from about ten rows on. Derivatives are finite as those of `eigh`.
    """
    return tuple(jnp.linalg.eigh(matrices))


@eigh_large.defjvp
def _(primals: tuple[jax.Array], tangents: tuple[jax.Array]):
    (matrices,), (changes,) = primals, tangents
    values, vectors = eigh_large(matrices)
    change = vectors.swapaxes(-1, -2) @ changes @ vectors
    apart = values[..., None, :] - values[..., :, None]
    double = values.dtype == jnp.float64
    broadening = _BROADENING_DOUBLE_EV2 if double else _BROADENING_EV2
    turned = vectors @ (change * apart / (apart**2 + broadening))
    return (values, vectors), (jnp.diagonal(change, axis1=-2, axis2=-1), turned)


@functools.cache
def _rounds(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return rounds in which each row meets every other once: partners, and 1 for the first."""
    assert n % 2 == 0, n
    players = list(range(n))
    partners, signs = np.zeros((n - 1, n), np.int32), np.zeros((n - 1, n))
    for turn in range(n - 1):
        for one, other in zip(players[: n // 2], players[: n // 2 - 1 : -1], strict=True):
            first, second = sorted((one, other))
            partners[turn, [first, second]] = second, first
            signs[turn, [first, second]] = 1, -1
        players = [players[0], players[-1], *players[1:-1]]
    return partners, signs
