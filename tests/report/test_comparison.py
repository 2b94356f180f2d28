import dataclasses

import numpy as np
import pytest

from qc_jax.errors import InputError
from qc_jax.report.comparison import compare


def changed(table, rows, **targets):
    """The table with some rows' labels moved by a number."""
    columns = {name: column.copy() for name, column in table.targets.items()}
    for name, by in targets.items():
        columns[name][rows] += by
    return dataclasses.replace(table, targets=columns)


def test_differences_are_the_seconds_less_the_firsts(small_table):
    row = small_table.row("C_O")
    found = compare(small_table, changed(small_table, [row], e_homo_ev=0.25))
    homo = found.labels.set_index("label").loc["e_homo_ev"]
    assert homo.worst == "C_O"
    assert homo.largest == pytest.approx(0.25)
    assert homo["median"] == 0
    assert found.differences.loc["C_O", "e_homo_ev"] == pytest.approx(0.25)
    others = found.labels[found.labels.label != "e_homo_ev"]
    assert (others.largest.fillna(0) == 0).all() and set(others.worst) == {""}
    assert found.only == ((), ())
    assert found.swapped == found.repeated == ()


def test_rows_are_matched_by_name_and_the_others_are_listed(small_table):
    rows = np.arange(len(small_table))
    found = compare(small_table.take(rows[:-2]), small_table.take(rows[::-1][:-1]))
    assert found.only == ((small_table.names[0],), tuple(sorted(small_table.names[-2:])[::-1]))
    assert (found.differences.fillna(0) == 0).all(axis=None)
    assert len(found.differences) == len(rows) - 3


def test_exchanged_atoms_are_found_by_their_charges(small_table):
    table = dataclasses.replace(small_table, charges=small_table.charges.copy())
    row = table.row("F_H")
    table.charges[row] = table.charges[row][::-1]
    assert compare(small_table, table).swapped == ("F_H",)


def test_what_only_one_defines_is_counted(small_table):
    row = small_table.row("C_O")
    found = compare(small_table, changed(small_table, [row], e_lumo_ev=np.nan))
    lumo = found.labels.set_index("label").loc["e_lumo_ev"]
    full = found.labels.set_index("label").loc["e_homo_ev"]
    assert lumo.undefined == 1
    assert lumo.pairs < full.pairs


def test_a_name_that_stands_twice_is_not_compared(small_table):
    rows = np.r_[np.arange(len(small_table)), 3]
    found = compare(small_table, small_table.take(rows))
    assert found.repeated == (small_table.names[3],)
    assert small_table.names[3] not in found.differences.index


def test_tables_without_a_common_pair(small_table):
    rows = np.arange(len(small_table))
    with pytest.raises(InputError, match="none is in both"):
        compare(small_table.take(rows[:2]), small_table.take(rows[2:]))
