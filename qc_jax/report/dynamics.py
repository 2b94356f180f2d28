"""A simulation as files: extended XYZ, CSV, and a picture of energies and temperature."""

import csv
import os

import numpy as np
from matplotlib.figure import Figure

from qc_jax.data import files
from qc_jax.dynamics.md import Trajectory
from qc_jax.report.style import ACCENT, GREY, png, style


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
    import ase.io
    from ase.calculators.singlepoint import SinglePointCalculator

    frames = []
    for frame, step in enumerate(trajectory.steps):
        atoms = ase.Atoms(numbers, trajectory.positions[frame], cell=cell, pbc=cell is not None)
        atoms.info = {
            "step": int(step),
            "time_fs": float(trajectory.time_fs[frame]),
            "kinetic_ev": float(trajectory.kinetic[frame]),
            "temperature_k": float(trajectory.temperature[frame]),
        }
        atoms.arrays["velocities"] = np.asarray(trajectory.velocities[frame], np.float64)
        forces = np.asarray(trajectory.forces[frame], np.float64)
        energy = float(trajectory.potential[frame])
        atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=forces)
        frames.append(atoms)
    with files.atomic_write(path) as partial:
        ase.io.write(partial, frames, format="extxyz")


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
