"""Checkpoints of PyTorch: what is in them, and what they say of their model and its labels."""

import json
import math
import os
import re
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from qc_jax import models
from qc_jax.data import files
from qc_jax.data.scaling import Scaler
from qc_jax.data.table import PairTable
from qc_jax.errors import InputError, choose, expect_fields
from qc_jax.runs import building
from qc_jax.runs.config import names_of, published
from qc_jax.runs.saved import SavedRun
from qc_jax.train.state import State, init

# Where a state dict may stand in a checkpoint.
_STATE_DICTS = ("model_state_dict", "state_dict", "model")
_ABOUT = "about"  # the array of an .npz that says as JSON what the published trainer's files say
# What is published under a name that is another model's here.
_PUBLISHED_AS = {"egnn": "gcn"}
_OF_IMAGES = ("images", "canvas_size")  # fields of a configuration that tell shapes of weights


class Checkpoint(NamedTuple):
    """A file of weights.

    Attributes:
      path: of the file.
      weights: arrays or tensors by name.
      about: the other things in the file, by name; of the published trainer's 'model_type',
        'model_config', 'target' and 'normalization_stats' are understood, and what `write` adds.
      sha256: of the file.
    """

    path: str
    weights: Mapping[str, Any]
    about: Mapping[str, Any]
    sha256: str


class LabelRange(NamedTuple):
    """Between which labels the outputs −1 and 1 lie, linearly.

    Attributes:
      low: [T], the labels that are −1.
      high: [T], the labels that are 1.
      source: in words, where they come from.
    """

    low: np.ndarray
    high: np.ndarray
    source: str


def read(path: str) -> Checkpoint:
    """Reads an .npz of named arrays, or a file of `torch.save`.

    Of the latter nothing is run: only tensors, numbers and words are loaded. The file is a state
    dict, or a dict with one under 'model_state_dict', 'state_dict' or 'model'.

    Raises:
      InputError: no such file, PyTorch is needed and missing, or another thing is in the file.
    """
    sha256 = files.sha256(path)
    npz = path.endswith(".npz")
    whole: Any = files.read_npz(path, "an .npz of plain arrays") if npz else _read_torch(path)
    if not isinstance(whole, Mapping) or not whole:
        kind = f"an empty {type(whole).__name__}" if whole == {} else type(whole).__name__
        raise InputError(f"{path}: expected a state dict, got {kind}")
    if all(hasattr(value, "shape") for value in whole.values()):
        weights = {name: value for name, value in whole.items() if name != _ABOUT}
        return Checkpoint(path, weights, _about(path, whole), sha256)
    for key in _STATE_DICTS:
        if isinstance(whole.get(key), Mapping):
            about = {other: value for other, value in whole.items() if other != key}
            return Checkpoint(path, whole[key], about, sha256)
    raise InputError(
        f"{path}: expected a state dict, or one under {', '.join(map(repr, _STATE_DICTS))}; "
        f"got {', '.join(map(repr, whole))}"
    )


def write(path: str, run: SavedRun) -> None:
    """Write a run's weights by the names of its model's PyTorch reference.

    Args:
      path: ends in '.npz', arrays by name, and as JSON in 'about' the model, its target, the range
        of the labels and the images that it reads; or in '.pt', then PyTorch writes the dict of
        the published trainer, which says the same.
      run: a trained model.

    Raises:
      InputError: the model has no reference, its labels are classes, scaled by another rule than
        the published one or less constants of elements, PyTorch is missing, or the file cannot be
        written.
    """
    weights = models.to_torch(run.model, run.variables)
    if np.any(run.scaler.log):
        raise InputError("expected labels scaled by their range, got logarithms")
    if any(run.scaler.binary):
        raise InputError(
            "expected labels scaled by their range, got classes, whose outputs are logits"
        )
    if run.record.element_offsets:
        elements = ", ".join(run.record.element_offsets)
        raise InputError(f"expected labels scaled by their range, got constants of {elements} off")
    hyper_parameters = run.config.model.hyper_parameters
    # The scaler is of labels less the offsets, of which the published format knows nothing.
    offsets = np.array(run.record.offsets)
    ends = (np.asarray(end, np.float64) for end in (run.scaler.low, run.scaler.high))
    low, high = ((end + offsets).tolist() for end in ends)
    about = {
        "model_type": run.config.model.name,
        "model_config": {key: _plain(value) for key, value in hyper_parameters.items()},
        "target": ",".join(run.targets),
        "normalization_stats": {"min": low, "max": high},
    }
    if "canvas" in run.model.inputs:
        about |= {key: getattr(run.config, key) for key in _OF_IMAGES}
    if path.endswith(".npz"):
        files.write_npz(path, {**weights, _ABOUT: np.array(json.dumps(about))})
        return
    torch = _torch(path, "writing")
    tensors = {name: torch.from_numpy(value) for name, value in weights.items()}
    with files.atomic_write(path) as partial:
        torch.save({_STATE_DICTS[0]: tensors, **about}, partial)


def _torch(path: str, doing: str) -> Any:
    """Return the module torch, which few need."""
    try:
        import torch
    except ModuleNotFoundError as error:
        raise InputError(
            f"{path}: {doing} it needs PyTorch (pip install torch==2.13.0); an .npz does not"
        ) from error
    return torch


def _about(path: str, arrays: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an .npz of `write` says of its model; nothing of another."""
    if _ABOUT not in arrays:
        return {}
    try:
        found = json.loads(str(arrays[_ABOUT]))
    except ValueError as error:
        raise InputError(f"{path}: {_ABOUT}: expected JSON: {error}") from error
    expect_fields(f"{path}: {_ABOUT}", found, {})
    return found


def _read_torch(path: str) -> Any:
    """What `torch.save` wrote, if it is made of tensors, numbers and words."""
    torch = _torch(path, "reading")
    # The published trainer keeps its validation errors as NumPy's numbers, under a module name
    # that depends on NumPy's version.
    scalar: Any = np.float64(0).__reduce__()[0]
    numbers: list[Any] = [(scalar, f"numpy.{core}.multiarray.scalar") for core in ("_core", "core")]
    numbers += [np.dtype, *map(type, map(np.dtype, ("f4", "f8", "i4", "i8")))]
    try:
        with torch.serialization.safe_globals(numbers), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of old files; what matters is raised
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # what a damaged file raises depends on where it is damaged
        # PyTorch's own words advise to run what is in the file.
        code = re.search(r"GLOBAL (\S+)", str(error))
        reason = (
            f"it holds a {code[1]}, which may run code; save the module's state_dict() instead"
            if code
            else "not a file of torch.save, or damaged"
        )
        raise InputError(f"{path}: not loaded: {reason}") from error


def configure(
    checkpoint: Checkpoint, card: ConfigDict | None, model: str | None, target: str | None
) -> dict[str, Any]:
    """The configuration of a checkpoint's model.

    Args:
      checkpoint: may say of which model it is, and what it predicts.
      card: an experiment card; None for the published one of `model`.
      model: its architecture; None for the card's.
      target: what it predicts; None for what the checkpoint or the card says.

    Raises:
      InputError: they contradict each other, or nobody says what the target is. Of the
        hyper-parameters those are compared that the checkpoint has under the same name.
    """
    path, about = checkpoint.path, checkpoint.about
    for key in ("model_type", "target"):
        if not isinstance(about.get(key), str | None):
            raise InputError(f"{path}: expected a word as {key!r}, got {about[key]!r}")
    if card is not None:
        config = card.to_dict()
        if model not in (None, config["model"]["name"]):
            raise InputError(f"--model is {model}, --config is a card of {config['model']['name']}")
        if target is not None:
            config |= _fields_of(target)
    else:
        if model is None:
            raise InputError("expected --model or --config")
        choose("model", model, models.available())
        config = published(model, "", quick={}).to_dict()
        config["model"] |= models.resolve(model).published
        target = target or about.get("target")
        if not target:
            raise InputError(f"{path} does not say which target it predicts; give --target")
        config |= _fields_of(target)
    name = config["model"]["name"]
    said = about.get("model_type")
    # Of other words the weights decide.
    if said in models.available() and name not in (said, _PUBLISHED_AS.get(said)):
        raise InputError(f"{path} says that it is of {said}, not of {name}")
    asked = config["targets"] or config["target"]
    if names_of(about.get("target") or asked) != names_of(asked):
        raise InputError(f"{path} says that it predicts {about['target']}, not {asked}")
    _compare(path, "", {key: about[key] for key in _OF_IMAGES if key in about}, config)
    hyper_parameters = about.get("model_config")
    if isinstance(hyper_parameters, Mapping):
        _compare(path, "model.", hyper_parameters, config["model"])
    return config


def _fields_of(target: str) -> dict[str, str]:
    """Return the fields of a configuration that say one target, several or 'all'."""
    if target == "all" or "," in target:
        return {"targets": target}
    return {"target": target, "targets": ""}


def _compare(path: str, prefix: str, there: Mapping[str, Any], here: Mapping[str, Any]) -> None:
    """Raise InputError where a checkpoint says another value of a field than a configuration."""
    for key in there:  # in its order
        if key in here and _plain(there[key]) != _plain(here[key]):
            raise InputError(
                f"{path} says that {key} is {there[key]}, not {here[key]}; "
                f"give --config with --config.{prefix}{key}={there[key]}"
            )


def _plain(value: Any) -> Any:
    """Numbers and lists for tensors, arrays and tuples."""
    value = value.tolist() if hasattr(value, "tolist") else value
    return list(value) if isinstance(value, tuple) else value


def variables_of(checkpoint: Checkpoint, run: building.Run) -> dict[str, Any]:
    """Return the weights of a checkpoint as variables of a run's model.

    Raises:
      InputError: they are of another model.
    """
    model = run.config.model
    hyper_parameters = {**model.hyper_parameters, "outputs": len(run.task.targets)}
    like = models.sample(run.config.canvas_size, run.config.images)
    try:
        return models.from_torch(model.known_as, checkpoint.weights, like, **hyper_parameters)
    except InputError as error:
        other = _PUBLISHED_AS.get(model.name)
        hint = f"; what is published as {model.name} is {other} here" if other else ""
        raise InputError(f"{checkpoint.path}: {error}{hint}") from error


def label_range(
    checkpoint: Checkpoint,
    run: building.Run,
    low: Sequence[str] | None,
    high: Sequence[str] | None,
    from_data: bool,
) -> LabelRange:
    """Between which labels a checkpoint's outputs −1 and 1 lie; said by exactly one, no guess.

    Args:
      checkpoint: may say it in 'normalization_stats'; None there where labels were not scaled.
      run: of its model.
      low: of --label_min.
      high: of --label_max.
      from_data: the published rule on the run's table.

    Raises:
      InputError: nobody says it, or several, or it is no range.
    """
    path, stored = checkpoint.path, checkpoint.about.get("normalization_stats")
    targets, data = run.task.targets, run.config.data
    of_table = f"the range of all labels of {data}, test rows included"
    said: dict[str, tuple[Any, Any]] = {}
    if stored is not None:
        if not isinstance(stored, Mapping) or not {"min", "max"} <= stored.keys():
            raise InputError(
                f"{path}: expected 'min' and 'max' in 'normalization_stats', got {stored!r}"
            )
        if stored["min"] is None and stored["max"] is None:
            said["nothing, as the checkpoint says"] = [-1] * len(targets), [1] * len(targets)
        else:
            said["the range in the checkpoint"] = stored["min"], stored["max"]
    if low is not None or high is not None:
        if low is None or high is None:
            raise InputError("expected both --label_min and --label_max, or none")
        said["the range of --label_min and --label_max"] = low, high
    if from_data:
        said[of_table] = table_range(run)
    if not said:
        raise InputError(
            f"{path} does not say between which labels its outputs −1 and 1 lie; give --label_min "
            "and --label_max (−1 and 1 where labels were not scaled), or --label_range_from_data "
            f"if it was trained on {data} by the published rule"
        )
    if len(said) > 1:
        raise InputError(f"expected labels scaled by one of these, not by all: {'; '.join(said)}")
    [(source, values)] = said.items()
    found = LabelRange(*_numbers(source, targets, *values), source)
    if not from_data and np.allclose((found.low, found.high), table_range(run), rtol=1e-5):
        found = found._replace(source=f"{source} ({of_table})")
    return found


def _numbers(
    source: str, targets: tuple[str, ...], low: Any, high: Any
) -> tuple[np.ndarray, np.ndarray]:
    """The two ends [T] of a range, finite, low below high."""
    try:
        low, high = (np.atleast_1d(np.asarray(value, np.float64)) for value in (low, high))
    except (ValueError, TypeError) as error:
        raise InputError(f"{source}: expected numbers, got {low!r} and {high!r}") from error
    if low.shape != (len(targets),) or high.shape != (len(targets),):
        raise InputError(
            f"{source}: expected {len(targets)} numbers each, one a target, "
            f"got {low.size} and {high.size}"
        )
    for name, a, b in zip(targets, low, high, strict=True):
        if not (math.isfinite(a) and math.isfinite(b) and a < b):
            raise InputError(f"{source}: expected {name} between two numbers, got {a} and {b}")
    return low, high


def table_range(run: building.Run) -> tuple[np.ndarray, np.ndarray]:
    """The smallest and largest finite label [T] of a run's whole table."""
    if not isinstance(run.table, PairTable):
        raise InputError(f"expected a table of pairs, got {run.config.data!r}")
    columns = run.table.columns(run.task.targets)
    finite = np.isfinite(columns)
    return (
        np.where(finite, columns, np.inf).min(axis=0),
        np.where(finite, columns, -np.inf).max(axis=0),
    )


def as_imported(run: building.Run, checkpoint: Checkpoint, labels: LabelRange) -> building.Run:
    """Return the run with where its weights come from in its configuration."""
    config = run.config
    imported = {
        "file": os.path.basename(checkpoint.path),
        "sha256": checkpoint.sha256,
        "label_min": labels.low.tolist(),
        "label_max": labels.high.tolist(),
        "scaled_by": labels.source,
        "presumed": "trained and chosen on the training and validation rows of split "
        f"{config.split}, seed {config.seed_of_split}, of {config.data}",
    }
    return run._replace(config=config.replace(imported=imported))


def state_of(run: building.Run, variables: models.Variables, labels: LabelRange) -> State:
    """Return the state of a training that would have ended with these variables."""
    scaler = Scaler(
        low=jnp.asarray(labels.low, jnp.float32),
        high=jnp.asarray(labels.high, jnp.float32),
        log=jnp.zeros(len(run.task.targets), bool),
        binary=run.task.scaler.binary,
    )
    statistics = dict(variables)
    params = statistics.pop("params")
    sample = models.sample(run.config.canvas_size, run.config.images)
    state = jax.jit(lambda: init(run.model, sample, scaler, run.settings))()
    return state.replace(
        params=params, best_params=params, statistics=statistics, best_statistics=statistics
    )


def range_warnings(run: building.Run, labels: LabelRange) -> list[str]:
    """Return a line a target whose labels are not those that the model was trained on."""
    lines = []
    names, low, high = run.task.targets, *table_range(run)
    for name, a, b, c, d in zip(names, labels.low, labels.high, low, high, strict=True):
        if (a, b) != (-1, 1) and not np.allclose((a, b), (c, d), rtol=1e-5):
            lines.append(
                f"{name} of {run.config.data} lies between {c:#.4g} and {d:#.4g}, the range of "
                f"these weights is {a:#.4g} to {b:#.4g}: they were trained on other data, or "
                "scaled by some of the rows"
            )
    return lines
