"""FAENet on the GFN2-xTB table, by the published protocol, averaged over frames.

python -m experiments.train --config=faenet --config.data=gfn2_xtb --workdir=runs/faenet

303,241 parameters; 5 minutes on two busy CPU cores. Test MAE in eV with seed 42: e_homo_ev 0.695.
"""

from ml_collections import ConfigDict

from qc_jax.runs import cards


def get_config(preset: str = "") -> ConfigDict:
    """The card; `:quick` for a run of seconds."""
    return cards.published("faenet", preset, quick={"hidden": 32, "interactions": 2})
