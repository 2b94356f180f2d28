"""CrysMTM's crystals of TiO2 by the published protocol of the transfer study.

python -m experiments.finetune --from=runs/schnet --data=crysmtm:DIR --workdir=runs/crysmtm

Of the rotations at temperatures that do not test 80 % train and 20 % validate. Both arms have one
learning rate. Published targets: e_homo_ev, e_lumo_ev; published models: schnet, gotennet.
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
        epochs=100,
        early_stopping_patience=20,
        loss="mse",
        target="e_homo_ev",
    )
