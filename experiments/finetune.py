"""Trains on larger structures, from the weights of another training or from scratch.

    python -m experiments.finetune --from=runs/schnet --data=md17:md17_ethanol.npz --workdir=runs/a
    python -m experiments.finetune --from=scratch --data=qm9:DIR --target=e_homo_ev --workdir=runs/b
    python -m experiments.finetune --from=runs/schnet --data=crysmtm:DIR --workdir=runs/c \\
        --config.transfer.head=kept --config.layer_lr='elements=0,interaction_*=0.1'

The loop, the work directory and the table are those of experiments.train. Weights are taken over by
name and shape; those that are not are listed. --config is the card of the data's kind in
configs/finetune unless another is given; `--config=experiments/configs/finetune/md17.py:gotennet`
trains a model of one's own choice. `--config.train_rows=200` takes fewer training rows,
`--config.force_weight=1` learns the forces of MD17's frames, too, and `--config.sweep.seed=1,2,3`
trains several.
"""

import sys

from absl import flags

from experiments import cli, train
from experiments.configs.finetune import with_card
from qc_jax.data.names import parse_structures
from qc_jax.errors import InputError
from qc_jax.runs import initial

_FROM = flags.DEFINE_string(
    "from", None, "The work directory of a finished training, or 'scratch'.", required=True
)
_DATA = flags.DEFINE_string(
    "data", None, "qm9, qm9:DIR, md17:FILE.npz or crysmtm:DIR.", required=True
)
_DATA_DIR = flags.DEFINE_string("data_dir", "", "Where TFDS keeps what it prepares.")
_TARGET = flags.DEFINE_string("target", None, "As --config.target; the card's where not given.")


def main(argv: list[str]) -> None:
    """Trains, scores, reports."""
    if argv:
        raise InputError(f"expected flags only, got {argv[0]!r}")
    config = flags.FLAGS.config.to_dict()
    if "transfer" not in config:
        raise InputError("--config: expected a card of configs/finetune")
    parse_structures(_DATA.value)
    config |= {"data": _DATA.value, "data_dir": _DATA_DIR.value}
    if _TARGET.value is not None:
        config["target"] = _TARGET.value
    config["transfer"] |= {"source": _FROM.value}
    train.run(initial.resolve(config))


if __name__ == "__main__":
    sys.argv = with_card(sys.argv)
    cli.run(main)
