"""GCN, the published benchmark's 'egnn', on the GFN2-xTB table, by the published protocol.

python -m experiments.train --config=gcn --config.data=gfn2_xtb --workdir=runs/gcn

266,491 parameters; 37 seconds on two busy CPU cores. Test MAE in eV with seed 42: e_homo_ev 0.473
(stopped early after 33 epochs).
The published benchmark has 0.265 on its own data.
"""

from ml_collections import ConfigDict

from qc_jax.runs import cards


def get_config(preset: str = "") -> ConfigDict:
    """The card; `:quick` for a run of seconds."""
    return cards.published("gcn", preset, quick={"hidden": 16, "layers": 2})
