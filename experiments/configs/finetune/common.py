"""What the cards of larger structures share."""

from typing import Any

from ml_collections import ConfigDict

from experiments.configs import common
from qc_jax import models
from qc_jax.errors import choose


def published(preset: str, lr_scratch: float, lr_finetune: float, **fields: Any) -> ConfigDict:
    """The published protocol of a collection, locked.

    Args:
      preset: the name of a model, whose hyper-parameters are then fields; '' is the model of the
        pretrained work directory, 'quick' that and two epochs.
      lr_scratch: learning rate of a training that starts from random weights.
      lr_finetune: of one that starts from those of another.
      **fields: that differ from those of the pairs' cards.
    """
    choose("preset", preset, ("", "quick", *models.available()))
    model = "" if preset in ("", "quick") else preset
    config = common.published(model or "schnet", "", quick={}).unlock()
    if not model:
        config.model = ConfigDict({"name": ""})
    for name in ("train_fraction", "scale_on", "canvas_size"):  # they are of pairs
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
            "head": "new",  # or 'kept': the layers called out, out_0, output_1, …
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
