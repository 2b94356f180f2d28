"""A simulation as files: extended XYZ, CSV, and a picture of energies and temperature."""

import csv
import os

import numpy as np
from matplotlib.figure import Figure

from qc_jax.chem.elements import element
from qc_jax.data import files
from qc_jax.dynamics.md import Trajectory
from qc_jax.report.style import ACCENT, GREY, png, style

_COLUMNS = "species:S:1:pos:R:3:forces:R:3:velocities:R:3"


def write_extxyz(
    path: str | os.PathLike, trajectory: Trajectory, numbers: np.ndarray, cell: np.ndarray | None
) -> None:
    """Writes all frames: ASE reads energy (eV) and forces (eV/Å) as results of a calculator.

    Velocities (Å/fs) are an array of the atoms; time (fs), step, temperature (K) and kinetic energy
    (eV) stand in the comment.

    Args:
      path: of the file.
      trajectory: F frames of n atoms.
      numbers: [n] atomic numbers.
      cell: [3, 3] Å, or None.

    Raises:
      InputError: it cannot be written.
    """
    symbols = [element(int(number)).symbol for number in numbers]
    lattice = "" if cell is None else f'Lattice="{" ".join(map(repr, cell.ravel().tolist()))}" '
    periodic = "F F F" if cell is None else "T T T"
    arrays = (trajectory.positions, trajectory.forces, trajectory.velocities)
    with files.atomic_write(path) as partial, open(partial, "w", encoding="utf-8") as file:
        for frame, step in enumerate(trajectory.steps):
            file.write(
                f"{len(symbols)}\n"
                f"{lattice}Properties={_COLUMNS} energy={trajectory.potential[frame]:.10f} "
                f"step={step} time_fs={trajectory.time_fs[frame]:.10g} "
                f"kinetic_ev={trajectory.kinetic[frame]:.10g} "
                f'temperature_k={trajectory.temperature[frame]:.6g} pbc="{periodic}"\n'
            )
            table = np.concatenate([array[frame] for array in arrays], axis=1)
            for symbol, row in zip(symbols, table, strict=True):
                file.write(f"{symbol:2s} " + " ".join(f"{value:17.10g}" for value in row) + "\n")


def write_csv(path: str | os.PathLike, trajectory: Trajectory) -> None:
    """Writes a line a frame; units are in the header.

    Raises:
      InputError: it cannot be written.
    """
    columns = {
        "step": trajectory.steps,
        "time_fs": trajectory.time_fs,
        "potential_ev": trajectory.potential,
        "kinetic_ev": trajectory.kinetic,
        "total_ev": trajectory.total,
        "temperature_k": trajectory.temperature,
        "distances_outside": trajectory.outside,
    }
    with (
        files.atomic_write(path) as partial,
        open(partial, "w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*(column.tolist() for column in columns.values()), strict=True))


def plot(path: str | os.PathLike, trajectory: Trajectory, title: str) -> None:
    """Writes a PNG: changes of the energies an atom since the start, and the temperature, by time.

    Frames with distances that the model was not trained on are grey behind.

    Raises:
      InputError: it cannot be written.
    """
    time = trajectory.time_fs
    atoms = trajectory.positions.shape[1]
    with style():
        page = Figure(figsize=(7, 5.2), layout="constrained")
        page.suptitle(title)
        above, below = page.subplots(2, 1, sharex=True, height_ratios=(2, 1))
        energies = {
            "potential": (trajectory.potential, ACCENT),
            "kinetic": (trajectory.kinetic, "#d9822b"),
            "total": (trajectory.total, "#16181d"),
        }
        for name, (energy, colour) in energies.items():
            above.plot(time, (energy - energy[0]) / atoms, color=colour, label=name, linewidth=1)
        above.set_ylabel("change of energy (eV an atom)")
        below.plot(time, trajectory.temperature, color=ACCENT, linewidth=1)
        below.set_ylabel("temperature (K)")
        below.set_xlabel("time (fs)")
        outside = trajectory.outside > 0
        if outside.any():
            for axis in (above, below):
                axis.fill_between(
                    time,
                    0,
                    1,
                    where=outside.tolist(),
                    transform=axis.get_xaxis_transform(),
                    color=GREY,
                    alpha=0.25,
                    linewidth=0,
                    label="outside of the training data" if axis is above else None,
                )
        above.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=4)
        picture = png(page)
    with files.atomic_write(path) as partial, open(partial, "wb") as file:
        file.write(picture)
