"""QuantumShellNet on the shipped table, by the published protocol.

python -m experiments.train --config=experiments/configs/quantumshellnet.py --workdir=runs/qsn

343,542 parameters; to be measured. Test MAE in eV with seed 42: e_homo_ev.
"""

from ml_collections import ConfigDict

from experiments.configs import common


def get_config(preset: str = "") -> ConfigDict:
    """The card; `:quick` for a run of seconds."""
    return common.published(
        "quantumshellnet", preset, quick={"convolutions": (16, 24, 16, 8, 8), "hidden": (32, 16)}
    )
