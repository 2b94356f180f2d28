"""QM9's molecules by the published protocol of the transfer study.

python -m experiments.finetune --from=runs/schnet --data=qm9:DIR --workdir=runs/qm9

110,000 molecules train, 10,000 validate, the rest tests. Published targets: e_homo_ev, e_lumo_ev,
e_g_ev; published models: schnet, faenet, gotennet.
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
        target="e_homo_ev",
    )
