"""Structures from disk in several processes."""

import numpy as np
import pytest

from tests.together import Together
from tests.train.streamed import SETTINGS, task

SCRIPT = ("-m", "tests.train.streamed")


@pytest.mark.slow
def test_every_process_reads_its_own_part(run_python, tmp_path):
    """Two processes of two devices read each row once between them, and train as one of four."""
    done = run_python(*SCRIPT, tmp_path / "one.npz", devices=4)
    assert done.returncode == 0, done.stderr
    names = ("{coordinator}", "{processes}", "{process}")
    ended = Together(tmp_path / "two", *SCRIPT, tmp_path / "two{process}.npz", *names).wait()
    assert [each.returncode for each in ended] == [0, 0], ended
    one, *two = (np.load(tmp_path / name) for name in ("one.npz", "two0.npz", "two1.npz"))
    split = task().split
    # Each epoch reads the training and the validation rows, and what fills their last batches.
    fill = sum(-len(part) % SETTINGS.batch_size for part in (split.train, split.validation))
    expected = set(split.train) | set(split.validation)
    for epoch in range(1, SETTINGS.epochs):  # what starts the model is read in the first
        name, before = f"rows{epoch}", f"rows{epoch - 1}"
        parts = [file[name][len(file[before]) :] for file in two]
        assert set(parts[0]) | set(parts[1]) == expected
        together = np.concatenate(parts)
        assert len(together) == len(expected) + fill
        np.testing.assert_array_equal(np.sort(together), np.sort(one[name][-len(together) :]))
        # Disjoint, but for the row that fills a last batch.
        assert len(set(parts[0]) & set(parts[1])) <= 2
        assert min(len(part) for part in parts) == len(together) // 2
    np.testing.assert_array_equal(two[0]["weights"], two[1]["weights"])
    np.testing.assert_allclose(two[0]["losses"], one["losses"], rtol=1e-5)
    np.testing.assert_allclose(two[0]["weights"], one["weights"], rtol=1e-3, atol=1e-4)
