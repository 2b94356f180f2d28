"""Orbitals and densities of pairs of atoms as images, drawn on the device from tight binding.

An orbital is ψ(r) = Σ_i c_i χ_i(r) with the basis χ_i = R_l(r_A) Y_lm of the pseudo-atoms of PTBP
(M. Cui, K. Reuter, J. T. Margraf, J. Chem. Theory Comput. 2024, doi 10.1021/acs.jctc.4c00228), or
the Slater functions of GFN2-xTB (`xtb_orbitals`), and the valence density is
ρ(r) = Σ_ij P_ij χ_i χ_j (M. Elstner et al., Phys. Rev. B 58, 7260, 1998).
Both atoms lie on an axis, so σ, π and δ orbitals do not mix, and every density is a quadratic form
in twelve functions of the place along the axis and the distance from it.

An image is `WINDOW_ANG` wide and high whatever the pair and the number of pixels, the middle of the
bond in its middle and the axis from left to right, so that lengths can be read off it.
"""

import functools
import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from qc_jax.canvas.basis import check_size
from qc_jax.canvas.methods import solve
from qc_jax.canvas.orbitals import (
    AMPLITUDES,
    FARTHEST_ANG,
    FORMS,
    ORBITALS,
    PRODUCTS,
    Orbitals,
    potential_at,
)
from qc_jax.canvas.radial import REACH, shells_at
from qc_jax.chem.units import BOHR_ANG
from qc_jax.errors import InputError, choose
from qc_jax.ops import safe_sqrt

WINDOW_ANG = FARTHEST_ANG  # width and height of an image
MAX_SIZE = 1024
FLOOR = 1e-4  # of scale="log", in the unit of the channel
# Name → unit of the section through the axis; the projection's is that times Å.
CHANNELS: dict[str, str] = {
    "density": "e/Å³",
    "deformation": "e/Å³",
    "s": "e/Å³",
    "p": "e/Å³",
    "d": "e/Å³",
    "homo": "1/Å³",
    "lumo": "1/Å³",
    "homo_amplitude": "1/Å^(3/2)",
    "lumo_amplitude": "1/Å^(3/2)",
    "potential": "V",
}
SCALES = ("linear", "log")

_NORMAL = 48  # points along the normal, of a projection
_AT_ONCE = 2**15  # points of all images that are drawn together


def render(
    pairs: Sequence[str],
    distances: ArrayLike | None = None,
    size: int = 64,
    channels: Sequence[str] = tuple(CHANNELS),
    scale: str = "linear",
    projection: bool = False,
    parameters: str = "ptbp",
) -> Float[Array, "*pairs size size channels"]:
    """Draw densities and orbitals of pairs of atoms; see `methods.solve` and `draw`.

    With 'ptbp' it runs under jit, vmap and grad by the distances, within `jax.enable_x64(True)`:
    all channels have first derivatives in which the charges, the density matrix and the orbitals
    follow the distance. HOMO and LUMO have none where another level takes their place. What is
    known of wrong distances only as the program runs, is NaN then.

    Args:
      pairs: names like 'C_O', the atom named first on the left.
      distances: [N] or [N, points], Å; the relaxed ones unless given.
      size: pixels along each side, S.
      channels: names of `CHANNELS`, which has their units.
      scale: 'linear', or 'log': sign(v) log10(1 + |v| / `FLOOR`).
      projection: whether to integrate along the normal of the plane, over ±9.5 Å, instead of
        cutting there.
      parameters: 'ptbp', or 'gfn2_xtb', which needs tblite.

    Returns:
      [N, S, S, C] or [N, points, S, S, C] (row, column, channel), float32.

    Raises:
      InputError: no such pair, channel or scale, a size out of range, distances of another number
        or where there are no tables, or a pair without a minimum.
      NotConverged: the charges of a pair do not settle.

    Example:
      >>> render(["H_H"], size=32, channels=["density", "homo"]).shape  # doctest: +SKIP
      (1, 32, 32, 2)
    """
    _check(size, channels, scale, projection)
    radial, orbitals = solve(pairs, distances, parameters)
    return draw(orbitals, radial, size, channels, scale, projection)


def draw(
    orbitals: Orbitals,
    radial: Float[Array, "elements knots 12"],
    size: int = 64,
    channels: Sequence[str] = tuple(CHANNELS),
    scale: str = "linear",
    projection: bool = False,
    turn: Float[Array, "*pairs 2 2"] | None = None,
    floor: float = FLOOR,
) -> Float[Array, "*pairs size size channels"]:
    """Draw images of `solve`'s pairs; works under jit, vmap and grad, also by the coefficients.

    Channels: 'density' of all valence electrons; 'deformation', that less the neutral atoms'; 's',
    'p', 'd', of the parts of the occupied orbitals with that l, what they interfere is in none;
    'homo' and 'lumo', densities of one electron in the highest occupied and lowest empty level,
    averaged over orbitals of the same level; 'homo_amplitude' and 'lumo_amplitude', ψ of the one
    with the least |m|, its largest coefficient positive; 'potential', of the Mulliken charges as
    tight binding has them, spread out as exp(−3.2 U r), U the Hubbard parameter or, of GFN2-xTB,
    the hardness; the dipoles and quadrupoles of its atoms are not in it. Where the basis has no
    empty orbital the LUMO's are zero. Arguments and errors as of `render`; `turn` has an orthogonal
    matrix for each image, which shows at (z, x) what is at `turn` (z, x): it is drawn there, not
    interpolated. `floor` takes the place of `FLOOR`.
    """
    channels = tuple(channels)
    _check(size, channels, scale, projection)
    return _draw(orbitals, radial, size, channels, scale, projection, turn, floor)


@functools.partial(jax.jit, static_argnames=("size", "channels", "scale", "projection", "floor"))
def _draw(
    orbitals: Orbitals,
    radial: Array,
    size: int,
    channels: tuple[str, ...],
    scale: str,
    projection: bool,
    turn: Array | None,
    floor: float,
) -> Array:
    pixel = WINDOW_ANG / BOHR_ANG / size
    middle = (np.arange(size) + 0.5 - size / 2) * pixel
    # Rows on one side of the axis, which the others mirror; all of an image that is turned.
    half = (size + 1) // 2 if turn is None else size
    x, z = (v.ravel() for v in np.meshgrid(middle[-half:], middle, indexing="ij"))
    shape = orbitals.distance.shape
    flat = Orbitals(*(v.reshape(-1, *v.shape[len(shape) :]) for v in orbitals))
    turns = None if turn is None else turn.reshape(-1, 2, 2).astype(jnp.float32)

    def section(given: tuple[Orbitals, Array | None], y: ArrayLike = 0.0) -> Array:
        one, turned = given
        along, across = z, x
        if turned is not None:
            along, across = (m[0] * z + m[1] * x for m in turned)
        one = jax.tree.map(lambda v: v[None], one)
        return at_points(one, radial, along, across, y, channels)[0]

    def along_normal(one: tuple[Orbitals, Array | None]) -> Array:
        # Towards the axis, where nuclei are, points along the normal lie closer.
        nodes, weights = np.polynomial.legendre.leggauss(_NORMAL)
        part = (nodes + 1) / 2
        reach = REACH / 2 * BOHR_ANG
        steps = np.stack([REACH / 2 * part**3, reach * 3 * part**2 * weights], axis=1)
        start = jnp.zeros((x.size, len(channels)), jnp.float32)
        add = lambda total, at: (total + at[1] * section(one, at[0]), None)  # noqa: E731
        return jax.lax.scan(add, start, jnp.asarray(steps, jnp.float32))[0]

    # So many at a time that what lies between stays in a processor's caches, or in its memory.
    some = max(1, _AT_ONCE // x.size)
    draw_one = along_normal if projection else section
    values = jax.lax.map(draw_one, (flat, turns), batch_size=some)
    if scale == "log":
        values = jnp.sign(values) * jnp.log10(1 + jnp.abs(values) / floor)
    if turn is not None:
        return values.reshape(*shape, size, size, len(channels))
    below = values.reshape(-1, half, size, len(channels))  # [N, S/2, S, C]
    own = {name: flat.sides[:, k] for k, name in enumerate(AMPLITUDES)}
    side = jnp.stack([own.get(name, jnp.ones_like(flat.distance)) for name in channels], axis=-1)
    above = below[:, size % 2 :][:, ::-1] * side[:, None, None, :]
    image = jnp.concatenate([above, below], axis=1)
    return image.reshape(*shape, size, size, len(channels))


def at_points(
    orbitals: Orbitals,
    radial: Float[Array, "elements knots 12"],
    z: Float[Array, " points"],
    x: Float[Array, " points"],
    y: ArrayLike = 0.0,
    channels: Sequence[str] = tuple(CHANNELS),
) -> Float[Array, "pairs points channels"]:
    """Return channels at points, bohr, whose origin is the middle of the bond; in units of Å.

    Args:
      orbitals: of N pairs, one leading axis.
      radial: of `solve`.
      z: along the axis.
      x: in the plane, across the axis.
      y: along the normal.
      channels: names of `CHANNELS`.
    """
    functions, r = basis_at(orbitals, radial, z, x, y)  # [N, 12, points], [N, 2, points]
    across = jnp.square(x) + jnp.square(y)
    columns: dict[str, Array] = {}
    forms = [name for name in channels if name in FORMS]
    if forms:
        products = functions[:, PRODUCTS[0]] * functions[:, PRODUCTS[1]]
        given = orbitals.forms[:, np.array([FORMS.index(name) for name in forms])]
        weights = given / BOHR_ANG**3
        values = jnp.einsum("nkp,nck->npc", products, weights, precision="highest")
        columns |= {name: values[..., k] for k, name in enumerate(forms)}
    signed = [name for name in channels if name in AMPLITUDES]
    if signed:
        cosine = jnp.where(across > 0, x / safe_sqrt(jnp.where(across > 0, across, 1.0)), 1.0)
        turns = (jnp.ones_like(cosine), cosine, 2 * cosine**2 - 1)
        turn = jnp.stack([turns[m] for _, _, m in ORBITALS])
        given = orbitals.amplitudes[:, np.array([AMPLITUDES.index(name) for name in signed])]
        weights = given / BOHR_ANG**1.5
        values = jnp.einsum("nkp,nck->npc", functions * turn, weights, precision="highest")
        columns |= {name: values[..., k] for k, name in enumerate(signed)}
    if "potential" in channels:
        columns["potential"] = potential_at(orbitals.charges, orbitals.hubbards, r)
    return jnp.stack([columns[name] for name in channels], axis=-1)


def basis_at(
    orbitals: Orbitals, radial: Array, z: Array, x: Array, y: ArrayLike = 0.0
) -> tuple[Float[Array, "pairs 12 points"], Float[Array, "pairs 2 points"]]:
    """Return the basis functions without cos mφ, bohr^(-3/2), and the distances from both atoms.

    Arguments as of `at_points`.
    """
    sites = orbitals.distance[:, None, None] * jnp.array([-0.5, 0.5], jnp.float32)[:, None]
    along = jnp.asarray(z, jnp.float32) - sites  # [N, 2, points]
    across = safe_sqrt(jnp.asarray(x, jnp.float32) ** 2 + jnp.asarray(y, jnp.float32) ** 2)
    r = safe_sqrt(along**2 + across**2)
    shells = shells_at(radial, orbitals.elements, r)  # [N, 2, 3, points]
    u, v = along / jnp.maximum(r, 1e-6), across / jnp.maximum(r, 1e-6)  # cos θ, sin θ
    angular = {
        (0, 0): jnp.ones_like(u) * math.sqrt(1 / 4 / math.pi),
        (1, 0): math.sqrt(3 / 4 / math.pi) * u,
        (2, 0): math.sqrt(5 / 16 / math.pi) * (3 * u**2 - 1),
        (1, 1): math.sqrt(3 / 4 / math.pi) * v,
        (2, 1): math.sqrt(15 / 4 / math.pi) * u * v,
        (2, 2): math.sqrt(15 / 16 / math.pi) * v**2,
    }
    functions = [shells[:, a, k] * angular[k, m][:, a] for a, k, m in ORBITALS]
    return jnp.stack(functions, axis=1), r


def check_channels(channels: Sequence[str]) -> None:
    """Raise InputError unless these are names of `CHANNELS`, one or more."""
    if isinstance(channels, str) or not channels:
        raise InputError(f"channels: expected a list of names, got {channels!r}")
    for name in channels:
        choose("channel", name, CHANNELS)


def _check(size: int, channels: Sequence[str], scale: str, projection: bool) -> None:
    if check_size(size) > MAX_SIZE:
        raise InputError(f"size: expected at most {MAX_SIZE} pixels, got {size}")
    check_channels(channels)
    choose("scale", scale, SCALES)
