"""Files written whole or not at all."""

import os

import pytest

from qc_jax.data import files
from qc_jax.errors import InputError


def test_what_is_written_appears_at_the_end(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("old")
    with files.atomic_write(path) as partial, open(partial, "w") as file:
        file.write("new")
        assert path.read_text() == "old"
        assert os.path.dirname(partial) == str(tmp_path)  # a rename within one file system
    assert path.read_text() == "new"
    assert os.listdir(tmp_path) == ["file.txt"]


@pytest.mark.parametrize("error", [ValueError("bug"), KeyboardInterrupt()])
def test_an_error_leaves_the_old_file_and_no_other(tmp_path, error):
    path = tmp_path / "file.txt"
    path.write_text("old")
    with pytest.raises(type(error)), files.atomic_write(path) as partial:
        with open(partial, "w") as file:
            file.write("half")
        raise error
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["file.txt"]


def test_a_disk_that_refuses_is_an_input_error(tmp_path):
    with (
        pytest.raises(InputError, match=r"nowhere/file: cannot be written: No such file"),
        files.atomic_write(tmp_path / "nowhere" / "file") as partial,
        open(partial, "w"),
    ):
        pass
    with (
        pytest.raises(InputError, match=r"file: cannot be written: full"),
        files.atomic_write(tmp_path / "file"),
    ):
        raise OSError("full")


def test_nothing_written_is_an_error(tmp_path):
    with (
        pytest.raises(InputError, match="cannot be written"),
        files.atomic_write(tmp_path / "file"),
    ):
        pass


def test_a_named_pipe_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(files.NotRegularError, match="expected a file, got a named pipe"):
        files.open_regular(tmp_path / "pipe")
    with pytest.raises(InputError, match=r"pipe: expected a file, got a named pipe"):
        files.read_json(tmp_path / "pipe")


def test_directories_and_devices_are_no_files(tmp_path):
    for path, kind in ((tmp_path, "a directory"), ("/dev/null", "a device")):
        with pytest.raises(files.NotRegularError, match=f"expected a file, got {kind}"):
            files.open_regular(path, "rb")
    (tmp_path / "file").write_text("äb")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    with files.open_regular(tmp_path / "link", encoding="utf-8") as file:
        assert file.read() == "äb"
