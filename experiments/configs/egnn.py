"""EGNN on the shipped table.

python -m experiments.train --config=experiments/configs/egnn.py --workdir=runs/egnn
"""

from ml_collections import ConfigDict

from experiments.configs import common


def get_config(preset: str = "") -> ConfigDict:
    """The card; `:quick` for a run of seconds."""
    size = {"hidden": 16, "layers": 2} if preset == "quick" else {"hidden": 94, "layers": 7}
    return common.published("egnn", preset, **size)
