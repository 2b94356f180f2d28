"""Weights that a training starts from, where a configuration names some.

`image_weights`, a field of multimodal's card, names an .npz or a file of PyTorch with the weights
of torchvision's resnet18. `transfer`, of the cards of `configs/finetune`, names another training,
as `runs.loading.load` does: see `qc_jax.train.transfer`.
"""

import functools
import sys
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from qc_jax import models
from qc_jax.errors import InputError
from qc_jax.models import multimodal
from qc_jax.runs import building, torch_checkpoint
from qc_jax.runs.loading import load
from qc_jax.train import transfer
from qc_jax.train.state import State, sha256_of

SCRATCH = "scratch"
_FIRST_MODEL = "schnet"  # of the published comparison


def resolve(config: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration with what its `transfer` leaves open: the model and the learning rate.

    The fingerprint of the weights becomes a part of it, so that a work directory refuses other
    ones. A model without a name is that of the pretrained work directory, and SchNet without one.
    A rate of 0 is `transfer.lr_scratch` or `transfer.lr_finetune`, by where the training starts.

    Raises:
      InputError: no such work directory.
    """
    source = config["transfer"]["source"]
    scratch = source == SCRATCH
    found = dict(config)
    if not config["model"]["name"]:
        default = {"name": _FIRST_MODEL, **models.defaults(_FIRST_MODEL)}
        found["model"] = default if scratch else _loaded(source).config.to_dict()["model"]
    if not scratch:
        found["transfer"] = {**config["transfer"], "weights_sha256": _pretrained(source)[2]}
    if not config["lr"]:
        found["lr"] = config["transfer"]["lr_scratch" if scratch else "lr_finetune"]
    return found


def read(run: building.Run) -> building.Run:
    """The run with the weights that it starts from.

    Their fingerprint becomes a part of the configuration, so that a work directory refuses other
    ones.

    Raises:
      InputError: no such file or work directory, or its weights do not fit the model.
    """
    if run.config.transfer is not None and run.config.transfer.source != SCRATCH:
        return _of_training(run)
    path = run.config.image_weights
    if not path:
        return run
    if not isinstance(run.model, multimodal.Model):
        name = run.config.model.name
        raise InputError(f"image_weights: expected the model multimodal, got {name}")
    initial, sha256 = _image_weights(path, run.model.clone(outputs=1, dropout=0.0))
    return run._replace(config=run.config.replace(image_weights_sha256=sha256), initial=initial)


@functools.lru_cache(maxsize=1)  # the trainings of a sweep share them
def _image_weights(path: str, model: multimodal.Model) -> tuple[models.Variables, str]:
    try:
        checkpoint = torch_checkpoint.read(path)
        initial = multimodal.image_weights(model, checkpoint.weights)
    except InputError as error:
        raise InputError(f"image_weights: {error}") from error
    unused = [name for name in multimodal.LAST_LAYER if name in checkpoint.weights]
    if unused:
        print(f"{path}: left out, as it tells classes: {', '.join(unused)}", file=sys.stderr)
    return initial, checkpoint.sha256


def _of_training(run: building.Run) -> building.Run:
    """The run that starts from another one's best weights, and perhaps its label scaling."""
    asked = run.config.transfer
    assert asked is not None
    state, targets, sha256 = _pretrained(asked.source)
    sample = run.task.dataset.take(np.arange(1)).structures
    shapes = jax.eval_shape(lambda: run.model.init(jax.random.key(0), sample))
    matched = transfer.match(
        state.best_variables, shapes, run.model.head_layers, asked.head, asked.embeddings
    )
    if not matched.taken:
        raise InputError(f"--from={asked.source}: none of its weights fits the model")
    task = run.task
    if asked.scaling == "kept":
        theirs = _loaded(asked.source).record
        ours_less = any(task.offsets or ()) or task.element_offsets
        theirs_less = any(theirs.offsets) or theirs.element_offsets
        if targets != task.targets or ours_less or theirs_less:
            less = ", less constants that its data have" if theirs_less else ""
            raise InputError(
                f"transfer.scaling=kept: expected labels as {asked.source} has them, "
                f"{', '.join(targets)}{less}; got {', '.join((*task.targets, *task.notes))}"
            )
        task = task._replace(scaler=state.scaler)
    assert asked.weights_sha256 == sha256, "`resolve` has read them"
    return run._replace(task=task, initial=matched.initial, matched=matched)


_loaded = functools.lru_cache(maxsize=4)(load)


@functools.lru_cache(maxsize=4)  # the trainings of a sweep share them
def _pretrained(path: str) -> tuple[State, tuple[str, ...], str]:
    """The state that a work directory ends with, its targets, and the weights' SHA-256."""
    trained = _loaded(path)
    if not trained.result:
        raise InputError(f"--from={path}: expected a training that has ended, it has no result")
    state = jax.device_get(trained.state)
    return state, trained.targets, sha256_of(state.best_variables)
