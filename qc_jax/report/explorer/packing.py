"""Arrays as text in a page: little-endian numbers one after another, in base64."""

import base64
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float, Int

_LARGEST = 32767  # of int16
_KINDS = {"f4": "float32", "i2": "int16", "i1": "int8", "u1": "uint8"}
_ALIGNED = 4  # bytes: where a browser may lay an array of floats over the others


def quantize(
    values: Float[np.ndarray, "*rows n"],
) -> tuple[Int[np.ndarray, "*rows n"], Float[np.ndarray, "*rows"]]:
    """Return int16 and float32 factors, a factor a row, whose product is the values.

    The error is at most 1/65,534 of a row's largest size.

    Args:
      values: finite.
    """
    factors = np.abs(values).max(axis=-1) / _LARGEST
    divisors = np.where(factors > 0, factors, 1.0)[..., None]
    return np.round(values / divisors).astype(np.int16), factors.astype(np.float32)


def blob(arrays: Mapping[str, np.ndarray]) -> tuple[str, dict[str, Any]]:
    """Return arrays as base64, and where each stands: kind, shape and first byte.

    Raises:
      ValueError: an array is of a kind that the page does not read.
    """
    chunks: list[bytes] = []
    places: dict[str, Any] = {}
    at = 0
    for name, array in arrays.items():
        code = array.dtype.str[1:]
        if code not in _KINDS:
            raise ValueError(f"{name}: expected one of {', '.join(_KINDS.values())}, {array.dtype}")
        packed = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()
        packed += bytes(-len(packed) % _ALIGNED)
        places[name] = {"kind": _KINDS[code], "shape": list(array.shape), "at": at}
        chunks.append(packed)
        at += len(packed)
    return base64.b64encode(b"".join(chunks)).decode(), places


def unpack(text: str, places: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Return the arrays of `blob`, as the page reads them."""
    data = base64.b64decode(text)
    return {
        name: np.frombuffer(data, place["kind"], int(np.prod(place["shape"])), place["at"]).reshape(
            place["shape"]
        )
        for name, place in places.items()
    }


def script_json(value: Any) -> str:
    """Return JSON that may stand within a page's <script>, which '<' might end."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c")
