"""What all experiment cards share: the published protocol, and how `:quick` shrinks a run."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from qc_jax import models
from qc_jax.errors import choose
from qc_jax.train.settings import Settings

# What `config.sweep` can vary.
SWEPT = ("model", "target", "seed", "lr", "weight_decay", "dropout")


def published(
    model: str, preset: str, quick: Mapping[str, Any], **hyper_parameters: Any
) -> ConfigDict:
    """The published protocol for one model, locked: an unknown field is an error.

    Args:
      model: a name of `qc_jax.models.available()`; all its hyper-parameters are fields.
      preset: what stands behind the colon of `--config=FILE:PRESET`; '' or 'quick', which ends in
        seconds and is worth nothing but a look.
      quick: hyper-parameters of the quick run.
      **hyper_parameters: of every run, those that differ from the model's defaults.
    """
    choose("preset", preset, ("", "quick"))
    config = ConfigDict(dataclasses.asdict(Settings()))
    config.target = "e_homo_ev"
    # Several at once in one model, 'e_homo_ev,e_lumo_ev', or 'all' of the benchmark; wins over
    # `target`.
    config.targets = ""
    # The shipped table, a path to an .npz, 'published:FILE', 'dftbplus:DIR', or
    # 'tfds:quantum_canvas/gfn2_xtb'.
    config.data = "gfn2_xtb"
    config.data_dir = ""  # of TFDS; '' is TFDS's own choice
    # A name of `qc_jax.data.splits.SPLITS`: 'random' is the published benchmark's, 'by_period' and
    # others are out of distribution, 'k_fold:1/5' to 'k_fold:5/5' cross-validate.
    config.split = "random"
    config.train_fraction = 1.0  # of the training rows, drawn with the seed
    config.scale_on = "train"  # the rows that label scaling is fitted on; 'all' is published
    config.canvas_size = 32  # pixels along each side
    config.model = ConfigDict({"name": model, **models.defaults(model), **hyper_parameters})
    # Commas between several: every combination is trained, many at once as one program.
    # --config.sweep.target=all --config.sweep.seed=42,123,456
    config.sweep = ConfigDict({name: "" for name in SWEPT})
    config.sweep.stack = 0  # trainings in one program; 0 takes as many as memory holds
    if preset == "quick":
        config.epochs = 2
        config.model.update(quick)
    return config.lock()
