"""Walks on made-up curves: how they begin, go on and end, and which minimum is the lowest."""

import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from qc_jax.dftb import relax
from qc_jax.dftb.pairs import Pairs, Point
from qc_jax.dftb.scc import Charges

H_H = ("H", "H")
TABLES = types.SimpleNamespace(shortest=np.array([0.4]), tables=0.0, repulsion=0.0)
TABLES.row = lambda first, second: (0, False)


@pytest.fixture
def solved(monkeypatch):
    """A function that puts a curve, and what charges settle, in place of tight binding.

    It returns the list of the distances that are scanned, an array a scan.
    """

    def put(energy, settles=lambda distance, excess: True, scan_settles=True) -> list[np.ndarray]:
        scanned, calls = [], []

        def point(pair, tables, repulsion, distance, start, kt):
            residual = jnp.where(settles(distance, start), 0.0, 1.0)
            charges = Charges(jnp.zeros_like(start), residual, jnp.array(1))
            return Point(*jax.value_and_grad(energy)(distance), charges)

        @jax.jit
        def advance(walks, *given):
            return jax.vmap(relax._advance_one, in_axes=(0, 0, None, None, None))(walks, *given)

        def counted(*given):
            calls.append(given)
            assert len(calls) < 1000, "a walk without an end"
            return advance(*given)

        def scan(names, parametrization, kt, distances, excess=None):
            scanned.append(np.array(distances))
            return {
                "residual": np.full(distances.shape, 0.0 if scan_settles else 1.0),
                "excess": np.ones((*distances.shape, 2)),
                "mermin_free_energy": np.asarray(energy(jnp.asarray(distances))),
            }

        def build(names, parametrization):
            n = len(names)
            shapes = ((n, 2, 3), (n, 2), (n, 2))
            return Pairs(np.zeros(n, int), np.zeros(n, bool), *map(np.zeros, shapes))

        for module, name, stand_in in (
            *((relax.two, "point", point), (relax.two, "build", build)),
            *((relax, "_advance", counted), (relax, "scan", scan), (relax, "REACH", 1.0)),
        ):
            monkeypatch.setattr(module, name, stand_in)
        return scanned

    with jax.enable_x64(True), jax.debug_nans(False):
        yield put


def morse(distance):
    return (1 - jnp.exp(-1.5 * (distance - 2.0))) ** 2


def status_and_distance(start: float) -> tuple[int, float]:
    walk = relax.relax([H_H], TABLES, 1e-3, np.array([start]))
    return int(walk.status[0]), float(walk.distance[0])


def test_atoms_out_of_reach_have_no_minimum(solved):
    """Where the gradient is zero to the last bit."""
    solved(lambda distance: 0.0 * distance)
    assert status_and_distance(9.0)[0] == relax.NO_MINIMUM


def test_where_newton_fails_falling_temperatures_lead_on(solved):
    """As a scan goes by them: at the start, and within the bracket."""
    scanned = solved(
        morse, lambda r, excess: (excess[0] > 0) | (jnp.abs(r - 2) > 0.01) & (r < 2.29)
    )
    status, distance = status_and_distance(2.3)
    assert status == relax.FOUND and distance == pytest.approx(2.0, abs=1e-5)
    assert len(scanned) > 1 and scanned[0] == 2.3


@pytest.mark.parametrize("scan_settles", [True, False])
def test_charges_that_never_settle_end_the_walk(solved, scan_settles):
    scanned = solved(morse, lambda r, excess: False, scan_settles)
    assert status_and_distance(2.3) == (relax.NOT_CONVERGED, 2.3)
    assert len(scanned) == 1


def test_the_lowest_minimum_is_not_the_lowest_point_of_the_scan(solved):
    grid = relax.default_start([H_H])[0] * relax.RATIOS
    narrow = (grid[20] + grid[21]) / 2

    def energy(distance):
        return jnp.minimum(40 * (distance - narrow) ** 2 - 1, (distance - grid[90]) ** 2 - 0.999)

    scanned = solved(energy)
    (alone,) = relax.lowest([H_H], TABLES, 1e-3).distance
    assert alone == pytest.approx(narrow, abs=1e-5)
    assert np.argmin(energy(scanned[0][0])) == 90
    assert relax.lowest([("Cs", "Cs"), H_H], TABLES, 1e-3).distance[1] == alone


def test_where_the_tables_begin_is_no_minimum(solved):
    solved(lambda r: jnp.where(r < 1.0, r, morse(r)))
    later = types.SimpleNamespace(**vars(TABLES) | {"shortest": np.array([0.8])})
    walk = relax.lowest([H_H], later, 1e-3)
    assert walk.status[0] == relax.FOUND and walk.distance[0] == pytest.approx(2.0, abs=1e-5)
