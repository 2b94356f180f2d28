"""From a configuration to its parts: what the scripts share beside `qc_jax.train.restore`."""

import functools
import os
import pathlib
import platform
import subprocess
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any, NamedTuple

import flax.linen as nn
import jax

from qc_jax import canvas, models
from qc_jax.canvas.basis import check_size
from qc_jax.data import structures
from qc_jax.data.dataset import Task, prepare
from qc_jax.data.structures import Structures
from qc_jax.data.table import PairTable
from qc_jax.errors import InputError
from qc_jax.runs.sources import read_data
from qc_jax.train.restore import model_of
from qc_jax.train.settings import Settings
from qc_jax.train.transfer import Matched
from qc_jax.train.workdir import ADDED

COLLECTION = "collection"  # the split of larger structures, each collection's published own


class Run(NamedTuple):
    """The parts of one training, made from its configuration."""

    config: dict[str, Any]
    table: PairTable | Structures
    model: nn.Module
    task: Task
    settings: Settings
    initial: models.Variables | None = None  # see `runs.initial`
    matched: Matched | None = None  # what of other weights `initial` is, where it is of a training


def from_config(config: Mapping[str, Any], table: PairTable | Structures | None = None) -> Run:
    """Builds what a configuration asks for; `table`, where given, is the one of its data.

    Raises:
      InputError: a value in it is wrong.
    """
    config = {**ADDED, **config}
    model, targets, settings = model_of(config)
    if table is None:
        table = read_data(config["data"], config["data_dir"])
    if isinstance(table, Structures):
        task = _of_structures(config, table, model, targets)
    else:
        _require_usual(config, _OF_STRUCTURES, "larger structures")
        check_size(config["canvas_size"])
        features = canvas.features(table) if "canvas" in model.inputs else None
        fields = data_fields(config)
        task = prepare(table, targets, settings.seed, features, config["split"], **fields)
    # The data are part of what a run is: a work directory refuses a table that has changed.
    return Run({**config, "data_fingerprint": table.fingerprint()}, table, model, task, settings)


# Fields that say nothing of pairs, and those that say nothing of larger structures.
_OF_STRUCTURES = ("neighbor_cutoff", "train_rows", "stream")
_OF_PAIRS = ("train_fraction", "scale_on", "canvas_size")


def _require_usual(config: Mapping[str, Any], names: tuple[str, ...], what: str) -> None:
    for name in names:
        if config[name] != ADDED[name]:
            raise InputError(
                f"{name} is of {what}; expected {ADDED[name]!r} for data {config['data']!r}, "
                f"got {config[name]!r}"
            )


def _of_structures(
    config: Mapping[str, Any], found: Structures, model: nn.Module, targets: tuple[str, ...]
) -> Task:
    """Crystals have neighbours within `neighbor_cutoff` or the model's own, molecules have all."""
    _require_usual(config, _OF_PAIRS, "pairs")
    if config["split"] not in ("random", COLLECTION):
        raise InputError(
            f"split {config['split']!r}: expected {COLLECTION!r}, that of the collection itself"
        )
    cutoff = config["neighbor_cutoff"] or (getattr(model, "cutoff", 0) if found.periodic else 0)
    if found.periodic and not cutoff:
        raise InputError("neighbor_cutoff: expected a length in Å for crystals and a model without")
    return structures.prepare(
        found,
        targets,
        config["seed"],
        cutoff=cutoff or None,
        train=config["train_rows"] or None,
        stream=config["stream"],
    )


def data_fields(config: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a configuration that `prepare` takes by their names."""
    return {name: config[name] for name in ("train_fraction", "scale_on", "canvas_size")}


def use_a_device_per_core() -> None:
    """Makes each core of a CPU a device: trainings that share nothing run side by side on them.

    Does nothing where XLA_FLAGS says how many there are. Called before JAX knows its devices.
    """
    if "xla_force_host_platform_device_count" not in os.environ.get("XLA_FLAGS", ""):
        jax.config.update("jax_num_cpu_devices", len(os.sched_getaffinity(0)))


def versions() -> dict[str, str]:
    """What the numbers of a run depend on beside the code: packages and the device."""
    packages = ("qc-jax", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy")
    device = jax.local_devices()[0]
    where = f"{jax.local_device_count()} x {device.platform} ({device.device_kind})"
    if jax.process_count() > 1:
        where += f" for each of {jax.process_count()} processes"
    return {
        "python": platform.python_version(),
        **{package: version(package) for package in packages},
        "device": where,
        "commit": _commit(),
    }


@functools.cache
def _commit() -> str:
    """Of the repository that this file is part of, with a + where files have changed since."""
    root = pathlib.Path(__file__).parents[2]
    if not (root / ".git").exists():
        return ""

    def git(*words: str) -> str:
        done = subprocess.run(("git", *words), cwd=root, capture_output=True, text=True)
        return done.stdout.strip() if done.returncode == 0 else ""

    try:
        changed = git("status", "--porcelain", "--untracked-files=no")
        return git("rev-parse", "--short=12", "HEAD") + ("+" if changed else "")
    except OSError:  # no git here
        return ""
