"""Moves atoms on a trained energy model, or tells how a pair vibrates on it.

    python -m experiments.simulate --workdir=runs/curves --system=C_O --ensemble=nve \\
        --steps=2000 --dt_fs=0.5 --temperature=300 --seed=0 --float64 --out=runs/co
    python -m experiments.simulate --workdir=runs/curves --system=C_O --frequency

The model is one of elements and positions that was trained on mermin_free_energy_ev of pairs, best
at many bond lengths (`experiments.generate --curve`), or on total_energy_ev of larger structures:
what their forces are slopes of. --system is a pair, which starts at --distance or at the model's
minimum, or an XYZ file, periodic in all directions where its comment has a Lattice. --out gets
trajectory.xyz, log.csv and energies.png.

--frequency compares the harmonic wavenumber with GFN2-xTB's own, by tblite.
"""

import pathlib

import numpy as np

from qc_jax.chem.elements import element, pair_name
from qc_jax.data.atoms import Structure, read_structure
from qc_jax.dynamics import md, vibration
from qc_jax.dynamics.potential import Potential
from qc_jax.errors import InputError
from qc_jax.report import dynamics as report
from qc_jax.runs import cli, progress
from qc_jax.runs.loading import load
from qc_jax.runs.saved import SavedRun
from qc_jax.xtb.solutions import METHOD

FLAGS = cli.Flags(__doc__)
_WORKDIR = FLAGS.string("workdir", None, "Of experiments.train.", required=True)
_SYSTEM = FLAGS.string("system", None, "A pair like C_O, or FILE.xyz.", required=True)
_DISTANCE = FLAGS.number("distance", None, "Å, where a pair starts.")
_CONFIG = {  # fields of MDConfig
    "ensemble": FLAGS.enum("ensemble", "nve", md.ENSEMBLES, "Energy or temperature is kept."),
    "steps": FLAGS.integer("steps", 1000, "Of the integrator."),
    "dt_fs": FLAGS.number("dt_fs", 0.5, "A step, fs."),
    "temperature": FLAGS.number("temperature", 300.0, "K, of the first velocities as well."),
    "friction": FLAGS.number("friction", 10.0, "1/ps, of the nvt thermostat."),
    "seed": FLAGS.integer("seed", 0, "Of velocities and thermostat."),
    "every": FLAGS.integer("every", 1, "Steps from one frame that is written to the next."),
}
_FLOAT64 = FLAGS.boolean("float64", False, "Calculate in float64.")
_FREQUENCY = FLAGS.boolean("frequency", False, "How a pair vibrates; nothing is simulated.")
_OUT = FLAGS.string("out", None, "An empty or new directory for the files.")


def main(_: list[str]) -> None:
    """Simulate, or print frequencies."""
    unused = sorted(FLAGS.given() & {*_CONFIG, "distance", "float64", "out"})
    if _FREQUENCY.value and unused:
        raise InputError(f"--{unused[0]} is of a simulation; --frequency does not use it")
    if "friction" in unused and _CONFIG["ensemble"].value != "nvt":
        raise InputError("--friction is of --ensemble=nvt; nve does not use it")
    if _FREQUENCY.value:
        numbers, run = _numbers(), load(_WORKDIR.value)
        ours, reference = vibration.of_run(run, numbers), vibration.of_gfn2(numbers)
        found = {run.config.model.name: ours, METHOD: reference}
        report.show_vibrations(pair_name(*numbers.tolist()), found)
    elif _OUT.value is None:
        raise InputError("expected --out=DIR, or --frequency")
    else:
        _simulate(md.MDConfig(**{name: flag.value for name, flag in _CONFIG.items()}))


def _simulate(config: md.MDConfig) -> None:
    out = pathlib.Path(_OUT.value)
    cli.check_out(out)
    run, structure = load(_WORKDIR.value), None
    if _SYSTEM.value.endswith(".xyz"):
        if _DISTANCE.value is not None:
            raise InputError("--distance is of a pair; the file has positions")
        structure = read_structure(_SYSTEM.value)
    else:
        structure = _pair(run, _numbers())
    potential = Potential(run, structure, _FLOAT64.value)
    cli.make_out(out)
    with progress.Bar("steps") as bar:
        done = md.run(
            potential, structure.positions, config, lambda step, _: bar(step, config.steps)
        )
    report.write_extxyz(out / "trajectory.xyz", done, potential.numbers, potential.cell)
    report.write_csv(out / "log.csv", done)
    name = pathlib.Path(_SYSTEM.value).stem
    title = f"{name}, {config.ensemble} at {config.temperature:g} K, {config.dt_fs:g} fs"
    report.plot(out / "energies.png", done, title)
    print("\n".join(report.describe(done, config, potential)))
    print(f"trajectory.xyz, log.csv and energies.png are in {out}")
    if done.broke:
        raise InputError(
            f"{done.broke}; try a shorter --dt_fs or a lower --temperature, or a model that was "
            "trained where the atoms went; what came before is written"
        )


def _numbers() -> np.ndarray:
    symbols = _SYSTEM.value.split("_")
    if len(symbols) != 2:
        raise InputError(f"--system: expected a pair like C_O, or FILE.xyz, got {_SYSTEM.value!r}")
    return np.array([element(symbol).atomic_number for symbol in pair_name(*symbols).split("_")])


def _pair(run: SavedRun, numbers: np.ndarray) -> Structure:
    """Return a pair at --distance, or at the minimum of its energy."""
    distance = _DISTANCE.value
    if distance is None:
        distance = vibration.of_run(run, numbers).distance_ang
    if not 0 < distance < np.inf:
        raise InputError(f"--distance: expected a length above 0 Å, got {distance}")
    return Structure(numbers, np.array([[0.0, 0.0, 0.0], [0.0, 0.0, distance]]))


if __name__ == "__main__":
    cli.run(main, FLAGS)
