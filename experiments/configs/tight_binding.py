"""Tight-binding network on the shipped table: all 20 targets in one training.

python -m experiments.train --config=tight_binding --workdir=runs/tight_binding

108,413 parameters; 4 minutes on one busy CPU core. Test MAE in eV, Debye and e with seed 42:
e_g_ev 0.063, e_homo_ev 0.223, e_lumo_ev 0.240, band_energy_ev 2.51, total_energy_ev 0.222,
dipole_mag_d 0.632, q_absmean 0.030. Seed 456 has a harder test set: e_homo_ev 0.326, median 0.183.
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
        config.epochs = 2000
    return config
