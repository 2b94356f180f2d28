"""What a Fortran program has printed: text files, and the numbers in them."""

import math
import os
import re

from qc_jax.data import files
from qc_jax.engines.engine import FailureKind
from qc_jax.errors import InputError

# Three digits of an exponent leave no room for the E: 1.4463634+102.
_NUMBER = re.compile(
    r"([+-]?(?:\d+\.?\d*|\.\d+))(?:[ED]([+-]?\d+)|([+-]\d{3}))?", re.IGNORECASE | re.ASCII
)


def read_text(path: str | os.PathLike, errors: str = "strict") -> str | None:
    """Return the text of a file, or None where there is none.

    Raises:
      EngineError: it cannot be read or is no text.
    """
    if not os.path.lexists(path):
        return None
    try:
        with files.reading(path, errors=errors, newline="") as file:
            return file.read()
    except InputError as error:
        text = str(error).replace(os.fspath(path), os.path.basename(path), 1)
        raise FailureKind.FILES.error(text) from error


def number(text: str, field: str) -> float:
    """Return the finite number that stands for `field`.

    Raises:
      EngineError: it is too wide for its column (asterisks), no number, or not finite.
    """
    if text.startswith("*"):
        raise FailureKind.NUMBERS.error(f"{field} is too wide for its column: {text}")
    if text.lower().lstrip("+-") in ("nan", "inf", "infinity"):
        raise FailureKind.NUMBERS.error(f"{field} is {text}")
    match = _NUMBER.fullmatch(text)
    if match is None:
        raise FailureKind.NUMBERS.error(f"{field}: expected a number, got {text!r}")
    value = float(f"{match[1]}E{match[2] or match[3] or 0}")
    if not math.isfinite(value):
        raise FailureKind.NUMBERS.error(f"{field} is {text}, more than a number can be")
    return value
