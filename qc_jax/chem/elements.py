"""Element facts, read from `elements.csv`, and the elements of the benchmark.

Z = 1 to 96. Sources and conventions of the columns:

* Covalent radii: B. Cordero et al., Dalton Trans. 2832 (2008); carbon is the sp3 value, Mn, Fe and
  Co the low-spin ones.
* Groups 1 to 18. Group 3 is Sc, Y and Lu, as in IUPAC's provisional report (E. Scerri, Chem. Int.
  43(1), 31, 2021); La to Yb and Ac to Cm have none.
* Electronegativities on Pauling's scale, as revised by A. L. Allred, J. Inorg. Nucl. Chem. 17, 215
  (1961), and where he has none, those of L. Pauling, The Nature of the Chemical Bond, 3rd edition
  (1960); Kr 3.00 and Xe 2.60 as in J. Emsley, The Elements, 3rd edition (1998). Tables differ in
  the oxidation state they take: here it is Tl(I) and Pb(IV). He, Ne, Ar, Rn, Pm, Eu, Tb and Yb
  have no value. For the 75 elements of the published data these are the numbers that the published
  split `by_electronegativity` uses.
* Metals: all but H, B, C, N, O, Si, P, S, Ge, As, Se, Sb, Te and the groups 17 and 18. The usual
  metalloids are no metals then, and Po is one: the classes of the published split `by_type`.
* Masses: standard atomic weights, J. Meija et al., Pure Appl. Chem. 88, 265 (2016), as ASE has
  them; of elements without stable isotopes, one isotope's.
"""

import csv
import dataclasses
import functools
import importlib.resources
from collections.abc import Iterable

from qc_jax.errors import InputError


@dataclasses.dataclass(frozen=True)
class Element:
    """One element; the module's docstring has the sources.

    Attributes:
      atomic_number: Z.
      symbol: like 'Ag'.
      name: in English.
      covalent_radius_ang: Å.
      period: 1 to 7.
      group: 1 to 18; None in the f block.
      electronegativity: Pauling's; None where the scale has none.
      metal: whether it counts as a metal.
      mass_amu: of the natural mixture of isotopes.
    """

    atomic_number: int
    symbol: str
    name: str
    covalent_radius_ang: float
    period: int
    group: int | None
    electronegativity: float | None
    metal: bool
    mass_amu: float


@functools.cache
def _by_symbol() -> dict[str, Element]:
    text = importlib.resources.files("qc_jax.chem").joinpath("elements.csv").read_text()
    elements = {}
    for row in csv.DictReader(text.splitlines()):
        elements[row["symbol"]] = Element(
            atomic_number=int(row["atomic_number"]),
            symbol=row["symbol"],
            name=row["name"],
            covalent_radius_ang=float(row["covalent_radius_ang"]),
            period=int(row["period"]),
            group=int(row["group"]) if row["group"] else None,
            electronegativity=(
                float(row["electronegativity_pauling"])
                if row["electronegativity_pauling"]
                else None
            ),
            metal={"yes": True, "no": False}[row["metal"]],
            mass_amu=float(row["mass_amu"]),
        )
    return elements


@functools.cache
def _by_number() -> dict[int, Element]:
    return {element.atomic_number: element for element in _by_symbol().values()}


def element(key: str | int) -> Element:
    """Return the element of a symbol ('Ag') or an atomic number (47).

    Raises:
      InputError: no such element in the table (Z = 1 to 96).
    """
    found = _by_symbol().get(key) if isinstance(key, str) else _by_number().get(int(key))
    if found is None and isinstance(key, str) and key.isdecimal():
        number = _by_number().get(int(key)) if len(key) < 4 else None
        hint = f"; {key} is {number.symbol!r}" if number else ""
        raise InputError(
            f"unknown element symbol {key!r}; expected H to Cm, written like 'Ag'{hint}"
        )
    if found is None:
        what = f"symbol {key!r}" if isinstance(key, str) else f"atomic number {key}"
        raise InputError(f"unknown element {what}; expected H to Cm, written like 'Ag', or 1 to 96")
    return found


MAX_ATOMIC_NUMBER = 96  # the last row of elements.csv

# H to La and Lu to Rn: the 73 elements of the benchmark that GFN2-xTB has parameters for. The
# published 75 also hold Ra and Th.
GFN2_SYMBOLS: tuple[str, ...] = tuple(element(z).symbol for z in [*range(1, 58), *range(71, 87)])


def pair_name(first: str | int, second: str | int) -> str:
    """Return 'Ag_Al': the two symbols in alphabetical order, as the published files name a pair.

    Raises:
      InputError: no such element.
    """
    return "_".join(sorted((element(first).symbol, element(second).symbol)))


def pair_names(symbols: Iterable[str]) -> list[str]:
    """Return every unordered pair of `symbols`, each with itself too, sorted as in files."""
    distinct = sorted(set(symbols))
    return [pair_name(first, second) for i, first in enumerate(distinct) for second in distinct[i:]]
