"""Open trained models: the directory of a run, a packed file, or a model of the package."""

import functools
import os
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict

from qc_jax import models
from qc_jax.data import scaling
from qc_jax.data.scaling import Scaler
from qc_jax.errors import InputError, expect
from qc_jax.runs import packed
from qc_jax.runs.config import RunConfig
from qc_jax.runs.record import PAIRS, RECORD, Pairs, Record
from qc_jax.runs.saved import SavedRun
from qc_jax.runs.workdir import Workdir
from qc_jax.train.checkpoint import Checkpoints
from qc_jax.train.state import State, add_replica_axis, init, select_replica


def load(path: str | os.PathLike) -> SavedRun:
    """Open a trained model; the data that it was trained on are not needed.

    Args:
      path: The directory of a run; a file that `SavedRun.pack` wrote; or, where there is no such
        directory, the name of a model that comes with the package, like 'tight_binding/ptbp'.

    Raises:
      InputError: It is none, holds no checkpoint or a damaged one, is of a newer qc_jax, or its
        model's module is not there.

    Example:
      >>> import pathlib, tempfile, qc_jax
      >>> path = pathlib.Path(tempfile.mkdtemp()) / "run"
      >>> task = qc_jax.prepare(qc_jax.open_table("gfn2_xtb"), "e_homo_ev", train_fraction=0.1)
      >>> saved = qc_jax.fit(qc_jax.create("pair_mean"), task).save(path)
      >>> bool(load(path).predict("Ag_Al") == saved.predict("Ag_Al"))
      True
    """
    expect("path", path, (str, os.PathLike), "the directory of a run")
    if not os.fspath(path):
        raise InputError("expected the directory of a run or a model's name, got an empty name")
    if os.fspath(path).endswith(".npz"):
        return _unpacked(packed.read(path))
    if not os.path.exists(path):
        if os.fspath(path) in packed.index():
            # Its hash has told that it is whole, tests that its weights are the model's.
            return _unpacked(packed.read_shipped(os.fspath(path)), checked=True)
        raise InputError(
            f"{path} is not the directory of a training: it holds no config.json; models "
            f"that come with the package: {', '.join(packed.index())}"
        )
    workdir = Workdir(path, writes=False)
    if not (workdir.path / "config.json").exists() and (workdir.path / "trainings").is_dir():
        raise InputError(f"{path} holds several trainings; expected one, of {path}/trainings/NAME")
    config = RunConfig.from_dict(workdir.config())
    if not (workdir.path / RECORD).exists():
        raise InputError(f"{workdir.path} is not a whole run: it holds no {RECORD}")
    result = workdir.result() or {}
    _check_unchanged(workdir, config, result)
    record = Record.read(workdir.path / RECORD, len(config.target_names))
    pairs = workdir.path / PAIRS
    model = config.architecture()
    return SavedRun(
        config=config,
        model=model,
        state=restore(workdir, model, config),
        record=record,
        pairs=Pairs.read(pairs, len(config.target_names)) if pairs.exists() else None,
        path=workdir.path,
        seconds=result.get("seconds", {}),
        result=result,
    )


def _check_unchanged(workdir: Workdir, config: RunConfig, result: Mapping[str, Any]) -> None:
    """Raise InputError where config.json says other than the result that was written beside it."""
    for field, key, now in (
        ("target or targets", "targets", list(config.target_names)),
        ("data", "dataset", config.data),
        ("data_fingerprint", "data_fingerprint", config.data_fingerprint),
    ):
        if key in result and result[key] != now:
            raise InputError(
                f"{workdir.path / 'config.json'}: {field}: expected {_listed(result[key])}, as in "
                f"result.json, got {_listed(now)}; it was changed after training"
            )


def _listed(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _unpacked(found: packed.Packed, checked: bool = False) -> SavedRun:
    """Return a packed model as a run, of which optimizer and schedule are gone."""
    model, config, result = found.config.architecture(), found.config, found.result
    if not checked and _expected(model, config.canvas_size, config.images) != _shapes(
        found.variables
    ):
        raise InputError(f"packed model: expected weights of {config.model.name}, got others")
    statistics = jax.device_put(found.variables)  # which compiles nothing
    params = statistics.pop("params")
    state = State(
        epoch=jax.device_put(np.int32(result["epochs"])),
        params=params,
        statistics=statistics,
        opt_state=(),
        schedule_state=(),
        best_params=params,
        best_statistics=statistics,
        best_loss=jax.device_put(np.float32(np.inf)),
        best_epoch=jax.device_put(np.int32(result["best_epoch"])),
        key=jax.device_put(np.zeros(2, np.uint32)),
        scaler=Scaler(
            **jax.device_put(found.scaler),
            binary=scaling.binary(found.config.target_names),
        ),
    )
    return SavedRun(
        config=found.config,
        model=model,
        state=state,
        record=found.record,
        pairs=found.pairs,
        seconds=result["seconds"],
        result=result,
    )


@functools.lru_cache(maxsize=8)
def _expected(
    model: models.Architecture, canvas_size: int, images: str
) -> dict[str, tuple[int, ...]]:
    """Return the shapes of a model's weights; once for the members of an ensemble."""
    made = jax.eval_shape(lambda: model.init(jax.random.key(0), models.sample(canvas_size, images)))
    return _shapes(made)


def _shapes(variables: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    return {key: leaf.shape for key, leaf in flatten_dict(variables, sep="/").items()}


def restore(workdir: Workdir, model: models.Architecture, config: RunConfig) -> State:
    """Return the newest state that was saved in the directory of a run with this model.

    Raises:
      InputError: There is none, or it is damaged or of another model.
    """
    if not workdir.checkpoints.is_dir():
        raise InputError(f"{workdir.path} holds no checkpoint; train first")
    zeros = jnp.zeros(len(config.target_names))
    classes = scaling.binary(config.target_names)
    scaler = Scaler(low=zeros, high=zeros, log=zeros.astype(bool), binary=classes)
    sample = models.sample(config.canvas_size, config.images)
    like = jax.eval_shape(lambda: add_replica_axis(init(model, sample, scaler, config.train)))
    with Checkpoints(workdir.checkpoints) as checkpoints:
        states = checkpoints.latest(like)
    if states is None:
        raise InputError(f"{workdir.checkpoints} holds no checkpoint; train first")
    return select_replica(states, 0)
