"""Everything of many pairs at given distances, as many at a time as a compiled program takes."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from qc_jax.dftb import pairs as two
from qc_jax.dftb import scc
from qc_jax.dftb.convergence import cool
from qc_jax.dftb.parametrization import Parametrization

LANES = 128  # pairs that a device works on at a time: one compiled shape


@jax.jit
def _describe(pairs, tables, repulsion, distances, excess, kt):
    return jax.vmap(two.describe, in_axes=(0, None, None, 0, 0, None))(
        pairs, tables, repulsion, distances, excess, kt
    )


def take(tree: Any, rows: np.ndarray) -> Any:
    """Return some rows of every array."""
    return jax.tree.map(lambda x: np.asarray(x)[rows], tree)


def padded(rows: np.ndarray) -> np.ndarray:
    """Return the rows, the first one again until there are `LANES`."""
    return np.concatenate([rows, np.full(LANES - len(rows), rows[0])])


def in_lanes(
    count: int, run: Callable[[np.ndarray], Sequence[Any]]
) -> tuple[Float[np.ndarray, "rows ..."], ...]:
    """Return what a program gives for many rows, `LANES` at a time.

    Args:
      count: of the rows.
      run: the program: rows, `LANES` of them, to arrays with as many.
    """
    chunks = []
    for start in range(0, count, LANES):
        some = np.arange(start, min(start + LANES, count))
        chunks.append([np.asarray(x)[: len(some)] for x in run(padded(some))])
    return tuple(np.concatenate(one) for one in zip(*chunks, strict=True))


def scan(
    names: Sequence[tuple[str, str]],
    parametrization: Parametrization,
    kt: float,
    distances: Float[np.ndarray, "pairs points"],
    excess: Float[np.ndarray, "pairs points 2"] | None = None,
) -> dict[str, np.ndarray]:
    """Return everything of pairs at distances (bohr): `pairs.describe`, with axes [pairs, points].

    Charges that do not settle at the temperature asked for are led there from higher ones.
    """
    pairs = two.build(list(names), parametrization)
    n, points = distances.shape
    lane_pairs = np.repeat(np.arange(n), points)
    flat = distances.ravel()
    starts = np.zeros((n * points, 2)) if excess is None else excess.reshape(-1, 2).copy()
    tables, repulsion = jax.device_put((parametrization.tables, parametrization.repulsion))

    def run(rows: np.ndarray, temperature: float) -> dict[str, np.ndarray]:
        chunks = []
        for at in range(0, len(rows), LANES):
            some = rows[at : at + LANES]
            lanes = padded(some)
            count = len(some)
            out = _describe(
                take(pairs, lane_pairs[lanes]),
                tables,
                repulsion,
                flat[lanes],
                starts[lanes],
                temperature,
            )
            chunks.append({key: np.asarray(x)[:count] for key, x in out.items()})
        return {key: np.concatenate([one[key] for one in chunks]) for key in chunks[0]}

    result = run(np.arange(n * points), kt)
    left = np.flatnonzero(~(result["residual"] < scc.TOLERANCE))
    if len(left):

        def rerun(temperature: float, guess: np.ndarray) -> tuple[dict, dict, np.ndarray]:
            starts[left] = guess
            now = run(left, temperature)
            return now, now, now["residual"] < scc.TOLERANCE

        for key, values in cool(rerun, np.zeros((len(left), 2)), kt).items():
            result[key][left] = values
    order = np.argsort(result["levels"], axis=1, kind="stable")
    for key in ("levels", "occupations", "present"):
        result[key] = np.take_along_axis(result[key], order, axis=1)
    return {key: values.reshape(n, points, *values.shape[1:]) for key, values in result.items()}
