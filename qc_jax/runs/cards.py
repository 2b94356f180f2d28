"""Experiment cards: Python files whose `get_config(preset)` returns a ConfigDict.

They lie in experiments/configs of a clone, or of the installed package. `--config=NAME`,
`--config=FILE.py` and either with `:PRESET` behind it name a card; `--config.FIELD=VALUE` changes
one of its fields.
"""

import ast
import pathlib
import runpy
import traceback
from collections.abc import Iterator, Mapping
from typing import Any

from ml_collections import ConfigDict

from qc_jax import models
from qc_jax.errors import InputError, choose
from qc_jax.runs.config import OF_PAIRS, RunConfig, published

__all__ = ["change", "find", "load", "names", "published", "published_structures", "whole"]

_HERE = pathlib.Path(__file__).parents[1]
_CLONE, _INSTALLED = (each / "experiments/configs" for each in (_HERE.parent, _HERE))
FOLDER = _INSTALLED if _INSTALLED.is_dir() else _CLONE


def published_structures(
    preset: str, lr_scratch: float, lr_finetune: float, **fields: Any
) -> ConfigDict:
    """Return the published protocol of a collection of larger structures, locked.

    Args:
      preset: the name of a model, whose hyper-parameters are then fields; '' is the model of the
        pretrained work directory, 'quick' that and two epochs.
      lr_scratch: learning rate of a training that starts from random weights.
      lr_finetune: of one that starts from those of another.
      **fields: that differ from those of the pairs' cards.
    """
    choose("preset", preset, ("", "quick", *models.available()))
    model = "" if preset in ("", "quick") else preset
    config = published(model or "schnet", "", quick={}).unlock()
    if not model:
        config.model = ConfigDict({"name": ""})
    for name in (*OF_PAIRS, "canvas_size"):
        del config[name]
    config.data = ""
    config.split = "collection"  # its own published one
    config.lr = 0.0  # `transfer.lr_scratch` or `transfer.lr_finetune`
    # Å; 0 is the model's own for crystals, and none for molecules: all atoms are neighbours.
    config.neighbor_cutoff = 0.0
    config.train_rows = 0  # the first so many of the training rows; 0 is all
    config.stream = False  # leave the structures on disk, for sets larger than memory
    config.transfer = ConfigDict(
        {
            "source": "scratch",  # or the work directory of a finished training
            "head": "new",  # or 'kept': the layers that make outputs of features
            "embeddings": "kept",  # of the elements, or 'new'
            "scaling": "new",  # of the labels: fitted on these training rows, or 'kept'
            "lr_scratch": lr_scratch,
            "lr_finetune": lr_finetune,
        }
    )
    config.update(fields)
    if preset == "quick":
        config.epochs = 2
    return config.lock()


def names() -> tuple[str, ...]:
    """Return the names of the cards of pairs, which are those of the models."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.py") if path.stem != "__init__"))


def find(text: str) -> tuple[pathlib.Path, str]:
    """Return the file and the preset that 'NAME:PRESET' or 'FILE.py:PRESET' names.

    Raises:
      InputError: there is no such card or file.
    """
    name, _, preset = text.partition(":")
    if name.endswith(".py"):
        path = pathlib.Path(name)
        if not path.is_file():
            raise InputError(
                f"--config={name}: no such file; expected a card's name, like egnn, or FILE.py"
            )
        return path, preset
    known = {
        path.relative_to(FOLDER).with_suffix("").as_posix()
        for path in FOLDER.rglob("*.py")
        if path.stem != "__init__"
    }
    if name not in known:
        raise InputError(
            f"--config={name}: expected FILE.py or the name of a card: {', '.join(sorted(known))}"
        )
    return FOLDER / f"{name}.py", preset


def load(path: pathlib.Path, preset: str = "") -> ConfigDict:
    """Return the configuration of a card.

    Raises:
      InputError: the file is no card, or raises an error of its own.
    """
    try:
        made = runpy.run_path(str(path)).get("get_config")
        if made is None:
            raise InputError("expected a function get_config(preset), got none")
        config = made(preset) if preset else made()
    except InputError as error:
        raise InputError(f"--config={path}: {error}") from error
    except (Exception, SystemExit) as error:  # it is the user's code
        frames = traceback.extract_tb(error.__traceback__)
        # Of the card itself, not of what it calls; a card that is no Python has none.
        lines = [frame.lineno for frame in frames if frame.filename == str(path)]
        if isinstance(error, SyntaxError) and error.filename == str(path):
            lines.append(error.lineno)
        where = f"line {lines[-1]}: " if lines else ""
        raise InputError(f"--config={path}: {where}{type(error).__name__}: {error}") from error
    if not isinstance(config, ConfigDict):
        raise InputError(
            f"--config={path}: expected a ConfigDict of get_config, got {type(config).__name__}"
        )
    return config


def whole(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration with the defaults of what it lacks, as `train` runs it.

    With `transfer` the model's name may stay '' and the learning rate 0, for `initial.resolve`.

    Raises:
      InputError: a field is unknown, or its value wrong.
    """
    known = dict(config)
    left_open: dict[str, Any] = {}
    if known.get("transfer") is not None:
        model = known.get("model") or {"name": ""}
        if isinstance(model, Mapping) and not model.get("name"):
            left_open["model"] = dict(model)
            known["model"] = "vit"  # the checks of other fields refuse nothing to it
        if not known.get("lr"):
            left_open["lr"] = 0.0
            known["lr"] = 1.0  # likewise
    return RunConfig.from_dict(known).to_dict() | left_open


def _fields(config: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in config.items():
        yield prefix + name
        if hasattr(value, "items"):
            yield from _fields(value, f"{prefix}{name}.")


def change(config: ConfigDict, field: str, text: str) -> None:
    """Set one field to the value that a text says, of the type that the card has there.

    Args:
      config: of a card; changed in place.
      field: like 'lr' or 'model.hidden'; 'model' takes the name of a model and sets its defaults.
      text: of the value.

    Raises:
      InputError: no such field, or the text is of another type.
    """
    choose("field of --config", field, _fields(config))
    if field == "model":
        with config.unlocked():
            config.model = ConfigDict({"name": text, **models.defaults(text)})
        return
    *parents, name = field.split(".")
    where: Any = config
    for parent in parents:
        where = where[parent]
    if isinstance(where[name], ConfigDict):
        raise InputError(f"--config.{field}: expected one of its fields, like --config.{field}.…")
    with config.ignore_type():
        where[name] = _value(f"--config.{field}", where[name], text)


def _value(flag: str, before: Any, text: str) -> Any:
    """Return the value of a text, of the type of what the field holds."""
    what = {bool: "true or false", int: "a whole number", float: "a number"}
    try:
        match before:
            case bool():
                return {"true": True, "1": True, "false": False, "0": False}[text.lower()]
            case int() | float():
                return type(before)(text)
            case list() | tuple():
                return type(before)(ast.literal_eval(text))
    except (KeyError, SyntaxError, TypeError, ValueError):
        expected = what.get(type(before), f"a {type(before).__name__} as Python writes it")
        raise InputError(f"{flag}: expected {expected}, got {text!r}") from None
    return text
