"""Element facts, read from `elements.csv`, and the elements of the benchmark.

Covalent radii: B. Cordero et al., Dalton Trans. 2832 (2008), Z = 1 to 96; carbon is the sp3 value,
Mn, Fe and Co the low-spin ones.
"""

import csv
import dataclasses
import functools
import importlib.resources
from collections.abc import Iterable

from qc_jax.errors import InputError


@dataclasses.dataclass(frozen=True)
class Element:
    """One element: atomic number, symbol, English name and covalent radius in Å."""

    atomic_number: int
    symbol: str
    name: str
    covalent_radius_ang: float


@functools.cache
def _by_symbol() -> dict[str, Element]:
    text = importlib.resources.files("qc_jax.chem").joinpath("elements.csv").read_text()
    elements = {}
    for row in csv.DictReader(text.splitlines()):
        elements[row["symbol"]] = Element(
            int(row["atomic_number"]),
            row["symbol"],
            row["name"],
            float(row["covalent_radius_ang"]),
        )
    return elements


@functools.cache
def _by_number() -> dict[int, Element]:
    return {element.atomic_number: element for element in _by_symbol().values()}


def element(key: str | int) -> Element:
    """The element of a symbol ('Ag') or an atomic number (47).

    Raises:
      InputError: no such element in the table (Z = 1 to 96).
    """
    found = _by_symbol().get(key) if isinstance(key, str) else _by_number().get(int(key))
    if found is None:
        what = f"symbol {key!r}" if isinstance(key, str) else f"atomic number {key}"
        raise InputError(f"unknown element {what}; expected H to Cm, written like 'Ag', or 1 to 96")
    return found


MAX_ATOMIC_NUMBER = 96  # the last row of elements.csv

# H to La and Lu to Rn: the 73 elements of the benchmark that GFN2-xTB has parameters for. The
# published 75 also hold Ra and Th.
GFN2_SYMBOLS: tuple[str, ...] = tuple(element(z).symbol for z in [*range(1, 58), *range(71, 87)])


def pair_name(first: str | int, second: str | int) -> str:
    """'Ag_Al': the two symbols in alphabetical order, as the published files name a pair.

    Raises:
      InputError: no such element.
    """
    return "_".join(sorted((element(first).symbol, element(second).symbol)))


def pair_names(symbols: Iterable[str]) -> list[str]:
    """Every unordered pair of `symbols`, each with itself included, in file order (sorted)."""
    distinct = sorted(set(symbols))
    return [pair_name(first, second) for i, first in enumerate(distinct) for second in distinct[i:]]
