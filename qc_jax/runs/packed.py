"""Packed models: a trained model in one file, with all that using it needs.

An `.npz` without pickles: the weights that were kept, the labels' scale, and, as JSON under
'about', the configuration, what run.json holds and the scores. The pairs of a table that ships
with the package are not in it, unless their images take long; those of other tables are.
"""

import functools
import importlib.resources
import json
import os
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from qc_jax.canvas import images
from qc_jax.data import files
from qc_jax.data.table import SHIPPED, PairTable, open_table
from qc_jax.errors import InputError, expect_schema
from qc_jax.runs.config import SCHEMA, RunConfig
from qc_jax.runs.record import Pairs, Record, pairs_of

# What predicts where nothing else is asked for: trainings of one split, from five seeds.
DEFAULT = ("tight_binding/ptbp", *(f"tight_binding/ptbp_member{k}" for k in (1, 2, 3, 4)))
FORMAT = "a model of qc_jax"
# As which weights can be stored; other variables, like energies of free atoms, stay float32.
WEIGHTS = ("float32", "float16")
_FOLDER = importlib.resources.files("qc_jax") / "trained"
_WEIGHT, _SCALER, _PAIRS, _ABOUT = "weights/", "scaler/", "pairs/", "about"


class Packed(NamedTuple):
    """What a packed model holds.

    Attributes:
      config: what it is.
      record: what it knows of its data.
      pairs: of its table; None where it was trained on larger structures.
      variables: nested dicts of arrays, for `models.apply`.
      scaler: arrays [T] 'low', 'high', 'log'.
      result: what result.json held: the scores.
    """

    config: RunConfig
    record: Record
    pairs: Pairs | None
    variables: dict[str, Any]
    scaler: dict[str, np.ndarray]
    result: Mapping[str, Any]


def index() -> dict[str, str]:
    """Return the names of the models that come with the package, with their files' SHA-256."""
    return json.loads((_FOLDER / "index.json").read_text(encoding="utf-8"))


def read_shipped(name: str) -> Packed:
    """Return the model of the package that is called `name`.

    Raises:
      InputError: its file is not the one that was shipped.
    """
    with importlib.resources.as_file(_FOLDER / f"{name}.npz") as path:
        expected, found = index()[name], files.sha256(path)
        if found != expected:
            raise InputError(
                f"{path}: expected the model that was shipped, SHA-256 {expected[:16]}…, got "
                f"{found[:16]}…; install qc-jax again"
            )
        return read(path)


def write(path: str | os.PathLike, packed: Packed, kind: str = "float32") -> None:
    """Write a packed model, whole or not at all, its weights stored as `kind`.

    Raises:
      InputError: it cannot be written.
    """
    weights = flatten_dict(packed.variables, sep="/")
    arrays = {
        _WEIGHT + key: np.asarray(value, kind if key.startswith("params/") else "float32")
        for key, value in sorted(weights.items())
    }
    arrays |= {_SCALER + key: np.asarray(value) for key, value in packed.scaler.items()}
    if packed.pairs is not None and not _are_shipped(packed.config):
        arrays |= {_PAIRS + k: v for k, v in vars(packed.pairs).items() if v is not None}
    about = {
        "format": FORMAT,
        "schema": SCHEMA,
        "config": packed.config.to_dict(),
        "record": packed.record.to_json(),
        "result": packed.result,
        "has_pairs": packed.pairs is not None,
    }
    arrays[_ABOUT] = np.array(json.dumps(about, sort_keys=True))
    files.write_npz(path, arrays)


def read(path: str | os.PathLike) -> Packed:
    """Return what `write` wrote.

    Raises:
      InputError: it is not there, damaged, something else or of a newer schema, or the shipped
        table that it was trained on has changed.
    """
    path = os.fspath(path)
    arrays = files.read_npz(path, "a packed model")
    if _ABOUT not in arrays:
        raise InputError(f"{path}: expected a packed model, got an .npz without {_ABOUT!r}")
    try:
        about = json.loads(str(arrays[_ABOUT]))
        if about["format"] != FORMAT:
            raise ValueError(f"format: expected {FORMAT!r}, got {about['format']!r}")
        expect_schema("schema", about["schema"], SCHEMA)
        config = RunConfig.from_dict(about["config"])
        record = Record.from_json(about["record"], len(config.target_names))
        result, has_pairs = about["result"], about["has_pairs"]
    except KeyError as error:
        raise InputError(f"{path}: not a packed model: without {error}") from error
    except (InputError, ValueError, TypeError) as error:
        raise InputError(f"{path}: not a packed model: {error}") from error

    def part(prefix: str) -> dict[str, np.ndarray]:
        return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}

    weights = {key: np.asarray(value, np.float32) for key, value in part(_WEIGHT).items()}
    scaler = part(_SCALER)
    if scaler.keys() != {"low", "high", "log"}:
        raise InputError(f"{path}: not a packed model: the labels' scale is not whole")
    for name, values in {**weights, **scaler}.items():
        if not np.isfinite(values).all():
            raise InputError(f"{path}: not a packed model: {name} is not finite")
    pairs, stored = None, part(_PAIRS)
    if has_pairs and not stored and config.data in SHIPPED:
        pairs = _of_shipped(path, config)
    elif has_pairs:
        pairs = Pairs.of_arrays(stored, len(config.target_names), path)
    return Packed(config, record, pairs, unflatten_dict(weights, sep="/"), scaler, result)


def _are_shipped(config: RunConfig) -> bool:
    """Return whether a run's pairs are those of a table of the package, and soon made of it."""
    if config.data not in SHIPPED or images.parse(config.images).solved:
        return False
    return _opened(config.data)[1] == config.data_fingerprint


def _of_shipped(path: str, config: RunConfig) -> Pairs | None:
    table, fingerprint = _opened(config.data)
    if fingerprint != config.data_fingerprint:
        raise InputError(
            f"{path}: expected the table {config.data} that it was trained on, "
            f"{config.data_fingerprint}, got {fingerprint}: another version of qc_jax"
        )
    return pairs_of(table, config, config.architecture())


@functools.lru_cache(maxsize=1)  # the members of an ensemble share it
def _opened(name: str) -> tuple[PairTable, str]:
    table = open_table(name)
    return table, table.fingerprint()
