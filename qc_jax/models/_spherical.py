"""Spherical Bessel functions and Legendre polynomials: what DimeNet's angular basis is made of.

Exact to rounding in float32 and float64 from 0 on, with derivatives. The closed forms that
PyTorch Geometric evaluates, sums of sin(y)/yⁿ and cos(y)/yⁿ, cancel to nothing at short distances
in float32.
"""

import functools

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float


def bessel(y: Float[Array, "orders ..."]) -> Float[Array, "orders ..."]:
    """Return j_l(y) at y ≥ 0, order l = 0 … L − 1 each (Abramowitz and Stegun, 10.1.2, 10.1.19).

    A series in y² where y is at most l, or 1, and the recurrence upwards beyond, each where it is
    stable. All orders take the same steps, since operations are what compiling costs.
    """
    orders = np.arange(len(y)).reshape(-1, *(1 for _ in y.shape[1:]))
    borders = np.maximum(orders, 1)
    small = y < borders
    inner = jnp.where(small, y, 0)
    minus_half = -(inner**2) / 2
    series = jnp.ones_like(y)
    for k in range(_terms(len(orders), float(jnp.finfo(y.dtype).eps)), 0, -1):
        scale = jnp.asarray(1 / (k * (2 * orders + 2 * k + 1)), y.dtype)
        series = 1 + scale * minus_half * series

    outer = jnp.where(small, jnp.asarray(borders, y.dtype), y)
    before, now = jnp.cos(outer) / outer, jnp.sin(outer) / outer  # j_(−1) and j_0
    large = now
    for order in range(1, len(orders)):
        # yˡ/(2l + 1)!!, which the series begins with
        series = jnp.where(orders >= order, series * (inner / (2 * order + 1)), series)
        before, now = now, (2 * order - 1) / outer * now - before
        large = jnp.where(orders == order, now, large)
    return jnp.where(small, series, large)


def _terms(orders: int, epsilon: float) -> int:
    """Return how many terms of the series are above rounding, at its border in every order."""
    most = 0
    for order in range(orders):
        border, term, k = max(order, 1), 1.0, 0
        while term > 0.01 * epsilon:
            k += 1
            term *= border**2 / 2 / (k * (2 * order + 2 * k + 1))
        most = max(most, k)
    return most


@functools.cache
def roots_and_norms(
    orders: int, count: int
) -> tuple[Float[np.ndarray, "orders count"], Float[np.ndarray, "orders count"]]:
    """Return the first roots z_ln of j_l, and √2/|j_(l+1)(z_ln)|, for l < `orders`.

    Both in float32 and rounded as the reference rounds them, so that its checkpoints mean here what
    they mean there.
    """
    roots = np.zeros((orders, count))
    between = np.pi * np.arange(1, count + orders)  # of j_0; each order's lie between the last's
    roots[0] = between[:count]
    for order in range(1, orders):
        low, high = between[:-1].copy(), between[1:].copy()
        rising = _upwards(order, high) > 0
        for _ in range(60):
            middle = (low + high) / 2
            above = (_upwards(order, middle) > 0) == rising
            low, high = np.where(above, low, middle), np.where(above, middle, high)
        between = (low + high) / 2
        roots[order] = between[:count]
    rounded = roots.astype(np.float32)
    exact = rounded.astype(np.float64)
    next_order = np.stack([_upwards(order + 1, z) for order, z in enumerate(exact)])
    # The reference has J_(l+3/2) rounded, and computes in float32 from there.
    cylindrical = (next_order * np.sqrt(2 * exact / np.pi)).astype(np.float32)
    value = np.sqrt(np.float32(np.pi) / (2 * rounded)) * cylindrical
    return rounded, 1 / np.sqrt(np.float32(0.5) * value**2)


def _upwards(order: int, y: np.ndarray) -> np.ndarray:
    """Return j_l(y) for y above l."""
    before, now = np.cos(y) / y, np.sin(y) / y
    for step in range(order):
        before, now = now, (2 * step + 1) / y * now - before
    return now


def harmonics(cosine: Float[Array, "*rest"], count: int) -> Float[Array, "count ..."]:
    """Return Y_l0 = √((2l + 1)/4π) P_l(cos θ) for l < `count`."""
    polynomials = [jnp.ones_like(cosine), cosine]
    for order in range(2, count):
        before, last = polynomials[-2:]
        polynomials.append(((2 * order - 1) * cosine * last - (order - 1) * before) / order)
    scales = np.sqrt((2 * np.arange(count) + 1) / (4 * np.pi))
    return jnp.stack([float(s) * p for s, p in zip(scales, polynomials, strict=False)])
