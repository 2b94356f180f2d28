"""One constant an element on the GFN2-xTB table: what every model has to beat.

python -m experiments.train --config=pair_mean --config.data=gfn2_xtb --workdir=runs/pair_mean

98 parameters, solved at once in seconds. Test MAE in eV with seed 42: e_homo_ev 0.824.
"""

from ml_collections import ConfigDict

from qc_jax.runs import cards


def get_config(preset: str = "") -> ConfigDict:
    """The card; `:quick` for a run of seconds."""
    return cards.published("pair_mean", preset, quick={})
