"""Files that are written whole or not at all, and what reading a damaged one raises."""

import contextlib
import json
import os
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


@contextlib.contextmanager
def whole(path: str | os.PathLike) -> Iterator[str]:
    """Gives a path beside `path` to write to; what stands there at the end becomes `path`.

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
    """Writes a text file, whole or not at all.

    Raises:
      InputError: it cannot be written.
    """
    with whole(path) as partial, open(partial, "w", encoding="utf-8") as file:
        file.write(text)


def write_json(path: str | os.PathLike, value: Any) -> None:
    """Writes a JSON file, whole or not at all.

    Raises:
      InputError: it cannot be written.
    """
    write_text(path, json.dumps(value, indent=2) + "\n")


def read_json(path: str | os.PathLike) -> Any:
    """What a JSON file holds.

    Raises:
      InputError: it is not there, not JSON or cut short.
    """
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except OSError as error:
        raise InputError(f"{os.fspath(path)}: {error.strerror}") from error
    except ValueError as error:
        raise InputError(f"{os.fspath(path)}: not JSON, or cut short: {error}") from error
