"""Quadrature points of two-centre integrals, in the half-plane through both nuclei.

Both rules part the half-plane x ≥ 0 midway between the nuclei and lay a polar grid about each, the
second the mirror image of the first. They scale: all lengths here are in units of the range of the
orbitals, so one set of points serves every pair of elements at the same ratio of distance to range.
"""

import functools
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

ANGLES, RADII = 150, 50  # of the published grid
MOST_PUBLISHED = 10240  # points that no ratio exceeds


class Points(NamedTuple):
    """Quadrature points for atoms at the origin and at z = `ratio`.

    Attributes:
      x: distance from the axis.
      z: along the axis.
      weight: x times the area that the point stands for; 0 where an array is padded.
      basis: products of Legendre polynomials, a bicubic's; None where there are none.
      basis_x: their derivatives by x.
      basis_z: their derivatives by z.
      inverse: of the matrix of their products summed over the points, for least-squares fits.
    """

    x: Float[np.ndarray, " points"]
    z: Float[np.ndarray, " points"]
    weight: Float[np.ndarray, " points"]
    basis: Float[np.ndarray, "points 16"] | None = None
    basis_x: Float[np.ndarray, "points 16"] | None = None
    basis_z: Float[np.ndarray, "points 16"] | None = None
    inverse: Float[np.ndarray, "16 16"] | None = None

    def padded(self, size: int) -> "Points":
        """Return the points with others of no weight appended, `size` in all."""

        def pad(values: np.ndarray, fill: float = 0.0) -> np.ndarray:
            shape = ((0, size - len(values)),) + ((0, 0),) * (values.ndim - 1)
            return np.pad(values, shape, constant_values=fill)

        filled = {field: getattr(self, field) for field in ("basis", "basis_x", "basis_z")}
        return self._replace(
            x=pad(self.x, 0.5),
            z=pad(self.z, 0.5),
            weight=pad(self.weight),
            **{field: pad(values) for field, values in filled.items() if values is not None},
        )


def published_points(ratio: float) -> Points:
    """Return the midpoint rule of the published tables.

    About each nucleus stand 149 × 49 cells between polar angles π (j/149)² and radii (i/49)². A
    cell that the plane midway cuts counts with the area on its own side, at one point chosen by
    which of its corners lie beyond. Points outside the range of either atom are dropped.

    Args:
      ratio: distance of the nuclei over the range of the orbitals.
    """
    half = ratio / 2
    radii = np.linspace(0, 1, RADII) ** 2
    angles = np.linspace(0, 1, ANGLES) ** 2 * np.pi
    a, t = (v.ravel() for v in np.meshgrid(radii[:-1], angles[:-1]))
    b, u = (v.ravel() for v in np.meshgrid(radii[1:], angles[1:]))
    # Whether a corner (radius, angle) lies beyond the plane.
    far_t, near_t, near_u, far_u = (
        r * np.cos(angle) > half for r, angle in ((b, t), (a, t), (a, u), (b, u))
    )
    with np.errstate(all="ignore"):  # each case uses its own cells only
        plane_a, plane_b = np.arccos(half / a), np.arccos(half / b)
        edge = half / np.cos(u)  # where the plane cuts the angle u

        def segment(radius: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
            """Area inside `radius` but beyond the plane, between two angles."""
            return 0.5 * radius**2 * (high - low) - 0.5 * half**2 * (np.tan(high) - np.tan(low))

        sector = 0.5 * (b**2 - a**2)
        cases = [
            (~far_t, (a + b) / 2, (t + u) / 2, sector * (u - t)),
            (
                far_t & ~near_t & ~far_u,
                (a + b) / 2,
                (plane_b + u) / 2,
                sector * (u - t) - segment(b, t, plane_b),
            ),
            (
                near_t & ~near_u & ~far_u,
                (a + b) / 2,
                (plane_b + u) / 2,
                sector * (u - plane_a) - segment(b, plane_a, plane_b),
            ),
            (
                near_t & ~near_u & far_u,
                (a + edge) / 2,
                (plane_a + u) / 2,
                -segment(a, plane_a, u),
            ),
            (far_t & ~near_t & far_u, (a + edge) / 2, (t + u) / 2, -segment(a, t, u)),
        ]
    chosen = [case[0] for case in cases]
    r, angle, area = (np.select(chosen, [case[k] for case in cases], 0.0) for k in (1, 2, 3))
    x, z = r * np.sin(angle), r * np.cos(angle)
    kept = (area > 0) & (r < 1) & (np.hypot(x, ratio - z) < 1)
    x, z, area = x[kept], z[kept], area[kept]
    x, z, area = np.tile(x, 2), np.concatenate([z, ratio - z]), np.tile(area, 2)
    return Points(x, z, area * x, *_bicubic(x, z))


def _bicubic(x: np.ndarray, z: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return (basis, basis_x, basis_z, inverse) of `Points`."""
    if not len(x):
        none = np.zeros((0, 16))
        return none, none, none, np.zeros((16, 16))

    def powers(v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Legendre polynomials on the range of v, and their derivatives by v, [points, 4]."""
        middle, half = (v.max() + v.min()) / 2, (v.max() - v.min()) / 2 or 1.0
        s = (v - middle) / half
        one, none = np.ones_like(s), np.zeros_like(s)
        values = np.stack([one, s, (3 * s**2 - 1) / 2, (5 * s**3 - 3 * s) / 2], axis=1)
        return values, np.stack([none, one, 3 * s, (15 * s**2 - 3) / 2], axis=1) / half

    def products(of_x: np.ndarray, of_z: np.ndarray) -> np.ndarray:
        return (of_x[:, :, None] * of_z[:, None, :]).reshape(len(x), -1)

    (px, dx), (pz, dz) = powers(x), powers(z)
    basis = products(px, pz)
    # With fewer points than terms, or points in line, some polynomials are not determined.
    inverse = np.linalg.pinv(basis.T @ basis, rcond=1e-12, hermitian=True)
    return basis, products(dx, pz), products(px, dz), inverse


def gauss_points(ratio: float, radial: int = 64, angular: int = 24) -> Points:
    """Return Gauss-Legendre points that converge exponentially with their number.

    Polar angles are parted where the range meets the plane midway, and radii reach to whichever is
    nearer; a radius is a cubic function of its Gauss variable, dense at the nucleus.

    Args:
      ratio: distance of the nuclei over the range of the orbitals.
      radial: points along a radius.
      angular: angles in each of the two parts.
    """
    half = ratio / 2
    nodes, weights = _legendre(angular)
    # Towards the plane: θ = gd(y), the Gudermannian, whose distance to the plane is half · cosh y.
    corner = np.arccosh(max(1 / half, 1.0))
    facing = corner * nodes
    first, last = 2 * np.arctan(np.tanh(corner / 2)), np.pi
    angle = np.concatenate([2 * np.arctan(np.tanh(facing / 2)), first + (last - first) * nodes])
    angle_weight = np.concatenate([corner * weights / np.cosh(facing), (last - first) * weights])
    reach = np.concatenate([half * np.cosh(facing), np.ones(angular)])[:, None]
    nodes, weights = _legendre(radial)
    r = reach * nodes**3
    area = angle_weight[:, None] * (reach * 3 * nodes**2 * weights) * r
    x, z = (r * np.sin(angle)[:, None]).ravel(), (r * np.cos(angle)[:, None]).ravel()
    area = area.ravel()
    return Points(np.tile(x, 2), np.concatenate([z, ratio - z]), np.tile(area * x, 2))


@functools.cache
def _legendre(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return nodes and weights of Gauss-Legendre quadrature on [0, 1]."""
    nodes, weights = np.polynomial.legendre.leggauss(count)
    return (nodes + 1) / 2, weights / 2
