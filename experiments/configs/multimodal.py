"""SchNet and ResNet-18, fused, on the shipped table, by the published protocol.

python -m experiments.train --config=experiments/configs/multimodal.py --workdir=runs/multimodal

11,640,226 parameters; to be measured. Test MAE in eV with seed 42: e_homo_ev.
"""

from ml_collections import ConfigDict

from experiments.configs import common


def get_config(preset: str = "") -> ConfigDict:
    """The card; `:quick` for a run of seconds."""
    return common.published(
        "multimodal", preset, quick={"widths": (4, 4, 8, 8), "hidden": 16, "interactions": 2}
    )
