"""From a work directory back to the model that was trained there."""

import dataclasses
import os
from collections.abc import Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from qc_jax import models
from qc_jax.data.scaling import Scaler
from qc_jax.data.targets import BENCHMARK_TARGETS, target
from qc_jax.errors import InputError
from qc_jax.train.checkpoint import Checkpoints
from qc_jax.train.settings import Settings
from qc_jax.train.state import State, init, of_one, take
from qc_jax.train.workdir import ADDED, Workdir


class Trained(NamedTuple):
    """A training, as its work directory keeps it.

    Attributes:
      config: the run's configuration, with the fields that earlier versions did not have.
      model: the architecture.
      targets: the names of its outputs.
      settings: how it was trained.
      state: the newest that was saved.
    """

    config: dict[str, Any]
    model: nn.Module
    targets: tuple[str, ...]
    settings: Settings
    state: State


def open_trained(path: str | os.PathLike) -> Trained:
    """What was trained in the work directory at `path`.

    Raises:
      InputError: it is none, or holds no checkpoint, or a damaged one.
    """
    workdir = Workdir(path)
    config = {**ADDED, **workdir.config()}
    model, targets, settings = model_of(config)
    return Trained(config, model, targets, settings, restore(workdir, model, settings))


def model_of(config: Mapping[str, Any]) -> tuple[nn.Module, tuple[str, ...], Settings]:
    """The untrained model of a configuration, its targets, and how it is trained.

    Raises:
      InputError: a value is wrong.
    """
    fields = [field.name for field in dataclasses.fields(Settings)]
    config = {**ADDED, **config}
    settings = Settings(**{field: config[field] for field in fields})
    targets = targets_of(config)
    for name in targets:
        target(name)
    hyper_parameters = dict(config["model"])
    model = models.create(hyper_parameters.pop("name"), **hyper_parameters, outputs=len(targets))
    return model, targets, settings


def targets_of(config: Mapping[str, Any]) -> tuple[str, ...]:
    """The targets that a configuration asks for.

    Raises:
      InputError: one is named twice.
    """
    if not config["targets"]:
        return (config["target"],)
    if config["targets"] == "all":
        return BENCHMARK_TARGETS
    names = tuple(name.strip() for name in config["targets"].split(","))
    if len(set(names)) < len(names):
        raise InputError(f"targets {config['targets']!r} name a target twice")
    return names


def restore(workdir: Workdir, model: nn.Module, settings: Settings) -> State:
    """The newest state that was saved in the work directory of a run with this model and settings.

    Raises:
      InputError: there is none, or it is damaged or of another model.
    """
    if not workdir.checkpoints.is_dir():
        raise InputError(f"{workdir.path} holds no checkpoint; train first")
    zeros = jnp.zeros(model.outputs)
    scaler = Scaler(low=zeros, high=zeros, log=zeros.astype(bool))
    sample = models.sample({**ADDED, **workdir.config()}["canvas_size"])
    like = jax.eval_shape(lambda: of_one(init(model, sample, scaler, settings)))
    with Checkpoints(workdir.checkpoints) as checkpoints:
        states = checkpoints.latest(like)
    if states is None:
        raise InputError(f"{workdir.checkpoints} holds no checkpoint; train first")
    return take(states, 0)
