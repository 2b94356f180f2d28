"""Levels, orbitals and energy curves of pairs by tight binding, as the explorer draws them."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

import qc_jax
from qc_jax.canvas import orbitals as drawn
from qc_jax.chem.units import DFTBPLUS_BOHR_ANG as GEOMETRY_ANG
from qc_jax.chem.units import HARTREE_EV
from qc_jax.data.table import PairTable
from qc_jax.dftb import cache, convergence, scan, scc, tables
from qc_jax.dftb import pairs as two
from qc_jax.dftb.hamiltonian import ABSENT, Tables
from qc_jax.engines.engine import Progress
from qc_jax.report.explorer.packing import quantize

# Multiples of the bond length at which the energy is computed; they lie closer near the minimum.
RATIOS = np.concatenate([np.linspace(0.7, 1.0, 9), 1 + 1.6 * np.linspace(0, 1, 16)[1:] ** 1.4])
KNOT_STEP = 2  # every so many knots of the radial functions are in the page
# Blocks of the levels, in the order of `dftb.pairs`: σ, π and δ by |m|.
BLOCK_M = np.repeat([0, 1, 2], [6, 4, 2])

_SCHEMA = 1  # of what is kept
_BATCH = 256  # pairs between two of which a killed run goes on


def why_not(table: PairTable) -> str:
    """Return why a table's pairs have no orbitals here; '' where they have some."""
    made = table.provenance
    if made.get("engine") != "dftb":
        return (
            f"This table was made by {made.get('engine', 'an engine that it does not tell')}; "
            "levels, orbitals and energy curves are known of tables by tight binding (ptbp)."
        )
    if not drawn.are_of(table.provenance):
        return "Levels, orbitals and energy curves are those of ptbp; this table has other options."
    return ""


def compute(table: PairTable, progress: Progress) -> dict[str, np.ndarray]:
    """Return levels, orbitals and curves of all pairs at the table's bond lengths.

    What a batch of pairs gives is kept in the user's cache directory, as are the integrals. Without
    them 75 elements take five CPU minutes.

    Args:
      table: one of those that `why_not` finds nothing against, each pair once.
      progress: of the work, (done, total).

    Returns:
      'levels' [N, 12] eV, NaN where there is none, by `BLOCK_M`; 'held' [N, 12] electrons in one
      orbital of each level; 'share' [N, 12] of the first atom in it; 'curve' [N, points] eV above
      the bond length's energy at `RATIOS`, NaN where there are no tables; 'forms' [N, 3, 34] of
      density, HOMO and LUMO, 'amplitudes' [N, 2, 12], 'sides' [N, 2] and 'charges' [N, 2] of
      `canvas.orbitals.Orbitals`; 'hubbards' [N, 2]; 'neutral' [N, 2, 3] electrons of an orbital of
      the free atoms; and 'radial' [elements, 3, knots], R_s, R_p and R_d (bohr^(-3/2)) at every
      `KNOT_STEP`th knot, of the table's symbols in alphabetical order.

    Raises:
      NotConverged: the charges of a pair do not settle.
    """
    names = [(first, second) for first, second in (str(name).split("_") for name in table.names)]
    row_of = {pair: row for row, pair in enumerate(names)}
    lengths = np.linalg.norm(table.positions[:, 1] - table.positions[:, 0], axis=-1)
    ordered = tables.sorted_pairs(names, "published")
    found: dict[str, np.ndarray] = {}
    functions: dict[str, np.ndarray] = {}
    for at in range(0, len(ordered), _BATCH):
        batch = ordered[at : at + _BATCH]
        rows = np.array([row_of[pair] for pair in batch])
        key = cache.digest(_SCHEMA, qc_jax.__version__, batch, lengths[rows], RATIOS)
        part = cache.load("explorer", key)
        if part is None:
            part = _of_batch(batch, lengths[rows])
            cache.store("explorer", key, part)
        functions |= dict(zip(_symbols(batch), part["radial"], strict=True))
        for name, values in part.items():
            if name == "radial":
                continue
            if name not in found:
                found[name] = np.zeros((len(names), *values.shape[1:]), values.dtype)
            found[name][rows] = values
        progress(at + len(batch), len(ordered))
    return found | {"radial": np.stack([functions[symbol] for symbol in sorted(functions)])}


def arrays(table: PairTable, progress: Progress) -> dict[str, np.ndarray]:
    """Return what the page holds of `compute`: float32, or int16 and factors (`quantize`)."""
    found = compute(table, progress)
    packed: dict[str, np.ndarray] = {
        name: found[name].astype(np.float32)
        for name in ("levels", "held", "share", "curve", "neutral", "hubbards", "charges")
    }
    packed["sides"] = found["sides"].astype(np.int8)
    for name in ("forms", "amplitudes", "radial"):
        packed[name], packed[f"{name}_factor"] = quantize(found[name])
    return packed


def _symbols(names: list[tuple[str, str]]) -> list[str]:
    return sorted({symbol for pair in names for symbol in pair})


def _of_batch(names: list[tuple[str, str]], lengths: Float[np.ndarray, " n"]) -> dict:
    """Return `compute` of some pairs at distances in Å."""
    functions, orbitals = drawn.solve(["_".join(pair) for pair in names], lengths)
    symbols = _symbols(names)
    max_l = drawn.published_shells(symbols)
    kt = convergence.kt_of(drawn.TEMPERATURE)
    distances = lengths[:, None] * RATIOS / GEOMETRY_ANG
    with jax.enable_x64(True), jax.debug_nans(False):
        found = convergence.load("ptbp", symbols, "published", max_l, sorted(names), smooth=True)
        points = scan.scan(names, found, kt, distances)
        pairs = two.build(names, found)
        here = int(np.argmin(np.abs(RATIOS - 1)))
        levels = _in_lanes(pairs, distances[:, here], points["excess"][:, here], found.tables, kt)
    shortest = found.shortest[np.array([found.row(*pair)[0] for pair in names])]
    energies = points["mermin_free_energy"] * HARTREE_EV
    energies -= energies[:, here : here + 1]
    bad = (distances < shortest[:, None]) | ~(points["residual"] < scc.TOLERANCE)
    forms = np.asarray(orbitals.forms)
    chosen = [drawn.FORMS.index(name) for name in ("density", "homo", "lumo")]
    return {
        **levels,
        "curve": np.where(bad, np.nan, energies),
        "forms": forms[:, chosen],
        "amplitudes": np.asarray(orbitals.amplitudes),
        "sides": np.asarray(orbitals.sides),
        "charges": np.asarray(orbitals.charges),
        "hubbards": np.asarray(orbitals.hubbards),
        "neutral": drawn.of_free_atoms(names, found),
        "radial": np.moveaxis(np.asarray(functions)[:, ::KNOT_STEP, :3], 1, 2),
    }


def _in_lanes(
    pairs: two.Pairs,
    distances: Float[np.ndarray, " n"],
    excess: Float[np.ndarray, "n 2"],
    integrals: Tables,
    kt: float,
) -> dict[str, np.ndarray]:
    given = (pairs, distances, excess)
    levels, held, share = scan.in_lanes(
        len(distances), lambda lanes: _levels(*scan.take(given, lanes), integrals, kt)
    )
    there = levels < ABSENT / 2
    return {
        "levels": np.where(there, levels * HARTREE_EV, np.nan),
        "held": np.where(there, held, 0.0),
        "share": np.where(there, share, 0.0),
    }


@jax.jit
def _levels(
    pairs: two.Pairs, distances: Array, excess: Array, integrals: Tables, kt: Array
) -> tuple[Array, Array, Array]:
    """Return levels, electrons in one orbital of each, and the first atom's share, [n, 12]."""

    def one(pair: two.Pairs, distance: Array, charges: Array) -> tuple[Array, Array, Array]:
        problem = two.problem(pair, integrals, distance, kt)
        system, filling = scc.evaluate(problem, charges, two.WEIGHTS)
        shares = [
            jnp.sum((c * (s @ c))[: len(c) // 2], axis=0)
            for c, s in zip(system.orbitals, problem.s, strict=True)
        ]
        held = 2 * jnp.concatenate(filling.occupations)
        return jnp.concatenate(system.levels), held, jnp.concatenate(shares)

    return jax.vmap(one)(pairs, distances, excess)
