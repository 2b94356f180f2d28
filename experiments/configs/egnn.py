"""EGNN on the GFN2-xTB table, by the published protocol.

python -m experiments.train --config=egnn --config.data=gfn2_xtb --workdir=runs/egnn

465,496 parameters; 45 seconds on two CPU cores, 20 of them epochs. Test MAE in eV, the mean of
seeds 42, 123 and 456, the lowest and the highest:
e_homo_ev 0.388 (0.327 to 0.447), e_lumo_ev 0.401 (0.336 to 0.475), e_g_ev 0.185 (0.164 to 0.198),
total_energy_ev 1.453 (1.167 to 1.770). A processor's rounding moves a single training as far as
another seed: e_homo_ev with seed 42 had 0.388 on one machine, 0.336 on another.
"""

from ml_collections import ConfigDict

from qc_jax.runs import cards


def get_config(preset: str = "") -> ConfigDict:
    """The card; `:quick` for a run of seconds."""
    return cards.published("egnn", preset, quick={"hidden": 16, "layers": 2})
