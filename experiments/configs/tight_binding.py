"""Tight-binding network on the shipped table: all 20 targets in one training.

python -m experiments.train --config=tight_binding --workdir=runs/tight_binding
"""

from ml_collections import ConfigDict

from qc_jax.runs import cards


def get_config(preset: str = "") -> ConfigDict:
    """The card; `:quick` for a run of seconds."""
    config = cards.published("tight_binding", preset, quick={"hidden": 32, "embedding": 8})
    config.targets = "all"
    config.missing_labels = "mask"
    config.scale_by = "residual"
    config.optimizer = "adamw"
    config.lr = 1e-2
    config.weight_decay = 0.1
    config.grad_clip_norm = 1.0
    config.schedule = "cosine"
    config.embedding_noise = 0.5
    config.average_decay = 0.995
    config.early_stopping_patience = 1000
    if preset != "quick":
        config.epochs = 1000
    return config
