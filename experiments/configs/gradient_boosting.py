"""Gradient boosting on the GFN2-xTB table; needs the extra `[boosting]`.

python -m experiments.train --config=gradient_boosting --config.data=gfn2_xtb --workdir=runs/gb

500 trees of 46,003 parameters, grown in some 15 seconds. Test MAE in eV on gfn2_xtb with seed 42:
e_homo_ev 0.614, e_g_ev 0.176, band_energy_ev 6.37; mean ± deviation of seeds 42, 123, 456:
0.648 ± 0.045, 0.170 ± 0.006 (the training median 0.562) and 6.49 ± 0.40.
"""

from ml_collections import ConfigDict

from qc_jax.runs import cards


def get_config(preset: str = "") -> ConfigDict:
    """The card; `:quick` for a run of seconds."""
    return cards.published("gradient_boosting", preset, quick={"trees": 20})
