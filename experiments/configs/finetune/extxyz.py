"""Molecules or crystals of one's own: extended XYZ with energies, and forces where it has them.

python -m experiments.finetune --from=runs/schnet --data=extxyz:FILE.xyz --workdir=runs/own

The protocol is that of MD17's frames, at the learning rate of a start from scratch.
`--config.force_weight=1` learns forces, `--config.virial_weight=0.1` the stress of cells, too.
"""

from ml_collections import ConfigDict

from qc_jax.runs import cards


def get_config(preset: str = "") -> ConfigDict:
    """The card; `:MODEL` for the fields of a model, `:quick` for two epochs."""
    return cards.published_structures(
        preset,
        lr_scratch=1e-4,
        lr_finetune=1e-4,
        batch_size=32,
        epochs=50,
        early_stopping_patience=30,
        loss="mae",
        target="total_energy_ev",
    )
