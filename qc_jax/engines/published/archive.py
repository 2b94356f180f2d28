"""The zip of the published file: six arrays, of which nothing is taken on trust."""

import io
import zipfile
from collections.abc import Callable
from typing import IO, NamedTuple

import numpy as np

from qc_jax.data import files
from qc_jax.engines.published.unpickle import loads
from qc_jax.errors import InputError

# 17 times the published 2,850 rows; their images are 2 GB in memory.
MOST_ROWS = 50_000
# Of a row's labels or metadata. The 37 published labels take 0.4 to 1.2 kB and 80 opcodes.
MOST_BYTES_A_ROW = 4096
MOST_OPCODES_A_ROW = 600
# What the objects of labels or of metadata may take in memory: those of the published file take
# 5 kB a row. 50,000 rows of NumPy's scalars, each with what the pickle remembers, would take 1 GB.
MOST_MEMORY_A_ROW = 24_000
MOST_MEMORY = 300_000_000
_FOR_THE_REST = 65_536  # what a pickle and its array need beside the rows
_LONGEST_HEADER = 1024  # of an .npy member; NumPy writes 128

_ENCRYPTED = 0x1  # flag bit of a zip's member


class _Member(NamedTuple):
    """What a member must be: its shape behind the rows, and its type (None: any text)."""

    shape: tuple[int, ...]
    dtype: np.dtype | None


MEMBERS = {
    "images": _Member((10, 32, 32), np.dtype("<f4")),
    "geometries": _Member((2, 4), np.dtype("<f4")),
    "elements": _Member((2,), None),
    "labels": _Member((), np.dtype(object)),
    "metadata": _Member((), np.dtype(object)),
    "pair_names": _Member((), None),
}
_LONGEST_TEXT = 16  # characters of a symbol or name; the longest pair has 5


def read_arrays(
    path: str,
    before_images: Callable[[dict[str, np.ndarray]], None] = lambda arrays: None,
) -> dict[str, np.ndarray]:
    """Return the arrays of a published file by name; object arrays hold plain data only.

    Sizes are checked against the limits above and against one another before anything is read.

    Args:
      path: of the file.
      before_images: called with the other arrays before the images are read, which are large; its
        InputError gets the path in front.

    Raises:
      InputError: the file is missing, cut short, damaged, hostile, or another kind of file.
    """
    try:
        with files.open_regular(path, "rb") as file, zipfile.ZipFile(file) as archive:
            infos = _members(archive)
            headers = {name: _header(archive, name, info) for name, info in infos.items()}
            rows = _rows(headers)
            for name, info in infos.items():
                _check_size(name, info, headers[name], rows)
            small = {
                name: _array(archive, name, info, rows)
                for name, info in infos.items()
                if name != "images"
            }
            before_images(small)
            return small | {"images": _array(archive, "images", infos["images"], rows)}
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except files.NotRegularError as error:
        raise InputError(f"{path}: {error.strerror}") from error
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    except files.DAMAGE as error:
        raise InputError(
            f"{path}: not a published file, or cut short or damaged: {error}"
        ) from error


def _members(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    infos: dict[str, zipfile.ZipInfo] = {}
    for info in archive.infolist():
        name = info.filename.removesuffix(".npy")
        if name not in MEMBERS or name == info.filename:
            raise InputError(
                f"it holds {ascii(info.filename)[:60]}; expected {', '.join(MEMBERS)} alone"
            )
        if name in infos:
            raise InputError(f"it holds {name} twice")
        if info.flag_bits & _ENCRYPTED:
            raise InputError(f"{name}: encrypted")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise InputError(f"{name}: a compression that NumPy does not write")
        infos[name] = info
    missing = [name for name in MEMBERS if name not in infos]
    if missing:
        raise InputError(f"not a published file: without {', '.join(missing)}")
    return infos


class _Header(NamedTuple):
    length: int  # bytes up to the data
    shape: tuple[int, ...]
    dtype: np.dtype


def _header(archive: zipfile.ZipFile, name: str, info: zipfile.ZipInfo) -> _Header:
    """Return what the beginning of a member says of it; reads no more than that."""
    with archive.open(info) as member:
        start = io.BytesIO(member.read(_LONGEST_HEADER))
    version = np.lib.format.read_magic(start)
    if version != (1, 0):
        raise InputError(f"{name}: an array of format {version}, expected (1, 0)")
    try:
        shape, _, dtype = np.lib.format.read_array_header_1_0(start)
    except TypeError as error:  # a dictionary that cannot be one
        raise InputError(f"{name}: its header is damaged: {error}") from error
    expected = MEMBERS[name]
    if expected.dtype is None:
        fits = dtype.kind == "U" and 0 < dtype.itemsize <= 4 * _LONGEST_TEXT
    else:
        fits = dtype == expected.dtype
    if not fits or len(shape) != 1 + len(expected.shape) or shape[1:] != expected.shape:
        wanted = ", ".join(map(str, ("N", *expected.shape)))
        kind = f"text of at most {_LONGEST_TEXT}" if expected.dtype is None else expected.dtype
        raise InputError(
            f"{name}: expected shape ({wanted}) of {kind}, got {str(shape)[:60]} of {dtype}"
        )
    return _Header(start.tell(), shape, dtype)


def _rows(headers: dict[str, _Header]) -> int:
    rows = {name: header.shape[0] for name, header in headers.items()}
    if len(set(rows.values())) > 1:
        counts = ", ".join(f"{name} {count}" for name, count in rows.items())
        raise InputError(f"its arrays have different numbers of rows: {counts}")
    (count,) = set(rows.values())
    if not 0 < count <= MOST_ROWS:
        raise InputError(f"{count} rows; expected 1 to {MOST_ROWS}")
    return count


def _check_size(name: str, info: zipfile.ZipInfo, header: _Header, rows: int) -> None:
    if header.dtype == object:
        most = rows * MOST_BYTES_A_ROW + _FOR_THE_REST
        if info.file_size > most:
            raise InputError(
                f"{name}: {info.file_size} bytes for {rows} rows, expected at most {most}"
            )
        return
    expected = header.length + int(np.prod(header.shape)) * header.dtype.itemsize
    if info.file_size != expected:
        raise InputError(
            f"{name}: {info.file_size} bytes, expected {expected} for shape {header.shape}"
        )


def _array(archive: zipfile.ZipFile, name: str, info: zipfile.ZipInfo, rows: int) -> np.ndarray:
    # zipfile gives no more than the size that was checked, and compares the CRC at the end of it.
    with archive.open(info) as member:
        if MEMBERS[name].dtype != object:
            array = np.lib.format.read_array(member, allow_pickle=False)
            _check_end(name, member)
            return array
        np.lib.format.read_magic(member)
        np.lib.format.read_array_header_1_0(member)
        data = member.read(info.file_size)
        _check_end(name, member)
    try:
        objects = loads(
            data,
            rows * MOST_OPCODES_A_ROW + _FOR_THE_REST,
            min(rows * MOST_MEMORY_A_ROW + 100 * _FOR_THE_REST, MOST_MEMORY),
        )
    except InputError as error:
        raise InputError(f"{name}: {error}") from error
    if not (isinstance(objects, np.ndarray) and objects.dtype == object):
        raise InputError(f"{name}: expected an array of objects, got {type(objects).__name__}")
    if objects.shape != (rows,):
        raise InputError(f"{name}: expected {rows} rows, got shape {objects.shape}")
    return objects


def _check_end(name: str, member: IO[bytes]) -> None:
    if member.read(1):
        raise InputError(f"{name}: longer than it says")
