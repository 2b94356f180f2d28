"""Moves atoms on a trained energy model, or tells how a pair vibrates on it.

    python -m experiments.simulate --workdir=runs/curves --system=C_O --ensemble=nve \\
        --steps=2000 --dt_fs=0.5 --temperature=300 --seed=0 --float64 --out=runs/co
    python -m experiments.simulate --workdir=runs/curves --system=C_O --frequency

The model is one of elements and positions that was trained on total_energy_ev or
mermin_free_energy_ev, best at many bond lengths (`experiments.generate --curve`). --system is a
pair, which starts at --distance or at the model's minimum, or an XYZ file, periodic in all
directions where its comment has a Lattice. --out gets trajectory.xyz, log.csv and energies.png.

--frequency compares the harmonic wavenumber with GFN2-xTB's own, by tblite.
"""

import pathlib
import tempfile

import numpy as np

from qc_jax.chem.elements import element, pair_name
from qc_jax.data.atoms import Structure, read_structure
from qc_jax.dynamics import md, vibration
from qc_jax.dynamics.potential import Potential
from qc_jax.dynamics.vibration import Vibration
from qc_jax.engines import tblite
from qc_jax.engines.engine import EngineError
from qc_jax.errors import InputError
from qc_jax.report import dynamics as report
from qc_jax.report.tables import number, show
from qc_jax.runs import cli, progress
from qc_jax.runs.saved import SavedRun, load

FLAGS = cli.Flags(__doc__)
_WORKDIR = FLAGS.string("workdir", None, "Of experiments.train.", required=True)
_SYSTEM = FLAGS.string("system", None, "A pair like C_O, or FILE.xyz.", required=True)
_DISTANCE = FLAGS.number("distance", None, "Å, where a pair starts.")
_ENSEMBLE = FLAGS.enum("ensemble", "nve", md.ENSEMBLES, "Energy or temperature is kept.")
_STEPS = FLAGS.integer("steps", 1000, "Of the integrator.")
_DT = FLAGS.number("dt_fs", 0.5, "A step, fs.")
_TEMPERATURE = FLAGS.number("temperature", 300.0, "K, of the first velocities as well.")
_FRICTION = FLAGS.number("friction", 10.0, "1/ps, of the nvt thermostat.")
_SEED = FLAGS.integer("seed", 0, "Of velocities and thermostat.")
_EVERY = FLAGS.integer("every", 1, "Steps from one frame that is written to the next.")
_FLOAT64 = FLAGS.boolean("float64", False, "Calculate in float64.")
_FREQUENCY = FLAGS.boolean("frequency", False, "How a pair vibrates; nothing is simulated.")
_OUT = FLAGS.string("out", None, "An empty or new directory for the files.")

# Flags that --frequency does not use.
_OF_MOTION = {"ensemble", "steps", "dt_fs", "temperature", "friction", "seed", "every", "distance"}
_STEP_ANG = 0.005  # of the reference's second derivative


def main(_: list[str]) -> None:
    """Simulates, or prints frequencies."""
    unused = sorted(FLAGS.given() & _OF_MOTION)
    if _FREQUENCY.value and unused:
        raise InputError(f"--{unused[0]} is of a simulation; --frequency does not use it")
    if "friction" in unused and _ENSEMBLE.value != "nvt":
        raise InputError(f"--friction is of --ensemble=nvt; {_ENSEMBLE.value} does not use it")
    if _FREQUENCY.value:
        if _OUT.value is not None:
            raise InputError("--frequency writes no files; expected it or --out")
        _frequency()
        return
    if _OUT.value is None:
        raise InputError("expected --out=DIR, or --frequency")
    config = md.MDConfig(
        ensemble=_ENSEMBLE.value,
        steps=_STEPS.value,
        dt_fs=_DT.value,
        temperature=_TEMPERATURE.value,
        seed=_SEED.value,
        friction=_FRICTION.value,
        every=_EVERY.value,
    )
    out = pathlib.Path(_OUT.value)
    cli.check_out(out)
    _simulate(config, out)


def _simulate(config: md.MDConfig, out: pathlib.Path) -> None:
    potential, structure = _potential(_FLOAT64.value)
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
    lines = _account(done, config, potential)
    started = potential.describe_outside(structure.positions)
    if started and (done.first_outside is None or done.first_outside[0]):
        lines.append(f"WARNING: the start is not as in training: {'; '.join(started)}")
    print("\n".join(lines))
    print(f"trajectory.xyz, log.csv and energies.png are in {out}")
    if done.broke:
        raise InputError(
            f"{done.broke}; try a shorter --dt_fs or a lower --temperature, or a model that was "
            "trained where the atoms went; what came before is written"
        )


def _account(done: md.Trajectory, config: md.MDConfig, potential: Potential) -> list[str]:
    steps = int(done.steps[-1])
    rate = steps / max(done.seconds, 1e-9)
    precision = "float64" if potential.double else "float32"
    lines = [
        f"{steps} steps of {config.dt_fs:g} fs in {precision}: "
        f"compiled in {done.compile_seconds:.1f} s, simulated in {done.seconds:.2f} s "
        f"({rate:.0f} steps/s)",
        f"temperature: mean {done.temperature.mean():.1f} K",
    ]
    if config.ensemble == "nve":
        away = np.abs(done.total - done.total[0]).max() / len(potential.numbers)
        lines.append(
            f"total energy: drift {done.drift:.2e} eV per atom per ps, "
            f"never more than {away:.2e} eV per atom from the start"
        )
    if potential.lists:
        lines.append(
            f"neighbours: searched anew {done.rebuilt} times, lists grew {done.regrown} times"
        )
    if done.first_outside is not None:
        step, found = done.first_outside
        lines.append(
            f"WARNING: {done.steps_outside} of {steps} steps have distances that the model was not "
            f"trained on, first step {step}: {'; '.join(found)}"
        )
    return lines


def _potential(double: bool) -> tuple[Potential, Structure]:
    """The potential of the flags' system, and where its atoms start."""
    run = load(_WORKDIR.value)
    if _SYSTEM.value.endswith(".xyz"):
        if _DISTANCE.value is not None:
            raise InputError("--distance is of a pair; the file has positions")
        structure = read_structure(_SYSTEM.value)
        return Potential(run, structure, double), structure
    numbers = _numbers()
    distance = _DISTANCE.value
    if distance is None:
        at = Potential(run, _pair(numbers, 1.0), double=True)
        distance = vibration.of_pair(at, *_trained_range(run, numbers)).distance_ang
    if not 0 < distance < np.inf:
        raise InputError(f"--distance: expected a length above 0 Å, got {distance}")
    structure = _pair(numbers, distance)
    return Potential(run, structure, double), structure


def _trained_range(run: SavedRun, numbers: np.ndarray) -> tuple[float, float]:
    """Return the distances (Å) between which the model knows two elements."""
    if run.domain is None:
        raise InputError(f"{_WORKDIR.value} does not say at which distances it was trained")
    return run.domain.range_of(int(numbers[0]), int(numbers[1]))


def _numbers() -> np.ndarray:
    symbols = _SYSTEM.value.split("_")
    if len(symbols) != 2:
        raise InputError(f"--system: expected a pair like C_O, or FILE.xyz, got {_SYSTEM.value!r}")
    name = pair_name(*symbols)
    return np.array([element(symbol).atomic_number for symbol in name.split("_")])


def _pair(numbers: np.ndarray, distance: float) -> Structure:
    return Structure(numbers, np.array([[0.0, 0.0, 0.0], [0.0, 0.0, distance]]))


def _frequency() -> None:
    numbers = _numbers()
    run = load(_WORKDIR.value)
    at = Potential(run, _pair(numbers, 1.0), double=True)
    ours = vibration.of_pair(at, *_trained_range(run, numbers))
    name = run.config.model.name
    found = {
        name: ours,
        f"{name}, by ASE": _by_ase(run, numbers, ours.distance_ang),
        tblite.METHOD: _reference(numbers),
    }
    reference = found[tblite.METHOD]
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
    show(f"{pair_name(*numbers.tolist())}: harmonic vibration at the minimum", columns, rows)


def _by_ase(run: SavedRun, numbers: np.ndarray, start: float) -> Vibration:
    """By the calculator, ASE's relaxation and its differences of forces."""
    from ase import Atoms, units
    from ase.optimize import BFGS
    from ase.vibrations import Vibrations

    from qc_jax.ase import Calculator

    atoms = Atoms(numbers, _pair(numbers, start).positions)
    with tempfile.TemporaryDirectory() as folder:
        atoms.calc = Calculator(run)
        BFGS(atoms, logfile=None).run(fmax=1e-5, steps=100)
        modes = Vibrations(atoms, name=f"{folder}/modes", delta=0.005)
        modes.run()
        wavenumber = float(modes.get_frequencies().real[-1])
    one, other = atoms.get_masses()
    omega = 2 * np.pi * wavenumber * 100 * units._c / units.second
    return Vibration(
        float(atoms.get_distance(0, 1)), float(omega**2 * one * other / (one + other)), wavenumber
    )


def _reference(numbers: np.ndarray) -> Vibration:
    """GFN2-xTB's own, as the data are made: its minimum, and differences of its gradients."""
    engine = tblite.TbliteEngine()
    name = pair_name(*numbers.tolist())
    try:
        relaxed = engine.compute(name)
    except EngineError as error:
        raise InputError(f"{tblite.METHOD} of {name}: {error}") from error
    curve = tblite.PairCurve(numbers.tolist(), engine.config)
    near = curve.solve(relaxed.distance, fine=True)
    sides = [curve.solve(relaxed.distance + h, near, fine=True) for h in (-_STEP_ANG, _STEP_ANG)]
    if sides[0] is None or sides[1] is None:
        raise InputError(f"{tblite.METHOD} of {name}: does not converge beside its minimum")
    constant = (sides[1].gradient - sides[0].gradient) / (2 * _STEP_ANG)
    return vibration.of_force_constant(numbers, relaxed.distance, constant)


if __name__ == "__main__":
    cli.run(main, FLAGS)
