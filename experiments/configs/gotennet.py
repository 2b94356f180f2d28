"""GotenNet on the GFN2-xTB table, by the published protocol.

python -m experiments.train --config=gotennet --config.data=gfn2_xtb --workdir=runs/gotennet

288,257 parameters; 4 minutes on two busy CPU cores. Test MAE in eV with seed 42: e_homo_ev 0.409.
"""

from ml_collections import ConfigDict

from qc_jax.runs import cards


def get_config(preset: str = "") -> ConfigDict:
    """The card; `:quick` for a run of seconds."""
    return cards.published("gotennet", preset, quick={"hidden": 16, "interactions": 2})
