"""The zip of the published file: what is too large, doubled, hidden or damaged is refused."""

import io
import os
import pickle
import struct
import tracemalloc
import zipfile
import zlib

import numpy as np
import pytest

from qc_jax.engines import published
from qc_jax.engines.published import archive, columns
from qc_jax.engines.published.archive import MOST_ROWS, read_arrays
from qc_jax.errors import InputError
from tests.engines.published.helpers import FIXTURE, arrays, read


def members() -> dict[str, bytes]:
    """The .npy members of the fixture, by file name."""
    with zipfile.ZipFile(FIXTURE) as file:
        return {name: file.read(name) for name in file.namelist()}


def write(path, content, compression=zipfile.ZIP_DEFLATED) -> str:
    """A zip of (name, bytes) pairs."""
    pairs = content.items() if isinstance(content, dict) else content
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, data in pairs:
            file.writestr(name, data)
    return str(path)


def npy(array, **kwargs) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.asanyarray(array), **kwargs)
    return buffer.getvalue()


def header(text: str) -> bytes:
    """An .npy member that is nothing but this header."""
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode("latin-1")


def shaped(shape: tuple, descr: str = "<f4") -> bytes:
    return header(f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n")


def test_arrays_are_as_numpy_reads_them():
    arrays = read_arrays(str(FIXTURE))
    with np.load(FIXTURE, allow_pickle=True) as expected:
        assert set(arrays) == set(expected.files)
        for name, array in arrays.items():
            assert array.dtype == expected[name].dtype
            np.testing.assert_array_equal(array, expected[name])


def test_stored_and_compressed_and_fortran_order(tmp_path):
    content = members()
    geometries = read_arrays(str(FIXTURE))["geometries"]
    content["geometries.npy"] = npy(np.asfortranarray(geometries))
    stored = read_arrays(write(tmp_path / "a.npz", content, zipfile.ZIP_STORED))
    np.testing.assert_array_equal(stored["geometries"], geometries)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images.npy": None}, "not a published file: without images"),
        ({"labels.npy": None, "metadata.npy": None}, "without labels, metadata"),
        ({"extra.npy": npy(np.zeros(4))}, r"it holds 'extra\.npy'; expected images, "),
        ({"labels": b""}, "it holds 'labels'"),
        ({"../labels.npy": b""}, r"it holds '\.\./labels\.npy'"),
        ({"évil\n.npy": b""}, r"it holds '\\xe9vil\\n\.npy'"),
        # Shapes and types.
        ({"images.npy": npy(np.zeros((4, 32, 32, 10), "f4"))}, r"images: expected shape \(N, 10,"),
        ({"images.npy": npy(np.zeros((4, 10, 32, 32)))}, "of float32, got .* of float64"),
        ({"images.npy": npy(np.zeros((4, 10, 32, 32), ">f4"))}, "of float32, got .* of >f4"),
        ({"geometries.npy": npy(np.zeros((4, 2, 3), "f4"))}, r"shape \(N, 2, 4\)"),
        ({"elements.npy": npy(np.zeros((4, 2), "S2"))}, "text of at most 16, got"),
        ({"elements.npy": npy(np.zeros((4, 2), "U99"))}, "text of at most 16, got"),
        ({"pair_names.npy": npy(np.array([b"a"] * 4))}, "pair_names: expected shape"),
        ({"labels.npy": npy(np.zeros(4))}, "labels: expected shape .* of object, got"),
        ({"labels.npy": npy(np.array([[{}] * 2] * 4))}, r"labels: expected shape \(N\)"),
        ({"metadata.npy": npy(np.array([{}] * 5))}, "different numbers of rows: .*metadata 5"),
        # Headers that lie, or make no sense.
        ({"images.npy": shaped((4, 10, 32, 32))}, "images: 79 bytes, expected 163919"),
        ({"images.npy": npy(np.zeros((4, 10, 32, 32), "f4")) + b"more"}, "bytes, expected"),
        ({"images.npy": shaped((4.0, 10, 32, 32))}, "not a published file"),
        ({"images.npy": shaped((4, 10, 32, 32), "|V99")}, "images: expected shape"),
        ({"images.npy": header("{'descr': (")}, "not a published file, or cut short or damaged"),
        ({"images.npy": header("{[]: 1}")}, "images: its header is damaged"),
        ({"images.npy": header("(" * 900)}, "not a published file, or cut short or damaged"),
        (
            {"images.npy": b"\x93NUMPY\x02\x00" + b"\xff" * 40},
            r"format \(2, 0\), expected \(1, 0\)",
        ),
        ({"images.npy": b""}, "not a published file, or cut short or damaged"),
        ({"images.npy": b"PK" * 100}, "not a published file, or cut short or damaged"),
        # What the pickles hold.
        ({"labels.npy": shaped((4,), "|O") + pickle.dumps([{}] * 4)}, "array of objects, got list"),
        (
            {"labels.npy": shaped((4,), "|O") + pickle.dumps(np.zeros(4))},
            "expected an array of obj",
        ),
        (
            {"labels.npy": shaped((4,), "|O") + pickle.dumps(np.array([{}] * 3))},
            r"labels: expected 4 rows, got shape \(3,\)",
        ),
        ({"labels.npy": npy(np.array([{}] * 4)) + b"."}, "labels: .* of which the pickle is"),
        ({"labels.npy": npy(np.array([{}] * 4))[:-9]}, "labels: not a pickle of plain data"),
        (
            {"metadata.npy": npy(np.array([{"pair_name": os.getcwd}] * 4))},
            r"metadata: it would import posix\.getcwd",
        ),
    ],
)
def test_other_members_are_refused_with_the_reason(tmp_path, change, message):
    content = {name: data for name, data in (members() | change).items() if data is not None}
    path = write(tmp_path / "some.npz", content)
    with pytest.raises(InputError, match=rf"some\.npz: .*{message}") as caught:
        read_arrays(path)
    assert "\n" not in str(caught.value)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_member_twice(tmp_path):
    pairs = [*members().items(), ("labels.npy", npy(np.array([{}] * 4)))]
    with pytest.raises(InputError, match="it holds labels twice"):
        read_arrays(write(tmp_path / "twice.npz", pairs))


def patched(path, name: str, **fields: int) -> None:
    """Changes what a zip says of a member, in its directory and before the member itself.

    The same fields stand at other offsets: size of the data, CRC, flags, compression.
    """
    data = bytearray(path.read_bytes())
    places = {"flags": (8, 6, "<H"), "method": (10, 8, "<H"), "crc": (16, 14, "<L")}
    places["size"] = (24, 22, "<L")
    central = data.rindex(b"PK\x01\x02", 0, data.rindex(name.encode()))
    local = struct.unpack_from("<L", data, central + 42)[0]
    for field, value in fields.items():
        in_directory, before, form = places[field]
        struct.pack_into(form, data, central + in_directory, value)
        struct.pack_into(form, data, local + before, value)
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"flags": 1}, "labels: encrypted"),
        ({"method": 14}, "labels: a compression that NumPy does not write"),
        ({"method": 99}, "labels: a compression that NumPy does not write"),
        ({"crc": 0}, "Bad CRC-32 for file 'labels.npy'"),
        ({"size": 500}, "labels: |Bad CRC-32"),
    ],
)
def test_a_zip_that_hides_or_lies(tmp_path, fields, message):
    path = tmp_path / "lie.npz"
    write(path, members())
    patched(path, "labels.npy", **fields)
    with pytest.raises(InputError, match=rf"lie\.npz: .*({message})"):
        read_arrays(str(path))


def peak(path) -> int:
    tracemalloc.start()
    try:
        read_arrays(str(path))
    except InputError:
        pass
    finally:
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    return most


def test_bombs_are_refused_before_they_are_read(tmp_path):
    """A kilobyte of zip a megabyte of zeros: more than the shape says, or than rows can need."""
    zeros = bytes(100_000_000)
    bombs = {
        "images": ({"images.npy": shaped((4, 10, 32, 32)) + zeros}, "images: 1000000[0-9]+ bytes"),
        "labels": (
            {"labels.npy": shaped((4,), "|O") + zeros},
            "labels: .* 4 rows, expected at most",
        ),
    }
    for name, (change, message) in bombs.items():
        path = tmp_path / f"{name}.npz"
        write(path, members() | change)
        assert path.stat().st_size < 200_000
        with pytest.raises(InputError, match=message):
            read_arrays(str(path))
        assert peak(path) < 3_000_000


def test_a_bomb_that_says_it_is_small_is_not_read_further(tmp_path):
    """The member goes on for 100 MB, but its size and CRC are those of the first part."""
    content = members()
    true = content["images.npy"]
    path = tmp_path / "lie.npz"
    write(path, content | {"images.npy": true + bytes(100_000_000)})
    patched(path, "images.npy", size=len(true), crc=zlib.crc32(true))
    arrays = read_arrays(str(path))
    np.testing.assert_array_equal(arrays["images"], read_arrays(str(FIXTURE))["images"])
    assert peak(path) < 3_000_000


def test_a_pickle_of_many_small_objects_is_stopped(tmp_path, monkeypatch):
    program = b"\x80\x04(" + b"}" * 60_000 + b"t."
    path = write(tmp_path / "a.npz", members() | {"labels.npy": shaped((4,), "|O") + program})
    monkeypatch.setattr(archive, "MOST_OPCODES_A_ROW", 1)
    monkeypatch.setattr(archive, "_FOR_THE_REST", 59_000 + 2000)
    with pytest.raises(InputError, match=r"labels: expected an array of objects, got tuple"):
        read_arrays(path)
    monkeypatch.setattr(archive, "_FOR_THE_REST", 59_000)
    monkeypatch.setattr(archive, "MOST_BYTES_A_ROW", 4096)
    with pytest.raises(InputError, match=r"labels: a pickle of more than 59004 opcodes"):
        read_arrays(path)


@pytest.mark.parametrize("rows", [0, MOST_ROWS + 1, 10**15, -1])
def test_numbers_of_rows_that_cannot_be(tmp_path, rows):
    headers = {
        "images.npy": shaped((rows, 10, 32, 32)),
        "geometries.npy": shaped((rows, 2, 4)),
        "elements.npy": shaped((rows, 2), "<U2"),
        "labels.npy": shaped((rows,), "|O"),
        "metadata.npy": shaped((rows,), "|O"),
        "pair_names.npy": shaped((rows,), "<U5"),
    }
    path = write(tmp_path / "rows.npz", headers)
    with pytest.raises(InputError, match=rf"{rows} rows; expected 1 to 50000"):
        read_arrays(path)


def test_limits_are_wide_enough_for_what_is_published():
    """2,850 rows with every label written out, and names of their own in every row."""
    labels = [{f"some_long_label_{i}": float(row + i) for i in range(37)} for row in range(2850)]
    data = pickle.dumps(np.array(labels), 3)
    assert len(data) < 2850 * archive.MOST_BYTES_A_ROW / 2
    assert MOST_ROWS > 10 * 2850


def test_every_cut_is_one_clear_error(tmp_path):
    whole = FIXTURE.read_bytes()
    path = tmp_path / "cut.npz"
    ends = range(len(whole) - 120, len(whole))
    for length in sorted({*range(0, 60), *range(60, len(whole), 331), *ends}):
        path.write_bytes(whole[:length])
        with pytest.raises(InputError, match=r"cut\.npz: not a published file, or cut short"):
            read_arrays(str(path))


def test_damaged_bytes_are_one_clear_error_or_mean_nothing(tmp_path):
    whole = FIXTURE.read_bytes()
    reference = read_arrays(str(FIXTURE))
    path = tmp_path / "damaged.npz"
    refused = 0
    # The directory at the end byte by byte, where sizes and flags stand; a sample of the rest.
    for position in (*range(0, len(whole) - 700, 97), *range(len(whole) - 700, len(whole))):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 0x55]) + whole[position + 1 :])
        try:
            arrays = read_arrays(str(path))
        except InputError as error:
            assert "damaged.npz: " in str(error) and "\n" not in str(error)
            refused += 1
        else:  # a date, or a version
            for name, array in arrays.items():
                np.testing.assert_array_equal(array, reference[name])
    assert refused > 500


def test_what_is_no_file(tmp_path):
    with pytest.raises(InputError, match=r"none\.npz: no such file"):
        read_arrays(str(tmp_path / "none.npz"))
    with pytest.raises(InputError, match="expected a file, got a directory"):
        read_arrays(str(tmp_path))
    (tmp_path / "text.npz").write_text("hello")
    with pytest.raises(InputError, match=r"text\.npz: not a published file, or cut short"):
        read_arrays(str(tmp_path / "text.npz"))
    np.savez(tmp_path / "other.npz", images=np.zeros(3), other=np.zeros(3))
    with pytest.raises(InputError, match=r"it holds 'other\.npy'"):
        read_arrays(str(tmp_path / "other.npz"))


def test_text_that_many_rows_share_is_refused_before_it_is_spread(tmp_path, monkeypatch):
    """The pickle holds each text once; a column of text has it in every row."""
    monkeypatch.setattr(columns, "MOST_TEXT_BYTES", 3 * 4 * 200 * 4)
    content = arrays()
    for row in content["labels"]:
        row.update({f"text_{number}": "x" * 200 for number in range(4)})
    with pytest.raises(InputError, match=r"labels of text, 'text_\d' among them, would take more"):
        read(tmp_path, content)


def test_objects_that_take_too_much_memory_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "MOST_MEMORY", 20_000)
    with pytest.raises(InputError, match=r"its objects take more than 0 MB; expected less"):
        read(tmp_path, arrays())


def test_a_named_pipe_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe.npz")
    with pytest.raises(InputError, match=r"pipe.npz: expected a file, got a named pipe"):
        published.read(tmp_path / "pipe.npz")
