"""Bond lengths of many pairs at once: downhill from a start, or the lowest minimum on the bond."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from qc_jax.chem import elements
from qc_jax.chem.units import DFTBPLUS_BOHR_ANG as BOHR_ANG
from qc_jax.dftb import pairs as two
from qc_jax.dftb import scc, tables
from qc_jax.dftb.arrays import Array
from qc_jax.dftb.hamiltonian import Repulsion, Tables
from qc_jax.dftb.pairs import Pairs
from qc_jax.dftb.parametrization import Parametrization
from qc_jax.dftb.scan import LANES, padded, scan, take

STEPS = 2  # of the search between visits of the host, which fills the lanes of those that are done
FARTHEST_STEP = 0.05  # bohr, of the walk downhill: C_Ge rises between 1.87 and 1.90 Å only
FLAT = 1e-6  # hartree/bohr: a gradient taken for zero
PULL = 1e-4  # hartree/bohr: where DFTB+, unless told otherwise, calls a geometry converged
SHALLOW = 1.0  # bohr of weaker pull than that which lead to a minimum that is none
NARROW = 1e-7  # bohr: a bracket taken for a minimum, where the gradient jumps
REACH = 14.0  # bohr beyond the start where a walk outwards is given up
RATIOS = np.linspace(0.4, 2.5, 201)  # of a scan to the sum of the covalent radii: 0.1 bohr or less
ROWS_ABOUT = 24  # published rows that are computed about a minimum
TIMES = 8  # that they are moved to follow a walk
# How a walk goes on.
WALKING, BRACKETED, FOUND, TOO_CLOSE, NO_MINIMUM, NOT_CONVERGED, GAVE_UP = range(7)


class Walk(NamedTuple):
    """Where the search of each pair stands; bohr, hartree.

    Attributes:
      status: of the seven above.
      distance: where the energy is asked for next, or was last.
      step: of the walk; the sign is the direction.
      ends: of the bracket: gradient not positive at the first, not negative at the second.
      gradients: at both.
      gradient: at `best`.
      best: distance of the smallest gradient so far.
      excess: charges at the last distance.
      limits: of the distances that are allowed.
      kept: which end the last step kept, +1 or −1.
    """

    status: Int[Array, " n"]
    distance: Float[Array, " n"]
    step: Float[Array, " n"]
    ends: Float[Array, "n 2"]
    gradients: Float[Array, "n 2"]
    gradient: Float[Array, " n"]
    best: Float[Array, " n"]
    excess: Float[Array, "n 2"]
    limits: Float[Array, "n 2"]
    kept: Int[Array, " n"]


def begin(
    start: Float[np.ndarray, " n"],
    limits: Float[np.ndarray, "n 2"],
    excess: Float[np.ndarray, "n 2"] | None = None,
) -> Walk:
    """Return walks that begin at distances (bohr), with trial charges where they are known."""
    n = len(start)
    return Walk(
        status=np.full(n, WALKING, dtype=np.int32),
        distance=np.array(start, dtype=np.float64),
        step=np.zeros(n),
        ends=np.zeros((n, 2)),
        gradients=np.zeros((n, 2)),
        gradient=np.full(n, np.inf),
        best=np.array(start, dtype=np.float64),
        excess=np.zeros((n, 2)) if excess is None else np.array(excess),
        limits=np.array(limits, dtype=np.float64),
        kept=np.zeros(n, dtype=np.int32),
    )


def _advance_one(walk: Walk, pair: Pairs, tables: Tables, repulsion: Repulsion, kt: Any) -> Walk:
    """Return the walk of one pair after one more gradient."""
    here = two.point(pair, tables, repulsion, walk.distance, walk.excess, kt)
    g = here.gradient
    good = here.charges.converged & jnp.isfinite(g)
    first = walk.step == 0.0
    walking = walk.status == WALKING
    # Outwards from a gradient of zero, as of atoms beyond the tables' reach.
    direction = jnp.where(first, jnp.where(g > 0, -1.0, 1.0), jnp.sign(walk.step))
    # Turned: the minimum lies between the last distance, kept in ends[0], and this one.
    turned = walking & ~first & (g * direction > 0)
    pair_ends = jnp.stack([walk.ends[0], walk.distance])
    pair_gradients = jnp.stack([walk.gradients[0], g])
    rising = direction > 0
    sorted_ends = jnp.where(rising, pair_ends, pair_ends[::-1])
    sorted_gradients = jnp.where(rising, pair_gradients, pair_gradients[::-1])
    # Within a bracket: Illinois' regula falsi, which halves the gradient of an end kept twice.
    side = jnp.where(g > 0, 1, -1)
    half = jnp.where(side == walk.kept, 0.5, 1.0)
    narrowed_ends = jnp.where(
        g > 0, jnp.stack([walk.ends[0], walk.distance]), jnp.stack([walk.distance, walk.ends[1]])
    )
    narrowed_gradients = jnp.where(
        g > 0,
        jnp.stack([walk.gradients[0] * half, g]),
        jnp.stack([g, walk.gradients[1] * half]),
    )
    bracketed = turned | (walk.status == BRACKETED)
    ends = jnp.where(turned, sorted_ends, narrowed_ends)
    gradients = jnp.where(turned, sorted_gradients, narrowed_gradients)
    width = ends[1] - ends[0]
    spread = gradients[1] - gradients[0]
    falsi = ends[0] - gradients[0] * width / jnp.where(spread > 0, spread, 1.0)
    falsi = jnp.clip(falsi, ends[0] + 1e-3 * width, ends[1] - 1e-3 * width)
    size = jnp.minimum(FARTHEST_STEP, (walk.limits[1] - walk.limits[0]) / 8)
    step = jnp.where(walking, direction * size, walk.step)
    following = jnp.where(bracketed, falsi, walk.distance + step)
    # A flat gradient far out is that of atoms apart, not of a bond.
    found = (jnp.abs(g) < FLAT) & bracketed | (bracketed & (width < NARROW))
    status = jnp.where(bracketed, BRACKETED, WALKING)
    status = jnp.where(~bracketed & (following > walk.limits[1]), NO_MINIMUM, status)
    status = jnp.where(~bracketed & (following < walk.limits[0]), TOO_CLOSE, status)
    status = jnp.where(found, FOUND, status)
    better = jnp.abs(g) < jnp.abs(walk.gradient)
    new = Walk(
        status=status.astype(walk.status.dtype),
        distance=jnp.where((status == BRACKETED) | (status == WALKING), following, walk.distance),
        step=step,
        ends=jnp.where(bracketed, ends, jnp.stack([walk.distance, walk.ends[1]])),
        gradients=jnp.where(bracketed, gradients, jnp.stack([g, walk.gradients[1]])),
        gradient=jnp.where(better, g, walk.gradient),
        best=jnp.where(better, walk.distance, walk.best),
        excess=here.charges.excess,
        limits=walk.limits,
        kept=jnp.where(turned, 0, side).astype(walk.kept.dtype),
    )
    active = (walk.status == WALKING) | (walk.status == BRACKETED)
    failed = walk._replace(status=jnp.full_like(walk.status, NOT_CONVERGED))
    new = jax.tree.map(lambda a, b: jnp.where(good, a, b), new, failed)
    return jax.tree.map(lambda a, b: jnp.where(active, a, b), new, walk)


@jax.jit
def _advance(walks: Walk, pairs: Pairs, tables: Tables, repulsion: Repulsion, kt: Any) -> Walk:
    def once(_, now):
        return jax.vmap(_advance_one, in_axes=(0, 0, None, None, None))(
            now, pairs, tables, repulsion, kt
        )

    return jax.lax.fori_loop(0, STEPS, once, walks)


def default_start(names: Sequence[tuple[str, str]]) -> Float[np.ndarray, " pairs"]:
    """Return the sums of the covalent radii, bohr."""
    return np.array(
        [sum(elements.element(s).covalent_radius_ang for s in n) / BOHR_ANG for n in names]
    )


def relax(
    names: Sequence[tuple[str, str]],
    parametrization: Parametrization,
    kt: float,
    start: Float[np.ndarray, " pairs"] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Walk:
    """Return where the energy of each pair is lowest, downhill along the bond from a start.

    To be called within `jax.enable_x64(True)`, as everything here.

    Args:
      names: pairs of symbols.
      parametrization: of their elements.
      kt: electronic temperature, hartree.
      start: bohr; the sums of the covalent radii unless given.
      progress: is told how many pairs are done, and of how many.

    Returns:
      A finished walk of each; `status` says how it ended, `distance` is that of the minimum.
    """
    start = default_start(names) if start is None else np.asarray(start, dtype=np.float64)
    shortest = [parametrization.shortest[parametrization.row(*pair)[0]] for pair in names]
    walks = begin(start, np.stack([shortest, start + REACH], axis=1))
    return _walk(walks, names, parametrization, kt, progress)


def _walk(
    walks: Walk,
    names: Sequence[tuple[str, str]],
    parametrization: Parametrization,
    kt: float,
    progress: Callable[[int, int], None] | None = None,
) -> Walk:
    """Finish walks, changing their arrays.

    Where charges do not settle, `scan` leads them there once, and the walk goes on.
    """
    pairs = two.build(list(names), parametrization)
    tables, repulsion = jax.device_put((parametrization.tables, parametrization.repulsion))
    scanned = np.full(len(names), np.nan)  # distance where that was last done
    while len(active := np.flatnonzero(walks.status <= BRACKETED)):
        rows = active[:LANES]
        lanes = padded(rows)
        new = _advance(take(walks, lanes), take(pairs, lanes), tables, repulsion, kt)
        for old, fresh in zip(walks, new, strict=True):
            old[rows] = np.asarray(fresh)[: len(rows)]
        stuck = rows[
            (walks.status[rows] == NOT_CONVERGED) & (walks.distance[rows] != scanned[rows])
        ]
        if len(stuck):
            scanned[stuck] = walks.distance[stuck]
            some = [names[k] for k in stuck]
            seen = scan(some, parametrization, kt, scanned[stuck, None])
            settled = seen["residual"][:, 0] < scc.TOLERANCE
            back = stuck[settled]
            walks.excess[back] = seen["excess"][settled, 0]
            walks.status[back] = np.where(walks.ends[back, 1] > 0, BRACKETED, WALKING)
        if progress is not None:
            progress(int(np.sum(walks.status > BRACKETED)), len(names))
    return walks


def refine(
    names: Sequence[tuple[str, str]],
    parametrization: Parametrization,
    kt: float,
    walks: Walk,
) -> tuple[Walk, Parametrization]:
    """Return walks that go on from their minima on smooth tables along the published ones.

    Of these, whose curves are jagged, only rows about each minimum are computed
    (`tables.table_rows`), and others where a walk leaves them.

    Args:
      names: pairs of symbols.
      parametrization: PTBP's, in the published form, with smooth tables.
      kt: electronic temperature, hartree.
      walks: finished on these tables.

    Returns:
      Finished walks, as they were for pairs whose smooth ones had failed, and the parametrization
      with the rows, which are zero for these.
    """
    result = jax.tree.map(np.array, walks)
    keys = [pair if pair in parametrization.rows else pair[::-1] for pair in names]
    places = np.array([parametrization.rows[pair] for pair in keys])
    rows_held = len(jax.tree.leaves(parametrization.repulsion)[0])
    held = jax.tree.map(
        lambda x: np.zeros((rows_held, *x.shape[1:]), x.dtype),
        tables.table_rows([], np.zeros(0, int), ROWS_ABOUT),
    )
    rows = dataclasses.replace(parametrization, tables=held)
    todo = np.flatnonzero((walks.status == FOUND) | (walks.status == GAVE_UP))
    for _ in range(TIMES):
        centre = np.rint(result.distance[todo] / tables.STEP).astype(int)
        first = np.maximum(centre - ROWS_ABOUT // 2, tables.FIRST_ROW)
        new = tables.table_rows([keys[k] for k in todo], first, ROWS_ABOUT)
        for array, some in zip(held, new, strict=True):
            array[places[todo]] = some
        moving = result.status[todo] != GAVE_UP
        todo, first = todo[moving], first[moving]
        if not len(todo):
            break
        # Eight rows surround a distance, and energies are asked for 0.02 Å beside the minimum.
        limits = tables.STEP * np.stack([first + 7, first + ROWS_ABOUT - 6], axis=1)
        begun = begin(result.distance[todo], limits, result.excess[todo])
        walked = _walk(begun, [names[k] for k in todo], rows, kt)
        for field in ("status", "distance", "gradient", "best", "excess"):
            getattr(result, field)[todo] = getattr(walked, field)
        # A step that would leave the rows is not made: the next rows are about where it began.
        gone = (walked.status == NO_MINIMUM) | (walked.status == TOO_CLOSE) & (
            first > tables.FIRST_ROW
        )
        todo = todo[gone]
    return result, rows


def give_up(
    names: Sequence[tuple[str, str]], parametrization: Parametrization, kt: float, walks: Walk
) -> Walk:
    """Return walks that end where the pull outwards falls below `PULL`, if no bond is in sight.

    So a geometry optimisation with DFTB+'s default criterion ends for atoms that repel each other.
    These are walks without a minimum, or with one that is more than `SHALLOW` further out: a dip as
    deep as the noise of the published integrals. Their status becomes `GAVE_UP`. Arguments as of
    `relax`.
    """
    result = jax.tree.map(np.array, walks)
    begun = default_start(names)
    far = (walks.status == FOUND) & (walks.distance > begun + SHALLOW)
    todo = list(map(int, np.flatnonzero(far | (walks.status == NO_MINIMUM))))
    if not todo:
        return result
    some = [names[k] for k in todo]
    distances = begun[todo, None] + np.arange(0.0, REACH, 0.1)
    seen = scan(some, parametrization, kt, distances)
    flat = (np.abs(seen["gradient"]) < PULL) & (seen["residual"] < scc.TOLERANCE)
    for row, k in enumerate(todo):
        if not flat[row].any():
            continue
        at = int(np.argmax(flat[row]))
        distance = distances[row, at]
        if at:  # the logarithm of the pull is nearly a line
            logs = np.log(np.abs(seen["gradient"][row, at - 1 : at + 1]))
            part = (logs[0] - np.log(PULL)) / (logs[0] - logs[1])
            distance += (part - 1) * (distance - distances[row, at - 1])
        if walks.status[k] == NO_MINIMUM or walks.distance[k] > distance + SHALLOW:
            result.status[k], result.distance[k] = GAVE_UP, distance
            result.excess[k] = seen["excess"][row, at]
    return result


def lowest(
    names: Sequence[tuple[str, str]],
    parametrization: Parametrization,
    kt: float,
    progress: Callable[[int, int], None] | None = None,
) -> Walk:
    """Return the lowest minimum of each pair along the bond.

    Of a scan from 0.4 to 2.5 times the sum of the covalent radii every minimum is relaxed that may
    be the lowest, so that the answer for a pair does not depend on the others.

    Args:
      names: pairs of symbols.
      parametrization: of their elements.
      kt: electronic temperature, hartree.
      progress: see `relax`; of all minima.
    """
    distances = default_start(names)[:, None] * RATIOS
    pairs = two.build(list(names), parametrization)
    distances = np.maximum(distances, parametrization.shortest[pairs.row][:, None])
    seen = scan(names, parametrization, kt, distances)
    settled = seen["residual"] < scc.TOLERANCE
    energies = np.where(settled, seen["mermin_free_energy"], np.inf)
    before, inner, after = energies[:, :-2], energies[:, 1:-1], energies[:, 2:]
    apart = distances[:, 1:-1] > distances[:, :-2]  # not where the tables begin
    is_minimum = (inner < before) & (inner <= after) & apart
    # A parabola through three such points falls below them by an eighth of this; twice is safe.
    with np.errstate(invalid="ignore"):
        bend = before - inner + after - inner
    lowest_seen = np.where(is_minimum, inner, np.inf).min(axis=1, keepdims=True)
    candidate = is_minimum & (inner - bend / 4 <= lowest_seen)
    candidate[~candidate.any(axis=1), 0] = True
    row, at = np.nonzero(candidate)
    some = [names[k] for k in row.tolist()]
    walks = relax(some, parametrization, kt, distances[row, at + 1], progress)
    depths = np.where(walks.status == FOUND, 0.0, np.inf)
    if len(row) > len(names):
        seen = scan(some, parametrization, kt, walks.distance[:, None], walks.excess[:, None])
        depths += seen["mermin_free_energy"][:, 0]
    best = np.lexsort((depths, row))[np.searchsorted(row, np.arange(len(names)))]
    return take(walks, best)


def failure(walk: Walk, row: int) -> str | None:
    """Return why the walk of a row found no minimum, or None where it did."""
    at = f"{walk.distance[row] * BOHR_ANG:.2f} Å"
    low, high = walk.limits[row] * BOHR_ANG
    return {
        FOUND: None,
        GAVE_UP: None,
        TOO_CLOSE: f"no minimum: the energy falls to where the tables begin, {low:.2f} Å",
        NO_MINIMUM: f"no minimum: the energy falls out to {high:.1f} Å",
        NOT_CONVERGED: f"the charges do not settle at {at}",
    }[int(walk.status[row])]
