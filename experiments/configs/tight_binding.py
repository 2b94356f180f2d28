"""Tight-binding network on the ptbp table: all 20 targets in one training.

python -m experiments.train --config=tight_binding --workdir=runs/tight_binding

108,629 parameters; 4 minutes on two CPU cores. Test MAE, mean ± deviation of seeds 42, 123, 456:
e_g_ev 0.038 ± 0.007, e_homo_ev 0.062 ± 0.004, e_lumo_ev 0.063 ± 0.008, band_energy_ev 0.59 ± 0.03,
total_energy_ev 0.142 ± 0.005, repulsive_energy_ev 0.036 ± 0.009, dipole_mag_d 0.146 ± 0.011,
q_absmean 0.0121 ± 0.0009; the best published numbers are 0.201, 0.265 and 0.274 eV for the first
three. On gfn2_xtb, `--config.model.basis=gfn2_xtb`, with 1,000 epochs and seed 42: e_g_ev 0.063,
e_homo_ev 0.223, e_lumo_ev 0.240, band_energy_ev 2.51, total_energy_ev 0.222, dipole_mag_d 0.632.
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
