"""NequIP on the GFN2-xTB table, by the published protocol.

python -m experiments.train --config=nequip --config.data=gfn2_xtb --workdir=runs/nequip

306,001 parameters; 7 minutes on two busy CPU cores. Test MAE in eV with seed 42: e_homo_ev 0.763.
"""

from ml_collections import ConfigDict

from qc_jax.runs import cards


def get_config(preset: str = "") -> ConfigDict:
    """The card; `:quick` for a run of seconds."""
    return cards.published("nequip", preset, quick={"features": 8, "layers": 2, "max_degree": 1})
