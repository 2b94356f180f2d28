"""Files of users: opened without waiting, read in one way, written whole or not at all."""

import contextlib
import csv
import hashlib
import json
import os
import pathlib
import stat
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from typing import IO, Any

import numpy as np

from qc_jax.errors import InputError

CACHE = "QC_JAX_CACHE"  # names another cache directory; empty: nothing is kept
PARTIAL = ".partial"  # ends the name of a file that is being written

# What NumPy and zipfile raise on a file that is cut short, damaged or something else. A damaged
# header may ask for an unknown compression or a password (RuntimeError) or for more memory than
# there is; that of an array is parsed as Python (SyntaxError, TokenError).
DAMAGE = (
    *(OSError, EOFError, ValueError, RuntimeError, SyntaxError, MemoryError, OverflowError),
    *(zipfile.BadZipFile, zlib.error, struct.error, tokenize.TokenError),
)


_KINDS = {
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class NotRegularError(OSError):
    """A path names something else than a file; `strerror` says what."""


def cache_directory(room: str) -> pathlib.Path | None:
    """Return where what takes long to compute is kept between runs, or None where nothing is.

    Args:
      room: the folder in the user's cache directory of qc_jax.
    """
    named = os.environ.get(CACHE)
    if named is not None:
        return pathlib.Path(named).expanduser() / room if named else None
    home = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(home) / "qc_jax" / room


def check_target(path: str | os.PathLike) -> None:
    """Raise InputError where something else than a file stands at the path to write to.

    Opening a named pipe would wait for a reader, and a device is no file of the user's.
    """
    try:
        if os.path.exists(path):
            _check_regular(os.fspath(path), os.stat(path).st_mode)
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}") from error


def _check_regular(path: str, mode: int) -> None:
    """Raise NotRegularError where the mode of `os.stat` is not that of a file."""
    kind = stat.S_IFMT(mode)
    if kind != stat.S_IFREG:
        found = _KINDS.get(kind, "something else")
        raise NotRegularError(None, f"expected a file, got {found}", path)


def open_regular(path: str | os.PathLike, mode: str = "r", **options: Any) -> Any:
    """Open a file for reading as `open` does, but nothing else than a file.

    A named pipe makes `open` wait for whoever writes to it, a device may never end.

    Args:
      path: of the file.
      mode: for reading, of `open`.
      options: of `open`.

    Raises:
      NotRegularError: it is a directory, a named pipe, a socket or a device.
      OSError: it is not there, or cannot be read.
    """

    def opener(name: str, flags: int) -> int:
        descriptor = os.open(name, flags | getattr(os, "O_NONBLOCK", 0))
        try:
            _check_regular(name, os.fstat(descriptor).st_mode)
        except NotRegularError:
            os.close(descriptor)
            raise
        return descriptor

    return open(path, mode, opener=opener, **options)


@contextlib.contextmanager
def reading(path: str | os.PathLike, mode: str = "r", **options: Any) -> Iterator[Any]:
    """Yield a file as `open_regular` opens it, text as UTF-8 unless told otherwise.

    Raises:
      InputError: it is not there, no file, cannot be read, or is no such text.
    """
    name = os.fspath(path)
    options = options if "b" in mode else {"encoding": "utf-8", **options}
    try:
        with open_regular(name, mode, **options) as file:
            yield file
    except FileNotFoundError as error:
        raise InputError(f"{name}: no such file") from error
    except NotRegularError as error:
        raise InputError(f"{name}: {error.strerror}") from error
    except OSError as error:
        raise InputError(f"{name}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{name}: expected text, got bytes that are none: {error}") from error


def one_line(error: BaseException) -> str:
    """Return what an error of a library says, on one line; the name of its class for nothing."""
    return " ".join(str(error).split()) or type(error).__name__


def number(text: str) -> float:
    """Return the number that a text says; NaN and ∞ count as numbers.

    Raises:
      ValueError: it says none, or is written as Python alone writes it, like '1_000'.
    """
    if "_" in text:
        raise ValueError(f"expected a number, got {text!r}")
    return float(text)


def read_bytes(path: str | os.PathLike) -> bytes:
    """Return what a file holds.

    Raises:
      InputError: as `reading`.
    """
    with reading(path, "rb") as file:
        return file.read()


def read_text(path: str | os.PathLike) -> str:
    """Return the text that a file holds.

    Raises:
      InputError: as `reading`.
    """
    with reading(path) as file:
        return file.read()


def sha256(path: str | os.PathLike) -> str:
    """Return the SHA-256 of a file in hexadecimal digits.

    Raises:
      InputError: as `reading`.
    """
    with reading(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_json(path: str | os.PathLike) -> Any:
    """Return what a JSON file holds.

    Raises:
      InputError: as `reading`, or it is not JSON or cut short.
    """
    text = read_text(path)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{os.fspath(path)}: not JSON, or cut short: {error}") from error


@contextlib.contextmanager
def reading_npz(path: str | os.PathLike, what: str) -> Iterator[Mapping[str, np.ndarray]]:
    """Yield the arrays of an `.npz` by name, each read when it is asked for; none is unpickled.

    Args:
      path: of the file.
      what: it is expected to be, like 'an .npz of a trajectory'.

    Raises:
      InputError: as `reading`, or it is something else, damaged, or lacks an array.
    """
    name = os.fspath(path)
    with reading(name, "rb") as file:
        try:
            arrays = np.load(file, allow_pickle=False)
            if isinstance(arrays, np.ndarray):
                raise InputError(f"{name}: expected {what}, got one array (.npy)")
            with arrays:
                yield arrays
        except InputError:
            raise
        except KeyError as error:
            raise InputError(f"{name}: expected {what}: {error.args[0]}") from error
        except DAMAGE as error:
            said = one_line(error)
            raise InputError(f"{name}: not {what}, or cut short or damaged: {said}") from error


def read_npz(path: str | os.PathLike, what: str) -> dict[str, np.ndarray]:
    """Return all arrays of an `.npz` by name.

    Raises:
      InputError: as `reading_npz`.
    """
    with reading_npz(path, what) as arrays:
        return dict(arrays)


def read_csv(path: str | os.PathLike) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Return the names of a CSV file's columns, and its rows of text with their line numbers.

    Empty lines are passed over.

    Raises:
      InputError: as `reading`, or it is no CSV, a column stands there twice, or a row has more or
        fewer fields than the header.
    """
    name = os.fspath(path)
    rows: list[tuple[int, list[str]]] = []
    with reading(name, encoding="utf-8-sig", newline="") as file:
        lines = csv.reader(file, strict=True)
        try:
            header = [column.strip() for column in next(lines, [])]
            for row in lines:
                if any("\0" in field for field in row):
                    raise csv.Error("a NUL character")
                if row and len(row) != len(header):
                    raise InputError(
                        f"{name}: line {lines.line_num}: expected {len(header)} fields, "
                        f"got {len(row)}"
                    )
                rows += [(lines.line_num, row)] if row else []
        except csv.Error as error:
            raise InputError(f"{name}: line {lines.line_num}: no CSV: {error}") from error
    for column in header:
        if header.count(column) > 1:
            raise InputError(f"{name}: the column {column!r} stands twice")
    return header, rows


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike) -> Iterator[str]:
    """Yield a path beside `path` to write to; what stands there at the end becomes `path`.

    Where the block raises, what it has written is removed and `path` is left as it was; only a kill
    leaves the partial file behind.

    Raises:
      InputError: it cannot be written (an OSError from within the block).
    """
    path = os.fspath(path)
    partial = path + PARTIAL
    check_target(path)
    check_target(partial)
    try:
        try:
            yield partial
            os.replace(partial, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.remove(partial)
            raise
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror or error}") from error


@contextlib.contextmanager
def atomic_open(path: str | os.PathLike, mode: str = "w", **options: Any) -> Iterator[IO]:
    """Yield a file to write to, as `open` opens it, which becomes `path` at the end.

    Raises:
      InputError: as `atomic_write`.
    """
    options = options if "b" in mode else {"encoding": "utf-8", **options}
    with atomic_write(path) as partial, open(partial, mode, **options) as file:
        yield file


def write_text(path: str | os.PathLike, text: str) -> None:
    """Write a text file, whole or not at all.

    Raises:
      InputError: it cannot be written.
    """
    with atomic_open(path) as file:
        file.write(text)


def append_line(path: str | os.PathLike, line: str) -> None:
    """Add a line to a text file, which is made where there is none.

    Raises:
      InputError: it is no file, or cannot be written.
    """
    check_target(path)
    try:
        with open(path, "a", encoding="utf-8") as file:
            file.write(line + "\n")
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}") from error


def write_json(path: str | os.PathLike, value: Any) -> None:
    """Write a JSON file, whole or not at all.

    Raises:
      InputError: it cannot be written.
    """
    write_text(path, json.dumps(value, indent=2) + "\n")


def write_npz(path: str | os.PathLike, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays as a compressed `.npz`, whole or not at all.

    Raises:
      InputError: it cannot be written.
    """
    with atomic_open(path, "wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
