"""Compile what `train` would run for TPUs or GPUs that are not here, and say what it costs there.

    python -m experiments.compile --config=schnet --device=tpu:v5e:4x4
    python -m experiments.compile --config=egnn --config.sweep.target=all --device=gpu:h200:8
    python -m experiments.compile --models=all --device=tpu:v5e:2x4 --out=models.json
    python -m experiments.compile --preset=published --device=tpu:v5e:16x16
    python -m experiments.compile --config=schnet --structures=130831x29 --device=gpu:h100:1
    python -m experiments.compile --what=dftb --rows=2850 --device=gpu:h100:1  # canvas, densities

For each program: whether it compiles and fits, how long compiling takes, memory of a device,
arithmetic, bytes and collectives of a training step, kernels that it starts, what XLA and a
roofline by the published numbers of the device say that it takes, the largest stack that fits, and
the number of chips above which each of them mostly waits. Nothing runs on a device: the compilers
do without. Those of TPUs come with `pip install 'qc-jax[tpu]'`, those of GPUs with
`'qc-jax[cuda]'`.
"""

from collections.abc import Callable
from typing import Any

from qc_jax.accelerators import chips, computations, programs, topology
from qc_jax.data import files
from qc_jax.errors import InputError
from qc_jax.report.compiled import show_compiled
from qc_jax.runs import building, cli, grids, initial, progress, sources, sweep
from qc_jax.train.stack import Training

FLAGS = cli.Flags(__doc__)
_CONFIG = FLAGS.card(required=False)
_MODELS = FLAGS.strings("models", None, "Cards, one training each, instead of --config; or 'all'.")
_PRESET = FLAGS.enum("preset", None, grids.PRESETS, "Of `benchmark`, instead of --config.")
_DEVICE = FLAGS.strings(
    "device", None, "tpu:KIND:TOPOLOGY or gpu:KIND:NUMBER, or several.", required=True
)
_PARALLEL = FLAGS.enum(
    "parallel", "auto", ("auto", "data", "replicas"), "As --config.parallel, of --models, --preset."
)
_WHAT = FLAGS.enum(
    "what", "train", ("train", *computations.COMPUTATIONS), "What to compile; all but train alone."
)
_ROWS = FLAGS.integer("rows", 4096, "Pairs in a call, of --what but train.", lower_bound=1)
_STRUCTURES = FLAGS.string(
    "structures", None, "ROWSxATOMS: so many structures instead of the data; 130831x29 is QM9."
)
_OUT = FLAGS.string("out", None, "A .json file for the numbers.")
_OVERWRITE = FLAGS.boolean("overwrite", False, "Replace the file of --out.")


def main(_: list[str]) -> None:
    """Compile, print tables, write JSON."""
    _check_used()
    topology.prepare()
    if _OUT.value:
        cli.check_file(_OUT.value, (".json",), _OVERWRITE.value)
    targets = [chips.parse(text) for text in _DEVICE.value]
    compiled = _training() if _WHAT.value == "train" else _computation
    documents, failures = [], []
    for target in targets:
        found = compiled(target)
        failures += [f"{target.name}: {made.name} {made.reason}" for made in found if made.failed]
        show_compiled(target, found)
        documents.append(programs.document(target, found))
    if _OUT.value:
        files.write_json(_OUT.value, documents)
    if failures:
        raise InputError("; ".join(failures))


def _check_used() -> None:
    """Raise InputError for a flag that what is compiled does not use."""
    given, what = FLAGS.given(), _WHAT.value
    if _CONFIG.changes and "config" not in given:
        if what == "train" and given & {"models", "preset"}:
            raise InputError("--config.FIELD: is of --config, not of --models or --preset")
        given = given | {"config"}
    of_training = {"config", "models", "preset", "parallel", "structures"}
    for flag in sorted(given & ({"rows"} if what == "train" else of_training)):
        raise InputError(f"--{flag}: --what={what} does not use it")
    if {"config", "parallel"} <= given:
        raise InputError("--parallel: --config does not use it; expected --config.parallel")


def _computation(target: chips.Target) -> list[programs.Compiled]:
    return [computations.compile_one(target, _WHAT.value, _ROWS.value)]


def _training() -> Callable[[chips.Target], list[programs.Compiled]]:
    """Return what compiles all trainings for a target."""
    configs = _configs()
    # That of the sweep: its trainings have none of their own.
    most = _CONFIG.value["sweep"]["stack"] if _CONFIG.value else 0
    trainings = _trainings(configs)
    # Cards are trained one by one, not as a sweep.
    runs = [{name: each} for name, each in trainings.items()] if _MODELS.value else [trainings]

    def compiled(target: chips.Target) -> list[programs.Compiled]:
        found: list[programs.Compiled] = []
        with progress.Bar("programs", target.name) as bar:
            for run in runs:
                found += programs.compile_for(target, run, most, bar)
        return found

    return compiled


def _configs() -> dict[str, dict[str, Any]]:
    """Return the configurations of all trainings, by name."""
    given = [flag for flag in ("config", "models", "preset") if flag in FLAGS.given()]
    if len(given) != 1:
        words = " and ".join(f"--{flag}" for flag in given) or "none"
        raise InputError(f"expected --config, --models or --preset, got {words}")
    if _CONFIG.value:
        config = _CONFIG.value
        config = initial.resolve(config) if "transfer" in config else config
        return sweep.expand(config) if sweep.is_swept(config) else {"": config}
    if _PRESET.value:
        names, targets, seeds, changes = grids.preset(_PRESET.value)
        return grids.trainings(names, targets, seeds, parallel=_PARALLEL.value, **changes)
    names = grids.named(_MODELS.value)
    return {name: {**grids.card(name), "parallel": _PARALLEL.value} for name in names}


def _trainings(configs: dict[str, dict[str, Any]]) -> dict[str, Training]:
    size = programs.parse_size(_STRUCTURES.value) if _STRUCTURES.value else None
    first = next(iter(configs.values()))
    table = sources.open_data(first["data"], first["data_dir"])
    trainings = {}
    for name, config in configs.items():
        run = building.from_config(config, table)
        task = programs.sized(run.task, *size) if size else run.task
        trainings[name] = Training(run.model, task, run.settings)
    return trainings


if __name__ == "__main__":
    cli.run(main, FLAGS)
