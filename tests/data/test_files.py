"""Files read in one way, and written whole or not at all."""

import hashlib
import io
import os
import zipfile

import numpy as np
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


def test_nothing_but_a_file_is_written_to(tmp_path):
    for name in ("pipe", "other.partial"):
        os.mkfifo(tmp_path / name)
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("/dev/null")
    for name, kind in {
        "pipe": "pipe: cannot be written: expected a file, got a named pipe",
        "other": "other.partial: cannot be written: expected a file, got a named pipe",
        "folder": "folder: cannot be written: expected a file, got a directory",
        "link": "link: cannot be written: expected a file, got a device",
    }.items():
        with pytest.raises(InputError, match=kind):
            files.write_text(tmp_path / name, "new")
    with pytest.raises(InputError, match="expected a file, got a named pipe"):
        files.append_line(tmp_path / "pipe", "new")
    there = ["folder", "link", "other.partial", "pipe"]
    assert sorted(os.listdir(tmp_path)) == there


def test_lines_are_added(tmp_path):
    for line in ("a", "b"):
        files.append_line(tmp_path / "lines", line)
    assert (tmp_path / "lines").read_text() == "a\nb\n"
    with pytest.raises(InputError, match="nowhere/lines: cannot be written: No such file"):
        files.append_line(tmp_path / "nowhere" / "lines", "a")


def test_directories_and_devices_are_no_files(tmp_path):
    for path, kind in ((tmp_path, "a directory"), ("/dev/null", "a device")):
        with pytest.raises(files.NotRegularError, match=f"expected a file, got {kind}"):
            files.open_regular(path, "rb")
    (tmp_path / "file").write_text("äb")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    with files.open_regular(tmp_path / "link", encoding="utf-8") as file:
        assert file.read() == "äb"


def test_text_that_is_none_and_paths_that_are_no_file(tmp_path):
    (tmp_path / "file").write_bytes(b"ab\xff")
    (tmp_path / "shut").write_text("x")
    (tmp_path / "shut").chmod(0)
    for name, said in {
        "file": "expected text, got bytes that are none: .* position 2",
        "none": "no such file",
        ".": "expected a file, got a directory",
        **({} if os.getuid() == 0 else {"shut": "cannot be read: Permission denied"}),
    }.items():
        for read in (files.read_text, files.read_json, files.read_csv):
            with pytest.raises(InputError, match=said):
                read(tmp_path / name)
    assert files.read_bytes(tmp_path / "file") == b"ab\xff"
    assert files.sha256(tmp_path / "file") == hashlib.sha256(b"ab\xff").hexdigest()


def test_csv(tmp_path):
    path = tmp_path / "some.csv"
    path.write_bytes('\ufeffa, b \r\n1,"2,\n3"\r\n\r\n4,5\r\n'.encode())
    assert files.read_csv(path) == (["a", "b"], [(3, ["1", "2,\n3"]), (5, ["4", "5"])])
    for text, said in {
        "a,b\n1\n": "line 2: expected 2 fields, got 1",
        "a,b\n1,2,3\n": "line 2: expected 2 fields, got 3",
        "a,a\n1,2\n": "the column 'a' stands twice",
        'a,b\n1,"2\n': "line 2: no CSV: unexpected end of data",
        'a,b\n1,"2"x\n': "line 2: no CSV",
    }.items():
        path.write_text(text)
        with pytest.raises(InputError, match=said):
            files.read_csv(path)
    path.write_text("")
    assert files.read_csv(path) == ([], [])


def test_npz(tmp_path):
    path = tmp_path / "some.npz"
    files.write_npz(path, {"a": np.arange(3)})
    assert files.read_npz(path, "numbers")["a"].tolist() == [0, 1, 2]
    with (
        pytest.raises(InputError, match=r"some.npz: expected numbers: b is not a file"),
        files.reading_npz(path, "numbers") as arrays,
    ):
        arrays["b"]
    whole = path.read_bytes()
    np.savez(path, a=np.array([{}], object))
    pickled = path.read_bytes()
    np.save(tmp_path / "one.npy", np.arange(3))
    huge = io.BytesIO()
    header = {"descr": "<f8", "fortran_order": False, "shape": (10**15,)}
    np.lib.format.write_array_header_1_0(huge, header)
    with zipfile.ZipFile(tmp_path / "huge.npz", "w") as archive:
        archive.writestr("a.npy", huge.getvalue())
    for content, said in {
        whole[:-40]: "not numbers, or cut short or damaged",
        whole[:60] + b"\xff" * 9 + whole[69:]: "not numbers, or cut short or damaged",
        pickled: "not numbers, or cut short or damaged: Object arrays cannot be loaded",
        b"hello": "not numbers, or cut short or damaged",
        b"": "not numbers, or cut short or damaged",
        (tmp_path / "one.npy").read_bytes(): r"expected numbers, got one array \(.npy\)",
        (tmp_path / "huge.npz").read_bytes(): "not numbers, or .* Unable to allocate",
    }.items():
        path.write_bytes(content)
        with pytest.raises(InputError, match=rf"some\.npz: {said}"):
            files.read_npz(path, "numbers")
