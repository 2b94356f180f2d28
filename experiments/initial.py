"""Weights that a training starts from, where a configuration names a file of them."""

import functools
import sys

from experiments import runs, torch_checkpoint
from qc_jax import models
from qc_jax.errors import InputError
from qc_jax.models import multimodal


def read(run: runs.Run) -> runs.Run:
    """The run with the weights that it starts from.

    `image_weights`, a field of multimodal's card, names an .npz or a file of PyTorch with the
    weights of torchvision's resnet18. Their fingerprint becomes a part of the configuration, so
    that a work directory refuses other ones.

    Raises:
      InputError: no such file, or its weights do not fit the model.
    """
    path = run.config.get("image_weights", "")
    if not path:
        return run
    if not isinstance(run.model, multimodal.Model):
        name = run.config["model"]["name"]
        raise InputError(f"image_weights: expected the model multimodal, got {name}")
    initial, sha256 = _image_weights(path, run.model.clone(outputs=1, dropout=0.0))
    return run._replace(config={**run.config, "image_weights_sha256": sha256}, initial=initial)


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
