"""A simulation as files: extended XYZ, CSV, and a picture of energies and temperature."""

import os
from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from qc_jax.data import files
from qc_jax.dynamics.md import MDConfig, Trajectory
from qc_jax.dynamics.potential import NO_SLOPES, Potential
from qc_jax.dynamics.vibration import Vibration
from qc_jax.report.style import ACCENT, GREY, png, style
from qc_jax.report.tables import number, show


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
        velocities = np.asarray(trajectory.velocities[frame], np.float64)
        atoms.arrays["velocities"] = velocities  # Å/fs, for readers that know no momenta
        atoms.set_velocities(velocities / ase.units.fs)
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
    files.write_text(path, pd.DataFrame(columns).to_csv(index=False))


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


def describe(trajectory: Trajectory, config: MDConfig, potential: Potential) -> list[str]:
    """Return lines that say how fast it was, what it kept, and where it left the training data."""
    steps = int(trajectory.steps[-1])
    rate = steps / max(trajectory.seconds, 1e-9)
    precision = "float64" if potential.double else "float32"
    lines = [
        f"{steps} steps of {config.dt_fs:g} fs in {precision}: "
        f"compiled in {trajectory.compile_seconds:.1f} s, simulated in {trajectory.seconds:.2f} s "
        f"({rate:.0f} steps/s)",
        f"temperature: mean {trajectory.temperature.mean():.1f} K",
    ]
    if config.ensemble == "nve" and steps:
        largest = np.abs(trajectory.total - trajectory.total[0]).max() / len(potential.numbers)
        lines.append(
            f"total energy: drift {trajectory.drift:.2e} eV per atom per ps, "
            f"never more than {largest:.2e} eV per atom from the start"
        )
    if potential.lists:
        lines.append(
            f"neighbours: searched anew {trajectory.rebuilt} times, "
            f"lists grew {trajectory.regrown} times"
        )
    if trajectory.first_outside is not None:
        step, found = trajectory.first_outside
        lines.append(
            f"WARNING: {trajectory.steps_outside} of {steps} steps have distances that the model "
            f"was not trained on, first step {step}: {'; '.join(found)}"
        )
    if not potential.learned_slopes:
        lines.append(f"WARNING: {NO_SLOPES}")
    started = potential.describe_outside(trajectory.positions[0])
    if started and (trajectory.first_outside is None or trajectory.first_outside[0]):
        lines.append(f"WARNING: the start is not as in training: {'; '.join(started)}")
    return lines


def show_vibrations(pair: str, found: Mapping[str, Vibration]) -> None:
    """Print vibrations of a pair by who found them, beside the last of them."""
    *_, reference = found.values()
    rows = [
        (
            name,
            f"{one.distance_ang:.4f}",
            number(one.force_constant),
            f"{one.wavenumber_cm:.1f}",
            f"{100 * (one.wavenumber_cm / reference.wavenumber_cm - 1):+.1f} %",
        )
        for name, one in found.items()
    ]
    columns = ("", "bond length Å", "force constant eV/Å²", "wavenumber 1/cm", "difference")
    show(f"{pair}: harmonic vibration at the minimum", columns, rows)
