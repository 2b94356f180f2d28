"""QuantumShellNet on the GFN2-xTB table, by the published protocol.

python -m experiments.train --config=quantumshellnet --config.data=gfn2_xtb --workdir=runs/qsn

343,542 parameters; 104 seconds on two busy CPU cores. Test MAE in eV with seed 42: e_homo_ev 1.584
(stopped early after 38 epochs).

That is what the training median gives (1.581): unscaled sums of atomic numbers, as published, drown
the rest, and the network in PyTorch does the same on these data.
"""

from ml_collections import ConfigDict

from qc_jax.runs import cards


def get_config(preset: str = "") -> ConfigDict:
    """The card; `:quick` for a run of seconds."""
    return cards.published(
        "quantumshellnet", preset, quick={"convolutions": (16, 24, 16, 8, 8), "hidden": (32, 16)}
    )
