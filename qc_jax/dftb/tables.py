"""Tables of two-centre integrals: all pairs of elements, interpolated in the distance.

Two kinds. `pair_tables` are smooth: every pair is sampled at the same few ratios of distance to the
range of its orbitals, R / r_w. The published form itself is jagged: with the distance its points
cross the plane midway, which moves integrals by about 1e-4 hartree between samples. `table_rows`
are rows of the published files as they are: all of them for `slater_koster_tables`, or those about
a minimum.
"""

import concurrent.futures
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from scipy.interpolate import CubicSpline

from qc_jax.dftb import cache, integrals, quadrature, radial
from qc_jax.dftb.integrals import INTEGRALS
from qc_jax.dftb.interpolation import UniformTables
from qc_jax.dftb.pseudo import FORMS, PseudoAtom, pseudo_atoms
from qc_jax.errors import choose
from qc_jax.ops import usable_cores

COLUMNS = ("dds", "ddp", "ddd", "pds", "pdp", "pps", "ppp", "sds", "sps", "sss")
# Samples by form; more of the published form would follow its noise no better.
NODES = {"published": 72, "exact": 96}
NEAREST, FARTHEST = 0.02, 1.8  # ratios of the first and last node
_SHIFT = 0.1  # nodes are even in ln(ratio + shift)
_SCHEMA = 2  # of what the cache holds
ROWS, STEP = 719, 0.02  # of a published table; bohr from row to row
FIRST_ROW = 19  # the first that is not zero, at 0.40 bohr
_SIZES = (2048, 5120, 7680, 8960, quadrature.MOST_PUBLISHED)  # that points are padded to

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
      progress: called with (pairs ready, pairs to compute) along the way.

    Raises:
      InputError: an element without parameters, or an unknown form.
    """
    elements = _Elements.of(pairs, form)
    nodes = NODES[form] if nodes is None else nodes
    ratios = node_ratios(nodes)
    held: dict[tuple[str, str], np.ndarray] = {}
    missing = {}
    for pair in sorted({elements.ordered(pair) for pair in pairs}):
        kept = cache.load(_name("integrals", pair), elements.key(pair, nodes))
        if kept is None:
            missing[pair] = ratios * elements.ranges[pair[0]]
        else:
            held[pair] = _unpack(kept)
    # The published form's jumps are three hundred times single precision's errors.
    precision = jnp.float32 if form == "published" else jnp.float64
    for pair, values in _compute(missing, elements, precision, progress):
        packed = _pack(values)
        held[pair] = _unpack(packed)  # the same now as from the cache
        cache.store(_name("integrals", pair), elements.key(pair, nodes), packed)
    values = np.array([elements.turned(pair, held) for pair in pairs]).reshape(
        len(pairs), nodes, -1
    )
    values[:, -1] = 0.0
    start, step = _first_and_step(nodes)
    place = start + step * np.arange(nodes)
    spline = CubicSpline(place, values, axis=1, bc_type=("not-a-knot", "clamped"))
    curvatures = np.asarray(spline(place, 2))
    scales = np.array([elements.ranges[elements.ordered(pair)[0]] for pair in pairs])
    with jax.enable_x64(True):
        return PairTables(jnp.asarray(scales), jnp.asarray(values), jnp.asarray(curvatures))


def table_rows(
    pairs: Sequence[tuple[str, str]],
    first: Int[np.ndarray, " pairs"],
    count: int,
    form: str = "published",
    progress: Progress | None = None,
) -> UniformTables:
    """Return some rows of the tables of pairs, as in Slater-Koster files; kept in the cache.

    Args:
      pairs: symbols of both atoms.
      first: of each pair's rows, counted from 0 at 0.02 bohr; rows nearer than 0.40 bohr are zero.
      count: of rows of every pair.
      form: 'published' or 'exact'.
      progress: called with (pairs ready, pairs to compute) along the way.

    Raises:
      InputError: an element without parameters, or an unknown form.
    """
    elements = _Elements.of(pairs, form)
    wanted: dict[tuple[str, str], set[int]] = {}
    for pair, row in zip(pairs, first, strict=True):
        asked = range(max(int(row), FIRST_ROW), int(row) + count)
        wanted.setdefault(elements.ordered(pair), set()).update(asked)
    held: dict[tuple[str, str], dict[int, np.ndarray]] = {}
    missing = {}
    for pair, span in wanted.items():
        kept = cache.load(_name("rows", pair), elements.key(pair, ROWS))
        known = (
            {} if kept is None else dict(zip(map(int, kept["rows"]), _unpack(kept), strict=True))
        )
        held[pair] = known
        if left := sorted(span - known.keys()):
            missing[pair] = STEP * (np.array(left) + 1)
    for pair, values in _compute(missing, elements, jnp.float64, progress):
        computed = np.rint(missing[pair] / STEP).astype(int) - 1
        held[pair] |= zip(map(int, computed), values, strict=True)
        order = sorted(held[pair])
        packed = _pack(np.array([held[pair][row] for row in order]))
        held[pair] = dict(zip(order, _unpack(packed), strict=True))
        packed["rows"] = np.array(order, np.int16)
        cache.store(_name("rows", pair), elements.key(pair, ROWS), packed)
    nothing = np.zeros(len(_STORED))
    values = np.zeros((len(pairs), 2, count, 20))
    for k, (pair, row) in enumerate(zip(pairs, first, strict=True)):
        known = held[elements.ordered(pair)]
        found = np.array([known.get(int(row) + i, nothing) for i in range(count)])
        both = elements.turned(pair, {elements.ordered(pair): found})[:, _EXPAND].reshape(
            count, 2, 2, 10
        )
        values[k] = both.transpose(2, 0, 1, 3).reshape(2, count, 20)  # from rows, H or S, direction
    first = np.asarray(first, np.int32)
    return UniformTables(
        values,
        np.full((len(pairs), 2), STEP),
        np.repeat(first[:, None] + count, 2, axis=1),
        STEP * (np.maximum(first, FIRST_ROW) + 1.0),
        first,
    )


def slater_koster_tables(
    first: str, second: str, form: str = "published"
) -> tuple[Float[np.ndarray, "719 20"], Float[np.ndarray, "719 20"]]:
    """Return the tables of files 'first-second' and 'second-first', as in a Slater-Koster set.

    Row i is the distance 0.02 (i + 1) bohr, zero below 0.40; columns are `COLUMNS` of H (hartree),
    then of S. Kept in the cache.

    Raises:
      InputError: an element without parameters, or an unknown form.
    """
    both = table_rows([(first, second)], np.zeros(1, int), ROWS, form).values[0]
    return both[0], both[1]


def sorted_pairs(
    pairs: Iterable[tuple[str, str]], form: str = "published"
) -> list[tuple[str, str]]:
    """Return the pairs in an order in which neighbours share quadrature points.

    To be cut into batches: a batch is faster the more of its pairs go by one atom's range.
    """
    pairs = list(pairs)
    elements = _Elements.of(pairs, form)
    return sorted(pairs, key=elements.ordered)


class _Elements(NamedTuple):
    """The elements of some pairs: pseudo-atoms and the ranges of their orbitals, bohr."""

    atoms: dict[str, PseudoAtom]
    ranges: dict[str, float]
    digests: dict[str, str]

    @classmethod
    def of(cls, pairs: Iterable[tuple[str, str]], form: str) -> "_Elements":
        choose("form", form, FORMS)
        atoms = pseudo_atoms(sorted({symbol for pair in pairs for symbol in pair}), form)
        return cls(
            atoms,
            {symbol: radial.range_of(atom) for symbol, atom in atoms.items()},
            {symbol: _digest(atom) for symbol, atom in atoms.items()},
        )

    def ordered(self, pair: Sequence[str]) -> tuple[str, str]:
        """Return the pair with the atom of larger range first, whose range both go by."""
        first, second = pair
        swap = (self.ranges[first], first) < (self.ranges[second], second)
        return (second, first) if swap else (first, second)

    def key(self, pair: Sequence[str], nodes: int) -> str:
        return cache.digest(_SCHEMA, nodes, *(self.digests[symbol] for symbol in pair))

    def turned(self, pair: Sequence[str], held: Mapping[tuple[str, str], np.ndarray]) -> np.ndarray:
        """Return what is held of the ordered pair, with the directions in the order of `pair`."""
        ordered = self.ordered(pair)
        values = held[ordered]
        if ordered == tuple(pair):
            return values
        both = values[..., _EXPAND].reshape(*values.shape[:-1], 2, 2, 10)[..., ::-1, :]
        return both.reshape(*values.shape[:-1], 40)[..., _STORED]


def _name(kind: str, pair: Sequence[str]) -> str:
    return f"{kind}-{pair[0]}-{pair[1]}"


def _digest(atom: PseudoAtom) -> str:
    values = [atom.orbitals[shell] for shell in atom.shells]
    values += [atom.grid, atom.density_values, atom.hartree_values]
    # Eight digits: an atom that another machine's rounding moves is the same one.
    rounded = [np.asarray(value, np.float32) for value in values]
    return cache.digest(atom.symbol, atom.form, atom.shells, *rounded)


def both_directions(
    found: integrals.Integrals,
) -> tuple[Float[Array, "2 10"], Float[Array, "2 10"]]:
    """Return H and S seen from either atom, with the columns of Slater-Koster files."""
    ahead = np.array([INTEGRALS.index(kind) for kind in _KINDS])
    back = np.array([INTEGRALS.index((second, first, m)) for first, second, m in _KINDS])
    parity = np.array([(-1) ** (first + second) for first, second, _ in _KINDS])
    h = jnp.stack([found.hamiltonian[ahead], parity * found.reverse[back]])
    return h, jnp.stack([found.overlap[ahead], parity * found.overlap[back]])


# Programs of their own, because one alone is slower: in it XLA computes much twice.
_frames = jax.jit(
    lambda points, scale, distance: [integrals.frame(points, scale, z) for z in (0.0, distance)]
)
_at_atom = jax.jit(integrals.at_atom, static_argnames="exact")


@functools.partial(jax.jit, static_argnames="exact")
def _combine(
    left: integrals.OneAtom,
    right: integrals.OneAtom,
    scale: Float[Array, ""],
    points: quadrature.Points,
    exact: bool,
) -> Float[Array, "34"]:
    """Return the stored columns of two atoms' integrals."""
    both = both_directions(integrals.combine(left, right, scale, points, exact))
    return jnp.stack(both).ravel()[np.array(_STORED)]


def _against(
    a: radial.AtomSplines,
    others: Sequence[radial.AtomSplines],
    scale: float,
    distance: float,
    form: str,
) -> Float[np.ndarray, "others 34"]:
    """Return stored columns of one atom, whose range is `scale`, with each of others."""
    if distance >= 2 * scale:  # no point is within both ranges
        return np.zeros((len(others), len(_STORED)))
    exact, precision = form == "exact", a.charge.dtype
    with jax.enable_x64(True):
        cast = lambda v: jnp.asarray(v, precision)  # noqa: E731
        points = jax.tree.map(cast, _points(form, distance / scale))
        here, there = _frames(points, cast(scale), cast(distance))
        left = _at_atom(a, here, exact=exact)
        found = [
            _combine(left, _at_atom(b, there, exact=exact), cast(scale), points, exact=exact)
            for b in others
        ]
        return np.array(found, np.float64)


@functools.lru_cache(maxsize=128)
def _points(form: str, ratio: float) -> quadrature.Points:
    """Return points padded to one of few sizes, so that few programs serve them."""
    return integrals.points_at(form, ratio, _SIZES)


def _compute(
    wanted: Mapping[tuple[str, str], np.ndarray],
    elements: _Elements,
    precision: Any,
    progress: Progress | None,
) -> Iterator[tuple[tuple[str, str], Float[np.ndarray, "distances 34"]]]:
    """Yield ordered pairs with their stored columns at the distances that are wanted, bohr."""
    if not wanted:
        return
    form = next(iter(elements.atoms.values())).form
    symbols = {symbol for pair in wanted for symbol in pair}
    with jax.enable_x64(True):
        splines = {
            symbol: jax.tree.map(
                lambda v: v.astype(precision) if v.dtype == jnp.float64 else v,
                integrals.prepare(elements.atoms[symbol]),
            )
            for symbol in symbols
        }
    ready = 0
    # JAX runs beside Python, one program a thread.
    with concurrent.futures.ThreadPoolExecutor(usable_cores()) as pool:
        for first in sorted({pair[0] for pair in wanted}):
            pairs = [pair for pair in wanted if pair[0] == first]
            places: dict[float, list[tuple[str, str]]] = {}
            for pair in pairs:
                for distance in wanted[pair]:
                    places.setdefault(float(distance), []).append(pair)

            def at(distance: float, first: str = first, places: Mapping = places) -> np.ndarray:
                others = [splines[second] for _, second in places[distance]]
                return _against(splines[first], others, elements.ranges[first], distance, form)

            found: dict[tuple[str, str], dict[float, np.ndarray]] = {pair: {} for pair in pairs}
            for distance, rows in zip(places, pool.map(at, places), strict=True):
                for pair, row in zip(places[distance], rows, strict=True):
                    found[pair][distance] = row
            for pair in pairs:
                yield pair, np.array([found[pair][float(distance)] for distance in wanted[pair]])
            ready += len(pairs)
            if progress is not None:
                progress(ready, len(wanted))


def _pack(values: np.ndarray) -> dict[str, np.ndarray]:
    """Return columns as 32-bit whole numbers, empty ones dropped.

    Their unit is 2^-31, larger only where a column exceeds 1: a row is rounded in the same way
    whichever others are kept with it, so that a run that is killed goes on with the same numbers.
    """
    if not np.isfinite(values).all():
        raise FloatingPointError("an integral is not finite")
    largest = np.abs(values).max(axis=0)
    kept = np.flatnonzero(largest)
    scale = np.exp2(np.ceil(np.log2(np.maximum(largest[kept], 1.0))))
    scaled = np.round(values[:, kept] / scale * (2**31 - 1)).astype(np.int32)
    return {"kept": kept.astype(np.int8), "largest": scale, "scaled": scaled}


def _unpack(packed: dict[str, np.ndarray]) -> np.ndarray:
    values = np.zeros((len(packed["scaled"]), len(_STORED)))
    values[:, packed["kept"]] = packed["scaled"] * packed["largest"] / (2**31 - 1)
    return values
