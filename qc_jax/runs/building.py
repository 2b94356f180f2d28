"""From a configuration to its parts: data, model and task."""

import dataclasses
import functools
import os
import pathlib
import platform
import subprocess
import warnings
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any, NamedTuple

import jax
import numpy as np

from qc_jax import models
from qc_jax.canvas import features, images
from qc_jax.canvas.images import CANVAS
from qc_jax.data import dataset, structures
from qc_jax.data.dataset import Dataset, Task
from qc_jax.data.structures import Structures
from qc_jax.data.table import PairTable
from qc_jax.errors import InputError, choose, expect
from qc_jax.ops import usable_cores
from qc_jax.runs.config import COLLECTION, OF_PAIRS, OF_STRUCTURES, RunConfig
from qc_jax.runs.progress import Bar
from qc_jax.runs.sources import open_data, open_table
from qc_jax.train.config import TrainConfig
from qc_jax.train.forces import without_others
from qc_jax.train.transfer import Matched

# In the place of a model, on which rows do not depend: one that may have images.
_ANY = {"name": "vit"}
# What curves have in common with the relaxed pairs that they are learned beside.
_PHYSICS = ("engine", "method", "parameters", "form", "max_l", "temperature_k")
# What a task keeps of how it was made.
SPEC = ("data", "data_dir", "split", "canvas_size", *OF_STRUCTURES, *OF_PAIRS)
# What `prepare` takes beside table, targets, split and seed.
_OPTIONS = ("data_dir", "split_seed", "canvas_size", *OF_STRUCTURES, *OF_PAIRS)
_OF_TRAINING = tuple(field.name for field in dataclasses.fields(TrainConfig))


class Run(NamedTuple):
    """The parts of one training, made from its configuration."""

    config: RunConfig
    table: PairTable | Structures
    model: models.Architecture
    task: Task
    initial: models.Variables | None = None  # see `runs.initial`
    matched: Matched | None = None  # what of other weights `initial` is, where it is of a training

    @property
    def settings(self) -> TrainConfig:
        """Return how it is trained."""
        return self.config.train


def from_config(
    config: RunConfig | Mapping[str, Any], table: PairTable | Structures | None = None
) -> Run:
    """Build what a configuration asks for; `table`, where given, is the one of its data.

    Raises:
      InputError: A value in it is wrong.
    """
    if not isinstance(config, RunConfig):
        config = RunConfig.from_dict(config)
    model = config.architecture()
    if table is None:
        table = open_data(config.data, config.data_dir)
    model.check_data(table.provenance)
    if config.images != CANVAS and not reads_canvas(model):
        warnings.warn(f"images={config.images}: {config.model.name} reads none", stacklevel=2)
    if config.curves and not {"positions", "canvas"} & set(model.inputs):
        warnings.warn(
            f"curves={config.curves}: {config.model.name} reads no distance: several labels of one "
            "input",
            stacklevel=2,
        )
    task = _prepare(table, config, model)
    # The data are part of what a run is: a work directory refuses a table that has changed.
    read = fingerprints(table.fingerprint(), config.curves)
    return Run(config.replace(**read), table, model, task)


def fingerprints(data: str, curves: str) -> dict[str, str]:
    """Return what a configuration says of what was read: a table's fingerprint, and curves."""
    found = {"data_fingerprint": data}
    return {**found, "curves_fingerprint": _curves(curves)[1]} if curves else found


def prepare(
    table: PairTable | Structures,
    targets: str | Sequence[str],
    split: str = "random",
    seed: int = 42,
    **fields: Any,
) -> Task:
    """Make a task of a table: the rows with finite labels, split by the seed, labels scaled.

    Args:
      table: Of pairs, or larger structures.
      targets: A target, or several for one model.
      split: A name of `qc_jax.data.splits.SPLITS`; larger structures have their own.
      seed: Of the split.
      **fields: Of `RunConfig`, about the data: `train_fraction`, `scale_on`, `scale_by`,
        `missing_labels`, `curves`, `images` and `average_symmetries` of pairs, `neighbor_cutoff`
        (Å), `train_rows` and `stream` of larger structures, `canvas_size`, `data_dir` and
        `split_seed` of both.

    Raises:
      InputError: A target or field is unknown, or the rows cannot be split like this.

    Example:
      >>> import qc_jax
      >>> table = qc_jax.open_table("gfn2_xtb")
      >>> task = qc_jax.prepare(table, ["e_homo_ev", "e_lumo_ev"], split="by_period")
      >>> task.targets
      ('e_homo_ev', 'e_lumo_ev')
    """
    expect("table", table, (PairTable, Structures), "what qc_jax.open_data returns")
    expect("targets", targets, (str, Sequence), "a target, or several")
    names = (targets,) if isinstance(targets, str) else tuple(map(str, targets))
    if not names:
        raise InputError("targets: expected a target, or several, got none")
    for name in fields:
        if name in _OF_TRAINING:
            raise InputError(f"{name}: is of the training; expected it in qc_jax.TrainConfig")
        choose("field of prepare", name, _OPTIONS)
    known = RunConfig.from_dict(
        {
            **fields,
            "model": _ANY,
            "targets": ",".join(names),
            "data": table.opened_as,
            "split": split,
            "seed": seed,
        }
    )
    return _prepare(table, known, None)


def for_model(task: Task, model: models.Architecture) -> Task:
    """Return the task with what the model reads; for one that reads canvases, they are added."""
    if not isinstance(task.table, PairTable | Structures):
        return task
    model.check_data(task.table.provenance)
    if "canvas" not in model.inputs or task.spec is None:
        return task
    drawn = isinstance(task.dataset, Dataset)  # a stream does not say what it holds
    if drawn and task.dataset.structures.canvas_features is not None:
        return task
    config = RunConfig.from_dict({**task.spec, "targets": ",".join(task.targets), "model": _ANY})
    return _prepare(task.table, config, model)


def _prepare(
    table: PairTable | Structures, config: RunConfig, model: models.Architecture | None
) -> Task:
    fields = {name: getattr(config, name) for name in SPEC}
    seed = config.seed_of_split
    if isinstance(table, Structures):
        _require_usual(fields, OF_PAIRS, "pairs")
        task = _of_structures(config, table, model, seed)
    else:
        _require_usual(fields, OF_STRUCTURES, "larger structures")
        drawn = images.parse(config.images)
        curves = _curves(config.curves)[0] if config.curves else None
        for one in (table, curves):
            if one is not None and (model is None or reads_canvas(model)):
                drawn.check(one)
        if curves is not None:
            _require_same_physics(table, curves)
        seen = reads_canvas(model)
        task = dataset.prepare(
            table,
            config.target_names,
            seed,
            drawn.rows(table) if seen else None,
            config.split,
            canvas_size=config.canvas_size,
            curve_features=drawn.rows(curves) if seen and curves is not None else None,
            **{**{name: fields[name] for name in OF_PAIRS}, "curves": curves},
        )
    return without_others(task._replace(table=table, spec={**fields, "seed": seed}))


def _curves(name: str) -> tuple[PairTable, str]:
    """Return a table of curves and its fingerprint; read again where its file has changed."""
    try:
        found = os.stat(name)
    except OSError:  # no file's name
        return _curves_of(name, ())
    return _curves_of(name, (found.st_mtime_ns, found.st_size))


@functools.lru_cache(maxsize=1)  # the trainings of a grid share them
def _curves_of(name: str, version: tuple[int, ...]) -> tuple[PairTable, str]:
    del version  # of the file, a part of the cache's key
    try:
        table = open_table(name)
    except InputError as error:
        raise InputError(f"curves: {error}") from error
    return table, table.fingerprint()


def _require_same_physics(table: PairTable, curves: PairTable) -> None:
    for key in _PHYSICS:
        of_table, of_curves = (one.provenance.get(key) for one in (table, curves))
        if of_table != of_curves:
            raise InputError(
                f"curves: expected those of the data's {key}, {of_table!r:.60}, got "
                f"{of_curves!r:.60}"
            )


def _require_usual(fields: Mapping[str, Any], usual: Mapping[str, Any], what: str) -> None:
    for name, value in usual.items():
        if fields[name] != value:
            raise InputError(
                f"{name} is of {what}; expected {value!r} for data {fields['data']!r}, "
                f"got {fields[name]!r}"
            )


def neighbor_cutoff(
    config: RunConfig, model: models.Architecture | None, periodic: bool
) -> float | None:
    """Return the distance (Å) within which atoms of larger structures are neighbours.

    It is `neighbor_cutoff` or, of crystals, the model's own; None where all atoms are, and for a
    model of canvases, which no structure in a cell has.

    Raises:
      InputError: Crystals, and neither is there.
    """
    own = (model.cutoff if model is not None else None) or 0.0
    cutoff = config.neighbor_cutoff or (own if periodic else 0.0)
    if periodic and not cutoff and not reads_canvas(model):
        raise InputError("neighbor_cutoff: expected a length in Å for crystals and a model without")
    return cutoff or None


def _of_structures(
    config: RunConfig, found: Structures, model: models.Architecture | None, seed: int
) -> Task:
    if config.split not in ("random", COLLECTION):
        raise InputError(
            f"split {config.split!r}: expected {COLLECTION!r}, that of the collection itself"
        )
    return structures.prepare(
        found,
        config.target_names,
        seed,
        cutoff=neighbor_cutoff(config, model, found.periodic),
        train=config.train_rows or None,
        stream=config.stream,
        draw=functools.partial(_draw, found) if reads_canvas(model) else None,
        canvas_size=config.canvas_size,
    )


def reads_canvas(model: models.Architecture | None) -> bool:
    """Return whether a model is given that reads the canvas."""
    return model is not None and "canvas" in model.inputs


def _draw(found: Structures, rows: np.ndarray) -> np.ndarray:
    """Return the canvas features of rows, with a bar while tight binding computes them."""
    return _drawn(found, rows.tobytes())


@functools.lru_cache(maxsize=2)  # the trainings of a grid share them
def _drawn(found: Structures, rows: bytes) -> np.ndarray:
    with Bar("structures", "canvases by tight binding") as bar:
        return features(found, np.frombuffer(rows, np.int64), bar)


def use_a_device_per_core() -> None:
    """Make each core of a CPU a device: trainings that share nothing run side by side on them.

    Does nothing where XLA_FLAGS says how many there are. Called before JAX knows its devices.
    """
    if "xla_force_host_platform_device_count" not in os.environ.get("XLA_FLAGS", ""):
        jax.config.update("jax_num_cpu_devices", usable_cores())


def versions() -> dict[str, str]:
    """Return what the numbers of a run depend on beside the code: packages and the device."""
    packages = ("qc-jax", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy")
    device = jax.local_devices()[0]
    where = f"{jax.local_device_count()} x {device.platform} ({device.device_kind})"
    if jax.process_count() > 1:
        where += f" for each of {jax.process_count()} processes"
    return {
        "python": platform.python_version(),
        **{package: _version(package) for package in packages},
        "device": where,
        "commit": _commit(),
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:  # run from a folder, without being installed
        return "not installed"


@functools.cache
def _commit() -> str:
    """Return that of the repository of this file, with a + where files have changed."""
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
