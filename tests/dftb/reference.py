"""DFTB+'s numbers, and the Slater-Koster files that it had, written from the tables they held."""

import functools
import json
import pathlib
from collections.abc import Mapping

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.special import erfc

from qc_jax.chem.elements import element
from qc_jax.dftb import repulsion, skf
from qc_jax.dftb.parameters import parameters

FIXTURE = pathlib.Path(__file__).parents[1] / "fixtures" / "dftb_reference.npz"
SHARED = pathlib.Path(__file__).parents[3] / "shared" / "ptbp"


@functools.cache
def of_fixture() -> tuple[dict[str, np.ndarray], list[dict], list[dict]]:
    """Tables of H and O by 'H-O', DFTB+'s runs of pairs, and of molecules."""
    data = np.load(FIXTURE)
    tables = {}
    for key in data.files:
        if key.startswith("table/"):
            name = key.removeprefix("table/")
            tables[name] = np.zeros((len(data[key]), 20))
            tables[name][:, data[f"columns/{name}"]] = data[key]
    return tables, json.loads(str(data["pairs"])), json.loads(str(data["molecules"]))


def write(directory: pathlib.Path, tables: Mapping[str, np.ndarray]) -> None:
    """The files that hold these tables, with the published repulsion."""
    directory.mkdir(parents=True, exist_ok=True)
    points = np.linspace(0.5, 20, 700)
    for name, table in tables.items():
        first, second = name.split("-")
        (charges,), (width,) = repulsion.closed_form([(first, second)])
        values = charges * erfc(points / width) / points
        coefficients = np.zeros((len(points) - 1, 6))
        coefficients[:, :4] = CubicSpline(points, values, bc_type="natural").c[::-1].T
        spline = skf.Spline(np.array([0.0, -50.0, values[0]]), points, coefficients)
        atom = None
        if first == second:
            numbers = parameters(first)
            electrons = {shell[-1]: numbers.configuration[shell] for shell in numbers.valence}
            atom = skf.Atom(
                *(
                    {x: round(one.get(x, 0.0), 6) for x in "dps"}
                    for one in (numbers.onsite, numbers.hubbard, electrons)
                ),
                element(first).mass_amu,
            )
        file = skf.SlaterKosterFile(0.02, table, atom, spline)
        (directory / f"{name}.skf").write_text(skf.to_text(file))
