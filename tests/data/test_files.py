"""Files written whole or not at all."""

import os

import pytest

from qc_jax.data import files
from qc_jax.errors import InputError


def test_what_is_written_appears_at_the_end(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("old")
    with files.whole(path) as partial, open(partial, "w") as file:
        file.write("new")
        assert path.read_text() == "old"
        assert os.path.dirname(partial) == str(tmp_path)  # a rename within one file system
    assert path.read_text() == "new"
    assert os.listdir(tmp_path) == ["file.txt"]


@pytest.mark.parametrize("error", [ValueError("bug"), KeyboardInterrupt()])
def test_an_error_leaves_the_old_file_and_no_other(tmp_path, error):
    path = tmp_path / "file.txt"
    path.write_text("old")
    with pytest.raises(type(error)), files.whole(path) as partial:
        with open(partial, "w") as file:
            file.write("half")
        raise error
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["file.txt"]


def test_a_disk_that_refuses_is_an_input_error(tmp_path):
    with (
        pytest.raises(InputError, match=r"nowhere/file: cannot be written: No such file"),
        files.whole(tmp_path / "nowhere" / "file") as partial,
        open(partial, "w"),
    ):
        pass
    with (
        pytest.raises(InputError, match=r"file: cannot be written: full"),
        files.whole(tmp_path / "file"),
    ):
        raise OSError("full")


def test_nothing_written_is_an_error(tmp_path):
    with pytest.raises(InputError, match="cannot be written"), files.whole(tmp_path / "file"):
        pass
