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
      fit: for least-squares fits of bicubic polynomials; None where there are none.
    """

    x: Float[np.ndarray, " points"]
    z: Float[np.ndarray, " points"]
    weight: Float[np.ndarray, " points"]
    fit: "BicubicFit | None" = None

    def padded(self, size: int) -> "Points":
        """Return the points with others of no weight appended, `size` in all."""
        x, z = (np.pad(v, (0, size - len(v)), constant_values=0.5) for v in (self.x, self.z))
        return self._replace(x=x, z=z, weight=np.pad(self.weight, (0, size - len(self.weight))))


class BicubicFit(NamedTuple):
    """What fits Σ c_ik s^i t^k, i, k ≤ 3, to values at points, s and t their x and z on [−1, 1].

    Attributes:
      middle: of the ranges of x and z.
      half: of the widths of both.
      inverse: maps the sums over the points of a function times s^i t^k to the coefficients c_ik.
    """

    middle: Float[np.ndarray, " 2"]
    half: Float[np.ndarray, " 2"]
    inverse: Float[np.ndarray, "16 16"]


class _Cells(NamedTuple):
    """Cells of the published polar grid about one nucleus, that no plane cuts."""

    a: Float[np.ndarray, " cells"]  # radii, a < b
    b: Float[np.ndarray, " cells"]
    t: Float[np.ndarray, " cells"]  # polar angles, t < u
    u: Float[np.ndarray, " cells"]
    x: Float[np.ndarray, " cells"]  # of the middle
    z: Float[np.ndarray, " cells"]
    area: Float[np.ndarray, " cells"]
    reach: Float[np.ndarray, " cells"]  # largest and smallest z of their corners, on the near side
    least: Float[np.ndarray, " cells"]


@functools.cache
def _cells() -> _Cells:
    radii = np.linspace(0, 1, RADII) ** 2
    angles = np.linspace(0, 1, ANGLES) ** 2 * np.pi
    a, t = (v.ravel() for v in np.meshgrid(radii[:-1], angles[:-1]))
    b, u = (v.ravel() for v in np.meshgrid(radii[1:], angles[1:]))
    r, angle = (a + b) / 2, (t + u) / 2
    area = 0.5 * (b**2 - a**2) * (u - t)
    x, z = r * np.sin(angle), r * np.cos(angle)
    return _Cells(a, b, t, u, x, z, area, b * np.cos(t), a * np.cos(u))


def published_points(ratio: float) -> Points:
    """Return the midpoint rule of the published tables.

    About each nucleus stand 149 × 49 cells between polar angles π (j/149)² and radii (i/49)². A
    cell that the plane midway cuts counts with the area on its own side, at one point chosen by
    which of its corners lie beyond. Points outside the range of either atom are dropped.

    Args:
      ratio: distance of the nuclei over the range of the orbitals.
    """
    half = ratio / 2
    cells = _cells()
    whole = cells.reach <= half
    cut = ~whole & (cells.least <= half)
    a, b, t, u = (v[cut] for v in cells[:4])
    near_t, far_u = a * np.cos(t) > half, b * np.cos(u) > half
    with np.errstate(all="ignore"):  # each case uses its own cells only
        plane_a, plane_b = np.arccos(half / a), np.arccos(half / b)
        edge = half / np.cos(u)  # where the plane cuts the angle u

        def segment(radius: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
            """Area inside `radius` but beyond the plane, between two angles."""
            return 0.5 * radius**2 * (high - low) - 0.5 * half**2 * (np.tan(high) - np.tan(low))

        sector = 0.5 * (b**2 - a**2)
        beyond = [~near_t & ~far_u, near_t & ~far_u, near_t & far_u, ~near_t & far_u]
        r = np.where(far_u, (a + edge) / 2, (a + b) / 2)
        angle = np.select(
            beyond, [(plane_b + u) / 2, (plane_b + u) / 2, (plane_a + u) / 2, (t + u) / 2]
        )
        area = np.select(
            beyond,
            [
                sector * (u - t) - segment(b, t, plane_b),
                sector * (u - plane_a) - segment(b, plane_a, plane_b),
                -segment(a, plane_a, u),
                -segment(a, t, u),
            ],
        )
    x = np.concatenate([cells.x[whole], r * np.sin(angle)])
    z = np.concatenate([cells.z[whole], r * np.cos(angle)])
    area = np.concatenate([cells.area[whole], area])
    kept = (area > 0) & (x**2 + z**2 < 1) & (x**2 + (ratio - z) ** 2 < 1)
    x, z, area = x[kept], z[kept], area[kept]
    x, z, area = np.tile(x, 2), np.concatenate([z, ratio - z]), np.tile(area, 2)
    return Points(x, z, area * x, _bicubic(x, z))


# Legendre polynomials [degree, power], which fits are conditioned well in, and those of two
# coordinates [16, 16].
_LEGENDRE = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [-0.5, 0, 1.5, 0], [0, -1.5, 0, 2.5]])
_LEGENDRE_2D = np.kron(_LEGENDRE, _LEGENDRE)
_SUM = (np.arange(4)[:, None] + np.arange(4)).repeat(4, 0).repeat(4, 1)  # of powers of s, [16, 16]


def _bicubic(x: np.ndarray, z: np.ndarray) -> BicubicFit:
    if not len(x):
        return BicubicFit(np.zeros(2), np.ones(2), np.zeros((16, 16)))
    ends = np.array([[v.min(), v.max()] for v in (x, z)])
    middle, half = ends.mean(axis=1), np.ptp(ends, axis=1) / 2
    half[half == 0] = 1.0
    s, t = (x - middle[0]) / half[0], (z - middle[1]) / half[1]
    moments = np.vander(s, 7, increasing=True).T @ np.vander(t, 7, increasing=True)
    gram = moments[_SUM, np.tile(np.arange(4)[:, None] + np.arange(4), (4, 4))]
    # With fewer points than terms, or points in line, some polynomials are not determined.
    legendre = _LEGENDRE_2D @ gram @ _LEGENDRE_2D.T
    inverse = np.linalg.pinv(legendre, rcond=1e-12, hermitian=True)
    return BicubicFit(middle, half, _LEGENDRE_2D.T @ inverse @ _LEGENDRE_2D)


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
