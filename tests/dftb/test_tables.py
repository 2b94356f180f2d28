import jax
import jax.numpy as jnp
import numpy as np
import pytest

from qc_jax.data import files
from qc_jax.dftb import cache, integrals, pseudo_atom, tables, two_center
from qc_jax.errors import InputError

PAIRS = [("H", "H"), ("He", "H"), ("H", "He")]


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        path = tmp_path_factory.mktemp("cache")
        patch.setenv(files.CACHE, str(path))
        yield path


@pytest.fixture(scope="module")
def held(directory) -> tables.PairTables:
    return tables.pair_tables(PAIRS, nodes=48)


def test_nodes_hold_the_integrals(held):
    """At the nodes nothing is interpolated: both directions are those of two_center.

    But for single precision.
    """
    ratio = tables.node_ratios(48)[24]
    with jax.enable_x64(True):
        h, s = jax.vmap(held.evaluate_one)(held.scales * ratio, np.arange(len(PAIRS)))
    for k, (first, second) in enumerate(PAIRS):
        distance = float(held.scales[k]) * ratio
        for direction, pair in enumerate([(first, second), (second, first)]):
            overlap, hamiltonian = two_center(*pair, distance)["sss_1s_1s"]
            assert float(s[k, direction, 9]) == pytest.approx(overlap, abs=1e-6)
            assert float(h[k, direction, 9]) == pytest.approx(hamiltonian, abs=1e-6)
    assert not np.asarray(h)[:, :, :9].any()  # neither has p or d shells


def test_order_of_a_pair_is_the_order_of_directions(held):
    with jax.enable_x64(True):
        h, s = jax.vmap(held.evaluate_one)(jnp.full(3, 2.0), np.arange(len(PAIRS)))
    np.testing.assert_array_equal(h[1], h[2][::-1])
    np.testing.assert_array_equal(s[1], s[2][::-1])


def test_derivative_and_end(held):
    with jax.enable_x64(True):
        value = lambda r: held.evaluate_one(r, 0)[0][0, 9]  # noqa: E731
        slope = jax.jit(jax.grad(value))(2.0)
        rise = (value(2.0 + 1e-5) - value(2.0 - 1e-5)) / 2e-5
        assert float(slope) == pytest.approx(float(rise), rel=1e-7)
        assert float(value(40.0)) == 0.0
        assert float(jax.grad(value)(40.0)) == 0.0


def test_the_second_time_comes_from_the_cache(held, monkeypatch):
    monkeypatch.setattr(tables, "_against", None)  # would be called
    again = tables.pair_tables(PAIRS, nodes=48)
    np.testing.assert_array_equal(again.values, held.values)
    assert sum(1 for _ in cache.directory().iterdir()) >= 2


def test_packing_keeps_nine_digits():
    values = np.random.default_rng(0).normal(size=(5, 34))
    values[:, 3] = 0.0
    back = tables._unpack(tables._pack(values))
    np.testing.assert_allclose(back, values, atol=3e-9)


def test_packing_of_a_row_does_not_hang_on_others():
    values = np.random.default_rng(0).uniform(-1, 1, size=(5, 34))
    first = tables._unpack(tables._pack(values[:2]))
    again = tables._unpack(tables._pack(np.concatenate([first, values[2:]])))
    np.testing.assert_array_equal(again[:2], first)
    np.testing.assert_array_equal(tables._unpack(tables._pack(again)), again)


def test_unknown_form():
    with pytest.raises(InputError, match="unknown form 'best'"):
        tables.pair_tables(PAIRS, form="best")


def test_rows_about_a_distance(directory):
    """They are interpolated as the whole table is, and computed once."""
    first = np.array([140, 141, 60])
    some = tables.table_rows(PAIRS, first, 12)
    file = tables.table_rows(PAIRS[:1], np.array([130]), 30)
    with jax.enable_x64(True):
        h, s = some.evaluate_one(2.9331, 0)
        np.testing.assert_allclose([h, s], file.evaluate_one(2.9331, 0), atol=1e-8)
        row = float(some.evaluate_one(2.94, 0)[1][0, 9])
    assert row == pytest.approx(two_center("H", "H", 2.94)["sss_1s_1s"][0], abs=1e-8)
    # The pair in the other order has the directions in the other order.
    np.testing.assert_array_equal(
        some.values[1][:, 0],
        tables.table_rows([("H", "He")], np.array([141]), 1).values[0][::-1, 0],
    )


@pytest.mark.slow
def test_rows_of_a_published_table(directory):
    """Columns of both files, from one computation of both directions."""
    ahead, back = tables.slater_koster_tables("O", "H")
    for table, (first, second) in ((ahead, ("O", "H")), (back, ("H", "O"))):
        found = two_center(pseudo_atom(first), pseudo_atom(second), [0.4, 2.0, 5.0])
        for name, (overlap, hamiltonian) in found.items():
            kind = name.split("_")[0]
            if kind in tables.COLUMNS:
                column = tables.COLUMNS.index(kind)
                rows = table[[19, 99, 249]]
                np.testing.assert_allclose(rows[:, column], hamiltonian, atol=1e-8)
                np.testing.assert_allclose(rows[:, column + 10], overlap, atol=1e-8)


def test_columns_name_integrals():
    assert all((a, b, m) in integrals.INTEGRALS for a, b, m in tables._KINDS)
