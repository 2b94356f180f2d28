"""Tables of two-centre integrals: all pairs of elements, interpolated in the distance.

Every pair is sampled at the same ratios of distance to the range of its orbitals, R / r_w, so that
quadrature points are made once for all pairs, and pairs interpolate in one batch. The published
form is not smooth: with the distance its points cross the plane midway, which moves integrals by
about 1e-4 hartree between samples. `slater_koster_tables` computes every published row instead.
"""

import concurrent.futures
import functools
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from scipy.interpolate import CubicSpline

from qc_jax.dftb import cache, integrals, quadrature, radial
from qc_jax.dftb.integrals import INTEGRALS
from qc_jax.dftb.pseudo import FORMS, PseudoAtom, pseudo_atoms
from qc_jax.errors import choose
from qc_jax.ops import usable_cores

COLUMNS = ("dds", "ddp", "ddd", "pds", "pdp", "pps", "ppp", "sds", "sps", "sss")
# Samples by form; more of the published form would follow its noise no better.
NODES = {"published": 72, "exact": 96}
NEAREST, FARTHEST = 0.02, 1.8  # ratios of the first and last node
_SHIFT = 0.1  # nodes are even in ln(ratio + shift)
_SCHEMA = 1  # of what the cache holds
ROWS, STEP = 719, 0.02  # of a published table; bohr from row to row
FIRST_ROW = 19  # the first that is not zero, at 0.40 bohr

Progress = Callable[[int, int], None]

# Of the 40 columns [H or S, direction, 10] those of S in the second direction between shells of
# equal l repeat the first direction's, and are not stored.
_KINDS = [("spd".index(c[0]), "spd".index(c[1]), "spd".index(c[2])) for c in COLUMNS]
_STORED = [k for k in range(40) if k < 30 or _KINDS[k - 30][0] != _KINDS[k - 30][1]]
_EXPAND = np.array([_STORED.index(k if k in _STORED else k - 10) for k in range(40)])


class PairTables(NamedTuple):
    """Integrals of many pairs of elements as functions of the distance; one row a pair.

    A cubic spline in ln(R / scale + 0.1) for each column; zero beyond the last node. Pure, so that
    it runs under jit, vmap and grad; call it where float64 is on (`jax.enable_x64(True)`).

    Attributes:
      scales: bohr, the range of each pair's orbitals.
      values: at the nodes; H of both directions, then S of both, without what repeats.
      curvatures: second derivatives at the nodes.
    """

    scales: Float[Array, " pairs"]
    values: Float[Array, "pairs nodes 34"]
    curvatures: Float[Array, "pairs nodes 34"]

    def take(self, rows: Int[Array, " some"]) -> "PairTables":
        """Return the tables of some of the pairs."""
        return PairTables(self.scales[rows], self.values[rows], self.curvatures[rows])

    def evaluate_one(
        self, distance: Float[Array, ""], row: Int[Array, ""]
    ) -> tuple[Float[Array, "2 10"], Float[Array, "2 10"]]:
        """Return (H in hartree, S) of one pair at a distance in bohr.

        The first axis is the direction: the first atom of the pair at the origin and the second at
        +z, then the second at the origin. Columns are those of Slater-Koster files, `COLUMNS`, with
        l of the first atom at most that of the second.
        """
        nodes = self.values.shape[1]
        start, step = _first_and_step(nodes)
        place = (jnp.log(distance / self.scales[row] + _SHIFT) - start) / step
        left = jnp.clip(jnp.floor(place).astype(jnp.int32), 0, nodes - 2)
        b = place - left
        a = 1 - b
        v, c = self.values[row], self.curvatures[row]
        found = a * v[left] + b * v[left + 1]
        found += ((a**3 - a) * c[left] + (b**3 - b) * c[left + 1]) * step**2 / 6
        found = jnp.where(place < nodes - 1, found, 0.0)
        both = found[_EXPAND].reshape(2, 2, 10)
        return both[0], both[1]

    def evaluate(
        self, distances: Float[Array, " pairs"]
    ) -> tuple[Float[Array, "pairs 2 10"], Float[Array, "pairs 2 10"]]:
        """Return (H, S) of every pair at its own distance; see `evaluate_one`."""
        return jax.vmap(self.evaluate_one)(distances, jnp.arange(self.scales.shape[0]))


def _first_and_step(nodes: int) -> tuple[float, float]:
    first, last = np.log(NEAREST + _SHIFT), np.log(FARTHEST + _SHIFT)
    return float(first), float((last - first) / (nodes - 1))


def node_ratios(nodes: int) -> Float[np.ndarray, " nodes"]:
    """Return the ratios R / r_w that pairs are sampled at."""
    first, step = _first_and_step(nodes)
    return np.exp(first + step * np.arange(nodes)) - _SHIFT


def pair_tables(
    pairs: Sequence[tuple[str, str]],
    form: str = "published",
    nodes: int | None = None,
    progress: Progress | None = None,
) -> PairTables:
    """Return tables of pairs of elements, from the cache or computed and kept there.

    Args:
      pairs: symbols; the first is the first atom of direction 0.
      form: 'published' or 'exact'.
      nodes: samples along the distance; None for `NODES` of the form.
      progress: called with (samples ready, samples to compute) along the way.

    Raises:
      InputError: an element without parameters, or an unknown form.
    """
    choose("form", form, FORMS)
    nodes = NODES[form] if nodes is None else nodes
    atoms = pseudo_atoms(sorted({symbol for pair in pairs for symbol in pair}), form)
    ranges = {symbol: radial.range_of(atom) for symbol, atom in atoms.items()}
    keys = {symbol: _key(atom, nodes) for symbol, atom in atoms.items()}
    held: dict[tuple[str, str], np.ndarray] = {}
    missing: dict[str, list[str]] = {}
    for first, second in {_ordered(pair, ranges) for pair in pairs}:
        kept = cache.load(f"integrals-{first}-{second}", cache.digest(keys[first], keys[second]))
        if kept is not None:
            held[first, second] = _unpack(kept)
        else:
            missing.setdefault(first, []).append(second)
    if missing:
        for (first, second), values in _sample(missing, atoms, ranges, form, nodes, progress):
            packed = _pack(values)
            held[first, second] = _unpack(packed)  # the same now as from the cache
            key = cache.digest(keys[first], keys[second])
            cache.store(f"integrals-{first}-{second}", key, packed)
    columns = []
    for pair in pairs:
        ordered = _ordered(pair, ranges)
        values = held[ordered]
        columns.append(values if ordered == tuple(pair) else _swapped(values))
    values = np.array(columns).reshape(len(pairs), nodes, -1)
    values[:, -1] = 0.0
    start, step = _first_and_step(nodes)
    place = start + step * np.arange(nodes)
    spline = CubicSpline(place, values, axis=1, bc_type=("not-a-knot", "clamped"))
    curvatures = np.asarray(spline(place, 2))
    scales = np.array([max(ranges[first], ranges[second]) for first, second in pairs])
    with jax.enable_x64(True):
        return PairTables(jnp.asarray(scales), jnp.asarray(values), jnp.asarray(curvatures))


def slater_koster_tables(
    first: str, second: str, form: str = "published"
) -> tuple[Float[np.ndarray, "719 20"], Float[np.ndarray, "719 20"]]:
    """Return the tables of files 'first-second' and 'second-first', as in a Slater-Koster set.

    Row i is the distance 0.02 (i + 1) bohr, zero below 0.40; columns are `COLUMNS` of H (hartree),
    then of S. Kept in the cache.

    Raises:
      InputError: an element without parameters, or an unknown form.
    """
    choose("form", form, FORMS)
    atoms = pseudo_atoms({first, second}, form)
    name = f"rows-{first}-{second}"
    key = cache.digest(*(_key(atoms[symbol], ROWS) for symbol in (first, second)))
    kept = cache.load(name, key)
    if kept is None:
        scale = max(radial.range_of(atom) for atom in atoms.values())
        distances = STEP * (np.arange(FIRST_ROW, ROWS) + 1)
        near = distances < 2 * scale
        values = np.zeros((len(distances), 34))
        with jax.enable_x64(True):
            a, b = (integrals.prepare(atoms[symbol]) for symbol in (first, second))
            stack = jax.tree.map(lambda v: v[None], b)

            def row(distance: float) -> np.ndarray:
                with jax.enable_x64(True):
                    return _against(a, stack, [0], scale, distance / scale, form)[0]

            values[near] = _in_threads(row, distances[near])
        kept = _pack(values)
        cache.store(name, key, kept)
    values = np.zeros((ROWS, 34))
    values[FIRST_ROW:] = _unpack(kept)
    both = values[:, _EXPAND].reshape(ROWS, 2, 2, 10)  # rows, H or S, direction, column
    return both[:, :, 0].reshape(ROWS, 20), both[:, :, 1].reshape(ROWS, 20)


def _key(atom: PseudoAtom, nodes: int) -> str:
    values = [atom.orbitals[shell] for shell in atom.shells]
    values += [atom.grid, atom.density_values, atom.hartree_values]
    # Eight digits: an atom that another machine's rounding moves is the same one.
    rounded = [np.asarray(value, np.float32) for value in values]
    return cache.digest(_SCHEMA, atom.symbol, atom.form, atom.shells, nodes, *rounded)


def _ordered(pair: Sequence[str], ranges: dict[str, float]) -> tuple[str, str]:
    """Return the pair with the atom of larger range first."""
    first, second = pair
    swap = (ranges[first], first) < (ranges[second], second)
    return (second, first) if swap else (first, second)


def _swapped(values: np.ndarray) -> np.ndarray:
    """Return stored columns of the pair with its atoms in the other order."""
    both = values[..., _EXPAND].reshape(*values.shape[:-1], 2, 2, 10)[..., ::-1, :]
    return both.reshape(*values.shape[:-1], 40)[..., _STORED]


def _columns(found: integrals.Integrals) -> Float[Array, "34"]:
    """Return the stored columns of integrals: both directions in the order of skf files."""
    ahead = np.array([INTEGRALS.index(kind) for kind in _KINDS])
    back = np.array([INTEGRALS.index((second, first, m)) for first, second, m in _KINDS])
    parity = np.array([(-1) ** (first + second) for first, second, _ in _KINDS])
    both = jnp.concatenate([found.hamiltonian[ahead], parity * found.reverse[back]])
    overlaps = jnp.concatenate([found.overlap[ahead], parity * found.overlap[back]])
    return jnp.concatenate([both, overlaps])[np.array(_STORED)]


@functools.cache
def _program(exact: bool) -> "jax.stages.Wrapped":
    """Return the compiled integrals of one atom with `count` of many others, at one ratio."""

    def run(a, others, chosen, count, scale, ratio, points):
        left = integrals.at_atom(a, 0.0, scale, points, exact)

        def one(k, found):
            b = jax.tree.map(lambda v: v[chosen[k]], others)
            right = integrals.at_atom(b, ratio * scale, scale, points, exact)
            return found.at[k].set(_columns(integrals.combine(left, right, scale, points, exact)))

        return jax.lax.fori_loop(0, count, one, jnp.zeros((chosen.shape[0], len(_STORED))))

    return jax.jit(run)


def _against(
    a: radial.AtomSplines,
    others: radial.AtomSplines,
    chosen: Sequence[int],
    scale: float,
    ratio: float,
    form: str,
    points: quadrature.Points | None = None,
) -> np.ndarray:
    """Return stored columns of one atom with each of the chosen others, [chosen, 34]."""
    places = np.zeros(others.charge.shape[0], np.int32)
    places[: len(chosen)] = chosen
    points = _points(form, ratio) if points is None else points
    found = _program(form == "exact")(a, others, places, len(chosen), scale, ratio, points)
    return np.asarray(found)[: len(chosen)]


def _points(form: str, ratio: float, many: bool = False) -> quadrature.Points:
    """Return points padded to one of few sizes; `many` pairs are worth compiling for more sizes."""
    if form == "exact":
        return quadrature.gauss_points(ratio)
    points = quadrature.published_points(ratio)
    sizes = [*((2048, 5120, 7680, 8960) if many else (5120,)), quadrature.MOST_PUBLISHED]
    return points.padded(next(size for size in sizes if size >= len(points.x)))


def _in_threads(work: Callable, items: Iterable) -> list:
    """Return the answers of work(item) in order; JAX runs beside Python, one program a thread."""
    with concurrent.futures.ThreadPoolExecutor(usable_cores()) as pool:
        return list(pool.map(work, items))


def _sample(
    missing: dict[str, list[str]],
    atoms: dict[str, PseudoAtom],
    ranges: dict[str, float],
    form: str,
    nodes: int,
    progress: Progress | None,
) -> list[tuple[tuple[str, str], np.ndarray]]:
    """Return the stored columns of pairs at all nodes, [nodes, 34] each."""
    symbols = sorted(atoms)
    place = {symbol: k for k, symbol in enumerate(symbols)}
    pairs = [(first, second) for first, seconds in missing.items() for second in seconds]
    with jax.enable_x64(True):
        splines = {symbol: integrals.prepare(atoms[symbol]) for symbol in symbols}
        others = jax.tree.map(lambda *v: jnp.stack(v), *(splines[s] for s in symbols))
    found = []
    for k, ratio in enumerate(node_ratios(nodes)):
        points = _points(form, ratio, many=len(pairs) > 100)

        def row(first: str, ratio: float = ratio, points: quadrature.Points = points) -> np.ndarray:
            chosen = [place[second] for second in missing[first]]
            with jax.enable_x64(True):
                a = splines[first]
                return _against(a, others, chosen, ranges[first], ratio, form, points)

        found.append(np.concatenate(_in_threads(row, missing)))
        if progress is not None:
            progress((k + 1) * len(pairs), nodes * len(pairs))
    return list(zip(pairs, np.stack(found, axis=1), strict=True))


def _pack(values: np.ndarray) -> dict[str, np.ndarray]:
    """Return columns as 32-bit whole numbers, each scaled by its largest; empty ones dropped."""
    largest = np.abs(values).max(axis=0)
    kept = np.flatnonzero(largest)
    scaled = np.round(values[:, kept] / largest[kept] * (2**31 - 1)).astype(np.int32)
    return {
        "kept": kept.astype(np.int8),
        "largest": largest[kept],
        "scaled": scaled,
    }


def _unpack(packed: dict[str, np.ndarray]) -> np.ndarray:
    values = np.zeros((len(packed["scaled"]), len(_STORED)))
    values[:, packed["kept"]] = packed["scaled"] * packed["largest"] / (2**31 - 1)
    return values
