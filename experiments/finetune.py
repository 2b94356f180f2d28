"""Train on larger structures, from the weights of another training or from scratch.

    python -m experiments.finetune --from=runs/schnet --data=md17:md17_ethanol.npz --workdir=runs/a
    python -m experiments.finetune --from=scratch --data=qm9:DIR --target=e_homo_ev --workdir=runs/b
    python -m experiments.finetune --from=runs/schnet --data=crysmtm:DIR --workdir=runs/c \\
        --config.transfer.head=kept --config.layer_lr='elements=0,interaction_*=0.1'

The loop, the work directory and the table are those of experiments.train. Weights are taken over by
name and shape; those that are not are listed. --config is the card of the data's kind in
configs/finetune unless another is given; `--config=finetune/md17:gotennet` trains a model of one's
own choice. `--config.train_rows=200` takes fewer training rows, `--config.force_weight=1` learns
the forces of MD17's frames, too, and `--config.sweep.seed=1,2,3` trains several.
"""

from qc_jax.data.names import parse_structures
from qc_jax.errors import InputError
from qc_jax.runs import cli, distributed

from . import train

FLAGS = cli.Flags(__doc__)
_FROM = FLAGS.string(
    "from",
    None,
    "The work directory of a finished training, a packed one, or 'scratch'.",
    required=True,
)
_DATA = FLAGS.string(
    "data", None, "qm9, qm9:DIR, md17:FILE.npz, crysmtm:DIR or extxyz:FILE.", required=True
)
_DATA_DIR = FLAGS.string("data_dir", "", "Where TFDS keeps what it prepares.")
_TARGET = FLAGS.string("target", None, "As --config.target; the card's where not given.")
_WORKDIR = FLAGS.string("workdir", None, "Where the run is kept.", required=True)
_CONFIG = FLAGS.card(
    "Experiment card; that of the data's kind in configs/finetune where not given.",
    required=False,
    default=lambda: f"finetune/{_DATA.value.partition(':')[0]}",
)
_GROUP = distributed.Group(FLAGS)


def main(_: list[str]) -> None:
    """Train, score, report."""
    parse_structures(_DATA.value)
    config = _CONFIG.value
    if "transfer" not in config:
        raise InputError("--config: expected a card of configs/finetune")
    config |= {"data": _DATA.value, "data_dir": _DATA_DIR.value}
    if _TARGET.value is not None:
        config |= {"target": _TARGET.value, "targets": ""}
    config["transfer"] |= {"source": _FROM.value}
    train.run(config, _WORKDIR.value, _GROUP)


if __name__ == "__main__":
    cli.run(main, FLAGS)
