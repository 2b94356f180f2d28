"""Grids of trainings by the cards: what the benchmark and its studies share."""

import datetime
import hashlib
import json
import os
import platform
import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from qc_jax import models
from qc_jax.data import files
from qc_jax.data.table import DEFAULT
from qc_jax.data.targets import ALL_TARGETS, BENCHMARK_TARGETS, target
from qc_jax.errors import InputError, choose
from qc_jax.runs import building, cards, cli, sweep

SEEDS = (42, 123, 456)
# The eight architectures of the published benchmark, whose 'egnn' is what is called gcn here.
PUBLISHED = (
    *("schnet", "faenet", "gcn", "gatv2", "dimenet", "vit", "quantumshellnet", "multimodal"),
)

# What the quick preset trains: the models that read no canvas, on targets of all kinds.
_QUICK_TARGETS = ("e_g_ev", "e_homo_ev", "e_lumo_ev", "total_energy_ev", "dipole_mag_d")
_QUICK_SEEDS = (42,)
PRESETS = ("quick", "published", "full")


class Preset(NamedTuple):
    """The models, targets and seeds of one of `PRESETS`, and what it changes in every card."""

    models: Sequence[str]
    targets: Sequence[str]
    seeds: Sequence[int]
    changes: Mapping[str, Any]


def preset(name: str) -> Preset:
    """Return the grid of one of `PRESETS`."""
    match name:
        case "published":
            return Preset(PUBLISHED, BENCHMARK_TARGETS, SEEDS, {"init": "torch"})
        case "quick":
            names = [name for name in cards.names() if "canvas" not in models.describe(name).inputs]
            return Preset(names, _QUICK_TARGETS, _QUICK_SEEDS, {})
        case _:
            return Preset(cards.names(), BENCHMARK_TARGETS, SEEDS, {})


def card(model: str) -> dict[str, Any]:
    """Return the configuration of a model's card.

    Raises:
      InputError: there is no such card.
    """
    choose("model", model, cards.names())
    return cards.load(*cards.find(model)).to_dict()


def named(models: Sequence[str]) -> Sequence[str]:
    """Return the models of a flag, where 'all' alone is those of all cards."""
    return cards.names() if list(models) == ["all"] else models


def trainings(
    names: Iterable[str], targets: Iterable[str], seeds: Iterable[int], /, **changed: Any
) -> dict[str, dict[str, Any]]:
    """Return the configurations of a grid of trainings, by names like 'egnn-e_homo_ev-seed42'.

    Args:
      names: of models.
      targets: each is learned alone, but where the card or `changed` has several at once: then the
        names tell which, unless they are all of the benchmark.
      seeds: of splits and trainings.
      **changed: of the fields of every card. Another split than the random one, which the published
        benchmark has, is told in the names.

    Raises:
      InputError: an unknown model, or target of several at once.
    """
    split = changed.get("split", "random")
    suffix = "" if split == "random" else f"-{sweep.as_name(split)}"
    found, targets = {}, tuple(targets)
    for name in names:
        config = {**card(name), **changed}
        prefix, alone = name, not config["targets"]
        config["sweep"] |= {
            "target": ",".join(targets) if alone else "",
            "seed": ",".join(map(str, seeds)),
        }
        if not alone:
            config["targets"], word = _together(targets)
            prefix += word
        for own, one in sweep.expand(config).items():
            found[f"{prefix}-{own}{suffix}"] = one
    return found


def _together(targets: Sequence[str]) -> tuple[str, str]:
    """Return the field of targets that are learned at once, and what the training's name adds."""
    if set(targets) == set(BENCHMARK_TARGETS):
        return "all", ""
    order = list(ALL_TARGETS)
    joined = ",".join(sorted(targets, key=lambda name: order.index(target(name).name)))
    if len(targets) == 1:
        return joined, f"-{joined}"
    digest = hashlib.sha256(joined.encode()).hexdigest()[:6]
    return joined, f"-{len(targets)}_targets_{digest}"


def left_out(
    names: Sequence[str], targets: Sequence[str], seeds: Sequence[int], epochs: int | None
) -> list[str]:
    """Return lines that say what of all models, targets and seeds was not asked for.

    Args:
      names: of the models that were.
      targets: that were.
      seeds: that were.
      epochs: that each training has at most, or None for those of the cards.
    """
    lines = []
    for what, asked, all_of in (
        ("models", names, cards.names()),
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
    """Add this process's command to commands.jsonl, with its time, machine and code."""
    line = {
        "command": shlex.join(["python", "-m", *_module(), *sys.argv[1:]]),
        "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "versions": building.versions(),
        **more,
    }
    files.append_line(os.path.join(directory, "commands.jsonl"), json.dumps(line))


def _module() -> list[str]:
    spec = sys.modules["__main__"].__spec__
    return [spec.name.removesuffix(".__main__")] if spec else []


class GridFlags:
    """The flags that say which trainings: models, targets, seeds, data, and how they are trained.

    Args:
      flags: of the script, which get them.
    """

    def __init__(self, flags: cli.Flags):
        self.workdir = flags.string("workdir", None, "Where the benchmark is kept.", required=True)
        self._models = flags.strings("models", None, "Cards of experiments/configs, or 'all'.")
        self._targets = flags.strings("targets", None, "Targets, or 'all' of the benchmark.")
        self._seeds = flags.strings("seeds", None, "Each seeds a split and a training.")
        self._data = flags.string("data", DEFAULT, "As --config.data.")
        self._data_dir = flags.string("data_dir", "", "Of TFDS, where --data is 'tfds:…'.")
        self.epochs = flags.integer(
            "epochs", None, "At most, instead of each card's; for a look.", lower_bound=1
        )
        self.stack = flags.integer(
            "stack", 0, "Trainings in one program; 0 takes what is good.", lower_bound=0
        )
        self._parallel = flags.enum(
            "parallel", "auto", ("auto", "data", "replicas"), "As --config.parallel."
        )
        self._precision = flags.string("precision", "float32", "As --config.precision.")
        self._init = flags.enum(
            "init", None, ("flax", "torch"), "As --config.init, instead of each card's."
        )

    def asked(
        self, names: Sequence[str], targets: Sequence[str], seeds: Sequence[int]
    ) -> tuple[tuple[str, ...], tuple[str, ...], tuple[int, ...]]:
        """Return models, targets and seeds by the flags, or those given where there is no flag.

        Raises:
          InputError: none, one of them twice, or a seed that is no number.
        """
        if self._models.value is not None:
            names = named(self._models.value)
        if self._targets.value is not None:
            all_of = self._targets.value == ["all"]
            targets = BENCHMARK_TARGETS if all_of else self._targets.value
        if self._seeds.value is not None:
            try:
                seeds = [int(text) for text in self._seeds.value]
            except ValueError:
                given = ",".join(self._seeds.value)
                raise InputError(
                    f"--seeds: expected whole numbers like 42,123, got {given}"
                ) from None
        for flag, values in (("models", names), ("targets", targets), ("seeds", seeds)):
            if not values:
                raise InputError(f"--{flag}: expected some, for the directory has none to go by")
            if len(set(values)) < len(values):
                given = ", ".join(map(str, values))
                raise InputError(f"--{flag}: expected different values, got {given}")
        return tuple(names), tuple(targets), tuple(seeds)

    def changes(self) -> dict[str, Any]:
        """Return what the flags change in every card, but for the split."""
        changed: dict[str, Any] = {
            "data": self._data.value,
            "data_dir": self._data_dir.value,
            "parallel": self._parallel.value,
            "precision": self._precision.value,
        }
        if self.epochs.value is not None:
            changed["epochs"] = self.epochs.value
        if self._init.value is not None:
            changed["init"] = self._init.value
        return changed
