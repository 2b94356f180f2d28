"""Trains and scores the whole benchmark: models × targets × seeds, as one grid.

    python -m experiments.benchmark --workdir=runs/benchmark --preset=quick
    python -m experiments.benchmark --workdir=runs/benchmark [--models=schnet,egnn] \\
        [--targets=e_g_ev,e_homo_ev] [--seeds=42,123,456] [--data=gfn2_xtb] [--split=random]

The same command goes on where an interrupted one stopped, and another one on the same data adds to
what is there. Each model is trained by its experiment card. On a CPU each core is a device of its
own. The work directory gets results.csv and results.parquet, a row a number; commands.jsonl, what
was run; and trainings/NAME, the work directory of each training. `experiments.report` makes tables
and pictures of it.
"""

import datetime
import importlib
import json
import os
import pkgutil
import platform
import shlex
import sys
import time
from collections.abc import Iterable, Sequence
from typing import Any

from absl import flags

from experiments import cli, distributed
from experiments import configs as experiment_cards
from qc_jax import models
from qc_jax.data.targets import BENCHMARK_TARGETS
from qc_jax.errors import InputError, choose
from qc_jax.report import source
from qc_jax.report.tables import show_sweep
from qc_jax.runs import building, progress, results, sweep
from qc_jax.train import hosts, loop

SEEDS = (42, 123, 456)
# The eight architectures of the published benchmark, whose 'egnn' is what is called gcn here.
PUBLISHED = (
    *("schnet", "faenet", "gcn", "gatv2", "dimenet", "vit", "quantumshellnet", "multimodal"),
)
# What the quick preset trains: the models that read no canvas, on targets of all kinds.
_QUICK_TARGETS = ("e_g_ev", "e_homo_ev", "e_lumo_ev", "total_energy_ev", "dipole_mag_d")
_QUICK_SEEDS = (42,)

_WORKDIR = flags.DEFINE_string("workdir", None, "Where the benchmark is kept.", required=True)
_PRESET = flags.DEFINE_enum(
    "preset",
    "full",
    ("quick", "published", "full"),
    "What --models, --targets and --seeds are by default: quick takes minutes on two cores, "
    "published is the 480 trainings of the paper's eight architectures, full is all that is here.",
)
_MODELS = flags.DEFINE_list("models", None, "Cards of experiments/configs, or 'all'.")
_TARGETS = flags.DEFINE_list("targets", None, "Targets, or 'all' of the benchmark.")
_SEEDS = flags.DEFINE_list("seeds", None, "Each seeds a split and a training.")
_DATA = flags.DEFINE_string("data", "gfn2_xtb", "As --config.data; 'ptbp' is TFDS's.")
_DATA_DIR = flags.DEFINE_string("data_dir", "", "Of TFDS, where --data is 'ptbp' or 'tfds:…'.")
_SPLIT = flags.DEFINE_string("split", "random", "As --config.split.")
_EPOCHS = flags.DEFINE_integer(
    "epochs", None, "At most, instead of each card's; for a look.", lower_bound=1
)
_STACK = flags.DEFINE_integer("stack", 0, "Trainings in one program; 0 takes what is good.")
_PARALLEL = flags.DEFINE_enum("parallel", "auto", ("auto", "data", "replicas"), "As --config.…")
_PRECISION = flags.DEFINE_string("precision", "float32", "As --config.precision.")


def cards() -> tuple[str, ...]:
    """The names of the experiment cards, which are those of the models."""
    modules = pkgutil.iter_modules(experiment_cards.__path__)
    names = {module.name for module in modules if not module.ispkg}
    return tuple(sorted(names - {"common"}))


def card(model: str) -> dict[str, Any]:
    """The configuration of a model's card.

    Raises:
      InputError: there is no such card.
    """
    choose("model", model, cards())
    return importlib.import_module(f"experiments.configs.{model}").get_config().to_dict()


def trainings(
    names: Iterable[str], targets: Iterable[str], seeds: Iterable[int], **changed: Any
) -> dict[str, dict[str, Any]]:
    """The configurations of a grid of trainings, by names like 'egnn-e_homo_ev-seed42'.

    Args:
      names: of models.
      targets: each is learned alone.
      seeds: of splits and trainings.
      **changed: of the fields of every card. Another split than the random one, which the published
        benchmark has, is told in the names.

    Raises:
      InputError: an unknown model.
    """
    suffix = "" if changed.get("split", "random") == "random" else f"-{changed['split']}"
    found = {}
    for name in names:
        config = {**card(name), **changed}
        config["sweep"] |= {
            "target": ",".join(targets),
            "seed": ",".join(map(str, seeds)),
        }
        for own, one in sweep.expand(config).items():
            found[f"{name}-{own}{suffix}"] = one
    return found


def left_out(
    names: Sequence[str], targets: Sequence[str], seeds: Sequence[int], epochs: int | None
) -> list[str]:
    """Lines that say what of all models, targets and seeds was not asked for.

    Args:
      names: of the models that were.
      targets: that were.
      seeds: that were.
      epochs: that each training has at most, or None for those of the cards.
    """
    lines = []
    for what, asked, all_of in (
        ("models", names, cards()),
        ("targets", targets, BENCHMARK_TARGETS),
        ("seeds", seeds, SEEDS),
    ):
        missing = [str(one) for one in all_of if one not in asked]
        if missing:
            lines.append(f"left out: {len(missing)} of {len(all_of)} {what}: {', '.join(missing)}")
    if epochs is not None:
        lines.append(f"trained for {epochs} epochs at most, whatever the cards say")
    return lines


def note_command(directory: str | os.PathLike, **more: Any) -> None:
    """Adds this process's command to commands.jsonl, with its time, machine and code."""
    line = {
        "command": shlex.join(["python", "-m", *_module(), *sys.argv[1:]]),
        "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "versions": building.versions(),
        **more,
    }
    with open(os.path.join(directory, "commands.jsonl"), "a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def _module() -> list[str]:
    spec = sys.modules["__main__"].__spec__
    return [spec.name.removesuffix(".__main__")] if spec else []


def asked(
    names: Sequence[str], targets: Sequence[str], seeds: Sequence[int]
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[int, ...]]:
    """Models, targets and seeds by the flags; those that are given here where there is no flag.

    Raises:
      InputError: none, one of them twice, or a seed that is no number.
    """
    if _MODELS.value is not None:
        names = cards() if _MODELS.value == ["all"] else _MODELS.value
    if _TARGETS.value is not None:
        targets = BENCHMARK_TARGETS if _TARGETS.value == ["all"] else _TARGETS.value
    if _SEEDS.value is not None:
        try:
            seeds = [int(text) for text in _SEEDS.value]
        except ValueError:
            given = ",".join(_SEEDS.value)
            raise InputError(f"--seeds: expected whole numbers like 42,123, got {given}") from None
    for flag, values in (("models", names), ("targets", targets), ("seeds", seeds)):
        if not values or len(set(values)) < len(values):
            raise InputError(f"--{flag}: expected different values, got {values}")
    return tuple(names), tuple(targets), tuple(seeds)


def changes() -> dict[str, Any]:
    """What the flags change in every card, but for the split."""
    data = "tfds:quantum_canvas/ptbp" if _DATA.value == "ptbp" else _DATA.value
    changed: dict[str, Any] = {
        "data": data,
        "data_dir": _DATA_DIR.value,
        "parallel": _PARALLEL.value,
        "precision": _PRECISION.value,
    }
    if _EPOCHS.value is not None:
        changed["epochs"] = _EPOCHS.value
    return changed


def _preset() -> tuple[Sequence[str], Sequence[str], Sequence[int]]:
    """The models, targets and seeds of --preset."""
    match _PRESET.value:
        case "published":
            return PUBLISHED, BENCHMARK_TARGETS, SEEDS
        case "quick":
            names = [name for name in cards() if "canvas" not in models.describe(name).inputs]
            return names, _QUICK_TARGETS, _QUICK_SEEDS
        case _:
            return cards(), BENCHMARK_TARGETS, SEEDS


def main(argv: list[str]) -> None:
    """Trains, scores, prints the table and what was left out of it."""
    if argv:
        raise InputError(f"expected flags only (--workdir=...), got {argv[0]!r}")
    building.use_a_device_per_core()
    names, targets, seeds = asked(*_preset())
    configs = trainings(names, targets, seeds, split=_SPLIT.value, **changes())
    missing = left_out(names, targets, seeds, _EPOCHS.value)
    with distributed.joined(), cli.stop_on_sigterm() as stop:
        made = sweep.Sweep(configs, _WORKDIR.value, _STACK.value)
        start = time.monotonic()
        if hosts.first():
            note_command(made.workdir.path, event="started", left_out=missing)
        try:
            progress.train(made, stop)
        except loop.Interrupted:
            print("asked to stop, and all is saved: resume with the same command")
            return
        if not hosts.first():
            return
        seconds = time.monotonic() - start
        note_command(made.workdir.path, event="ended", seconds=seconds)
        frame = source.with_tests(source.read(made.workdir.path, sweep.lines)).trained
        for name in ("results.csv", "results.parquet"):
            results.write(made.workdir.path / name, frame)
    show_sweep(made.results)
    print(f"{len(made)} trainings; those that were not there yet took {seconds:.0f} s")
    print("\n".join(missing))


if __name__ == "__main__":
    cli.run(main)
