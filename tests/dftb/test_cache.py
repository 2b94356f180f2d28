import numpy as np
import pytest

from qc_jax.data import files
from qc_jax.dftb import cache


@pytest.fixture(autouse=True)
def _own_directory(tmp_path, monkeypatch):
    monkeypatch.setenv(files.CACHE, str(tmp_path))


def test_arrays_come_back():
    key = cache.digest("a", 1.5, np.arange(3))
    assert cache.load("atoms", key) is None
    cache.store("atoms", key, {"x": np.arange(4.0)})
    np.testing.assert_array_equal(cache.load("atoms", key)["x"], np.arange(4.0))
    assert cache.load("atoms", cache.digest("a", 1.5, np.arange(4))) is None


def test_a_file_cut_short_counts_as_none(tmp_path):
    cache.store("atoms", "k", {"x": np.arange(4000.0)})
    path = tmp_path / "dftb" / "atoms-k.npz"
    path.write_bytes(path.read_bytes()[:-200])
    assert cache.load("atoms", "k") is None


def test_an_unwritable_directory_is_said(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(files.CACHE, str(tmp_path / "file"))
    with pytest.warns(UserWarning, match="not kept"):
        cache.store("atoms", "k", {"x": np.arange(4.0)})


def test_an_empty_variable_keeps_nothing(monkeypatch):
    monkeypatch.setenv(files.CACHE, "")
    cache.store("atoms", "k", {"x": np.arange(4.0)})
    assert cache.directory() is None and cache.load("atoms", "k") is None
