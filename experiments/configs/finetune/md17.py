"""Frames of one molecule (MD17) by the published protocol of the transfer study.

python -m experiments.finetune --from=runs/schnet --data=md17:FILE.npz --workdir=runs/md17

950 frames train, 50 validate, the rest tests. As published only energies are learned;
`--config.force_weight=1` learns the forces, too, of a smooth model. Published models: schnet,
faenet, gotennet; of these schnet is smooth.
"""

from ml_collections import ConfigDict

from qc_jax.runs import cards


def get_config(preset: str = "") -> ConfigDict:
    """The card; `:MODEL` for the fields of a model, `:quick` for two epochs."""
    return cards.published_structures(
        preset,
        lr_scratch=1e-4,
        lr_finetune=1e-5,
        batch_size=32,
        epochs=50,
        early_stopping_patience=30,
        loss="mae",
        target="total_energy_ev",
    )
