"""Test rows that a model has not seen."""

import numpy as np
import pytest

from experiments import scoring
from qc_jax.data import dataset
from qc_jax.errors import InputError


def test_unseen_leaves_out_what_was_trained_or_chosen_on(small_table):
    known = dataset.prepare(small_table, ("e_homo_ev",), 42)
    other = dataset.prepare(small_table, ("e_homo_ev",), 42, split="by_type")
    got = scoring.unseen(other, known)
    seen = set(known.names[np.concatenate([known.split.train, known.split.validation])])
    tested, asked = got.names[got.split.test], other.names[other.split.test]
    assert 0 < len(tested) < len(asked)
    assert list(tested) == [name for name in asked if name not in seen]
    gone = set(asked) - set(tested)
    assert set(got.left_out) - set(other.left_out) == gone
    assert set(got.names[got.split.unused]) == gone | set(other.names[other.split.unused])
    assert f"{len(gone)} test rows left out: " in got.split.description
    np.testing.assert_array_equal(got.split.train, other.split.train)


def test_pairs_count_not_rows(small_table):
    """In a table of other rows, a pair is known by its name."""
    known = dataset.prepare(small_table, ("e_homo_ev",), 42)
    backwards = small_table.take(np.arange(len(small_table))[::-1])
    other = dataset.prepare(backwards, ("e_homo_ev",), 42, split="by_type")
    seen = set(known.names) - set(known.names[known.split.test])
    tested = scoring.unseen(other, known).split.test
    assert len(tested) and not seen & set(other.names[tested])


def test_its_own_test_rows_stay_and_may_be_all(small_table):
    known = dataset.prepare(small_table, ("e_homo_ev",), 42)
    assert scoring.unseen(known, known) is known
    rows = known.split.train
    other = dataset.prepare(small_table.take(rows), ("e_homo_ev",), 42)
    with pytest.raises(InputError, match="no test row is left: of all"):
        scoring.unseen(other, known)
