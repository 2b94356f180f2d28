"""Files of users: opened without waiting, written whole or not at all."""

import contextlib
import json
import os
import stat
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any

from qc_jax.errors import InputError

PARTIAL = ".partial"  # ends the name of a file that is being written

# What NumPy and zipfile raise on a file that is cut short, damaged or something else. A damaged
# header may ask for an unknown compression or a password (RuntimeError), that of an array is
# parsed as Python (SyntaxError, TokenError).
DAMAGE = (
    *(OSError, EOFError, ValueError, RuntimeError, SyntaxError),
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
        kind = stat.S_IFMT(os.fstat(descriptor).st_mode)
        if kind != stat.S_IFREG:
            os.close(descriptor)
            found = _KINDS.get(kind, "something else")
            raise NotRegularError(None, f"expected a file, got {found}", name)
        return descriptor

    return open(path, mode, opener=opener, **options)


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


def write_text(path: str | os.PathLike, text: str) -> None:
    """Write a text file, whole or not at all.

    Raises:
      InputError: it cannot be written.
    """
    with atomic_write(path) as partial, open(partial, "w", encoding="utf-8") as file:
        file.write(text)


def write_json(path: str | os.PathLike, value: Any) -> None:
    """Write a JSON file, whole or not at all.

    Raises:
      InputError: it cannot be written.
    """
    write_text(path, json.dumps(value, indent=2) + "\n")


def read_json(path: str | os.PathLike) -> Any:
    """Return what a JSON file holds.

    Raises:
      InputError: it is not there, not JSON or cut short.
    """
    try:
        with open_regular(path, encoding="utf-8") as file:
            return json.load(file)
    except OSError as error:
        raise InputError(f"{os.fspath(path)}: {error.strerror}") from error
    except ValueError as error:
        raise InputError(f"{os.fspath(path)}: not JSON, or cut short: {error}") from error
