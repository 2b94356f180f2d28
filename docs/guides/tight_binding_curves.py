"""Draw E(R) of four pairs by tight binding beside GFN2-xTB's: tight_binding_curves.png.

Run from the repository's root: `python docs/guides/tight_binding_curves.py`; the first time it
makes the tables of these elements (a minute or some).
"""

import pathlib

import matplotlib.pyplot as plt
import numpy as np
from tblite.interface import Calculator

import qc_jax
from qc_jax.chem import units
from qc_jax.chem.elements import element

PAIRS = {("H", "H"): None, ("N", "N"): None, ("C", "O"): None, ("Ag", "Al"): {"Al": "p"}}
STYLES = {"DFTB, PTBP": "C0-", "GFN2-xTB": "k:"}


def tight_binding(pair: tuple[str, str], distances: np.ndarray) -> np.ndarray:
    """Return the energies in eV, NaN where the charges do not settle."""
    points = [(pair, distance) for distance in distances]
    found = qc_jax.dftb.solve_all(points, max_l=PAIRS[pair])
    return np.array([getattr(point, "mermin_free_energy_ev", np.nan) for point in found])


def gfn2(pair: tuple[str, str], distances: np.ndarray) -> np.ndarray:
    """Return the energies in eV, NaN where tblite does not converge."""
    numbers = np.array([element(symbol).atomic_number for symbol in pair])
    energies = []
    for distance in distances:
        places = np.array([[0, 0, 0], [0, 0, distance]]) / units.BOHR_ANG
        calculator = Calculator("GFN2-xTB", numbers, places)
        calculator.set("verbosity", 0)
        try:
            energies.append(calculator.singlepoint().get("energy") * units.HARTREE_EV)
        except RuntimeError:
            energies.append(np.nan)
    return np.array(energies)


def main() -> None:
    """Draw the curves, each with its lowest energy at zero."""
    figure, panels = plt.subplots(2, 2, figsize=(9, 6.5), constrained_layout=True)
    for panel, pair in zip(panels.flat, PAIRS, strict=True):
        radii = sum(element(symbol).covalent_radius_ang for symbol in pair)
        distances = np.linspace(0.6, 2.6, 64) * radii
        curves = [
            tight_binding(pair, distances),
            gfn2(pair, distances),
        ]
        for (name, style), curve in zip(STYLES.items(), curves, strict=True):
            lowest = int(np.nanargmin(curve))
            panel.plot(distances, curve - curve[lowest], style, label=name)
            gaps = int(np.isnan(curve).sum())
            print(
                "-".join(pair), name, f"{curve[lowest]:.3f} eV at {distances[lowest]:.2f} Å", gaps
            )
        panel.set(title="–".join(pair), ylim=(-0.5, 15), xlabel="R / Å", ylabel="E − minimum / eV")
        panel.legend(frameon=False, fontsize=8)
    path = pathlib.Path(__file__).with_suffix(".png")
    figure.savefig(path, dpi=110)
    print(path)


if __name__ == "__main__":
    main()
