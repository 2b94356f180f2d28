"""The orbitals of GFN2-xTB: Slater functions as sums of Gaussians, at most one s, p and d an atom.

A shell n, l with exponent ζ is R(r) = r^l Σ_k w_k exp(−a_k r²): the least-squares fit of so many
Gaussians to the Slater function r^(n−1) exp(−ζ r), all exponents free (R. F. Stewart, J. Chem.
Phys. 52, 431, 1970). Shells, exponents and numbers of Gaussians are what tblite says of its
parameters; the fits are computed here. The result ships, so that drawing needs no tblite.
"""

import functools
import importlib.resources
import itertools
import math
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.optimize import least_squares

from qc_jax.chem.elements import element
from qc_jax.data import files
from qc_jax.xtb.solutions import require

SHELLS = "spd"
_MOST = 6  # Gaussians of a shell
_FILE = "basis.npz"  # `tabulate` of all elements

# Points at which a fit is compared, evenly spaced in log r, for ζ = 1.
_LOG_R = np.linspace(-9, 6, 500)
_R = np.exp(_LOG_R)
_ROOT = np.sqrt((_LOG_R[1] - _LOG_R[0]) * _R**3)  # of their weights in ∫ r² dr


class Basis(NamedTuple):
    """Shells of elements 1 to Z, in rows; zero where there is none. Atomic units.

    Attributes:
      exponents: a_k.
      weights: w_k.
      electrons: in each shell of the neutral atom that the method refers to.
      hubbards: chemical hardness, hartree.
    """

    exponents: Float[np.ndarray, "Z 3 6"]
    weights: Float[np.ndarray, "Z 3 6"]
    electrons: Float[np.ndarray, "Z 3"]
    hubbards: Float[np.ndarray, " Z"]


def fit(n: int, l: int, count: int) -> tuple[np.ndarray, np.ndarray]:  # noqa: E741
    """Fit normalised Gaussians to the Slater function r^(n−1) exp(−r).

    The integral of the squared difference has several minima: the lowest of those that
    even-tempered exponents lead to is taken, and the sum normalised.

    Args:
      n: principal quantum number, from l + 1.
      l: 0, 1 or 2.
      count: Gaussians.

    Returns:
      Exponents, falling, and the coefficients of the normalised Gaussians.
    """
    slater = _ROOT * _R ** (n - 1) * np.exp(-_R)
    slater /= np.linalg.norm(slater)

    def projected(logs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        columns = (_ROOT * _norms(np.exp(logs), l)[:, None] * _primitives(np.exp(logs), l)).T
        return columns, np.linalg.lstsq(columns, slater, rcond=1e-11)[0]

    def residual(logs: np.ndarray) -> np.ndarray:
        columns, weights = projected(logs)
        return columns @ weights - slater

    found = []
    for lowest, ratio in itertools.product((0.4, 0.7, 1.0, 1.5), (1.6, 2.2, 3.0, 4.5)):
        start = np.log(0.12 * lowest * (2.5 / n) ** 1.6 * ratio ** np.arange(count))
        given = {"jac": "3-point", "xtol": 1e-15, "ftol": 1e-15, "gtol": 1e-15, "max_nfev": 400}
        found.append(least_squares(residual, start, **given))
    logs = np.sort(min(found, key=lambda one: one.cost).x)[::-1]
    columns, weights = projected(logs)
    return np.exp(logs), weights / np.linalg.norm(columns @ weights)


def tabulate() -> Basis:
    """Return the shells of all elements of tblite's parameters, as the shipped file has them.

    Raises:
      InputError: tblite is not installed.
    """
    given = _parameters()["element"]
    last = max(element(symbol).atomic_number for symbol in given)
    shape = (last, len(SHELLS))
    made = Basis(
        np.zeros((*shape, _MOST)), np.zeros((*shape, _MOST)), np.zeros(shape), np.zeros(last)
    )
    for symbol, own in given.items():
        row = element(symbol).atomic_number - 1
        made.hubbards[row] = own["gam"]
        columns = zip(own["shells"], own["slater"], own["ngauss"], own["refocc"], strict=True)
        for shell, slater, count, electrons in columns:
            k = SHELLS.index(shell[-1])
            assert not made.weights[row, k].any(), f"{symbol}: expected one shell of each l"
            exponents, weights = _fitted(int(shell[:-1]), k, count)
            exponents = exponents * slater**2
            made.exponents[row, k, :count] = exponents
            made.weights[row, k, :count] = weights * _norms(exponents, k)
            made.electrons[row, k] = electrons
    return made


@functools.cache
def shipped() -> Basis:
    """Return `tabulate` as it ships."""
    with importlib.resources.as_file(importlib.resources.files(__package__) / _FILE) as path:
        kept = files.read_npz(path, "orbitals of GFN2-xTB")
    return Basis(**{name: kept[name] for name in Basis._fields})


def radial(number: int, r: Float[np.ndarray, " points"]) -> Float[np.ndarray, "points 3"]:
    """Return R_s, R_p and R_d of an element, by its atomic number, at r bohr; bohr^(-3/2)."""
    exponents, weights = (part[number - 1] for part in shipped()[:2])
    columns = [weights[k] @ _primitives(exponents[k], k, r) for k in range(len(SHELLS))]
    return np.stack(columns, axis=-1)


_fitted = functools.cache(fit)


def _primitives(exponents: np.ndarray, k: int, r: np.ndarray = _R) -> np.ndarray:
    return r**k * np.exp(-exponents[:, None] * r**2)


def _norms(exponents: np.ndarray, k: int) -> np.ndarray:
    return np.sqrt(2 * (2 * exponents) ** (k + 1.5) / math.gamma(k + 1.5))


def _parameters() -> dict[str, Any]:
    """Return tblite's parameters of the method."""
    require()
    from tblite import library

    parameters, table = library.new_param(), library.new_table()
    library.export_gfn2_param(parameters)
    library.dump_param(parameters, table)
    return library.table_to_dict(table)
