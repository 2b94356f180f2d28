"""The vision transformer of three channels on the GFN2-xTB table, by the published protocol.

python -m experiments.train --config=vit --config.data=gfn2_xtb --workdir=runs/vit

458,689 parameters; 6 minutes on two busy CPU cores. Test MAE in eV with seed 42: e_homo_ev 1.237
(stopped early after 41 epochs).
"""

from ml_collections import ConfigDict

from qc_jax.runs import cards


def get_config(preset: str = "") -> ConfigDict:
    """The card; `:quick` for a run of seconds."""
    return cards.published("vit", preset, quick={"hidden": 16, "layers": 1, "patch": 8})
