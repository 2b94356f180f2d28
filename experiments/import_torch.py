"""Makes a work directory of a PyTorch checkpoint, as if the model had been trained here.

    python -m experiments.import_torch --checkpoint=best_model.pt --model=schnet --workdir=runs/pt

`experiments.predict` and `experiments.evaluate` then take --workdir=runs/pt; training it further is
refused. The checkpoint is a file of `torch.save`, of which only tensors, numbers and words are
loaded (PyTorch is needed, here alone), or an .npz of named arrays. It holds a state dict, or a dict
with one under 'model_state_dict', 'state_dict' or 'model', like the published trainer's files: of
those the target and the range of the labels are taken, and the hyper-parameters compared and shown.
The published 'egnn' is `gcn` here.

Hyper-parameters, target, data, seed and split are --config's (and --config.model.cutoff=4.0), or
the published ones of --model. The network's outputs are labels scaled to [−1, 1], linearly for
every target, between two numbers that are part of the model. They come from the checkpoint; where
it has none, from --label_min and --label_max (−1 and 1 where the labels were not scaled), or with
--label_range_from_data by the published rule: the smallest and largest of all finite labels of the
table, those of the test rows included.

No checkpoint says which rows it was trained on. The errors are a test's if they were those of the
data, split and seed here; result.json says so, under 'imported'.
"""

from ml_collections import ConfigDict

from qc_jax import models
from qc_jax.errors import InputError
from qc_jax.report.parity import plot_scored
from qc_jax.report.tables import show_result
from qc_jax.runs import building, cli, record, scoring, torch_checkpoint
from qc_jax.runs.workdir import Workdir
from qc_jax.train.checkpoint import Checkpoints
from qc_jax.train.state import add_replica_axis

FLAGS = cli.Flags(__doc__)
_CHECKPOINT = FLAGS.string("checkpoint", None, "A .pt, .pth or .npz file.", required=True)
_MODEL = FLAGS.string("model", None, "Its architecture; --config's where not given.")
_TARGET = FLAGS.string("target", None, "Its targets; the checkpoint's or --config's else.")
_WORKDIR = FLAGS.string("workdir", None, "Where it is put.", required=True)
_CONFIG = FLAGS.card(
    "Experiment card: its name or FILE.py; published values where not given.", required=False
)
_LABEL_MIN = FLAGS.strings("label_min", None, "The label that is −1, one a target.")
_LABEL_MAX = FLAGS.strings("label_max", None, "The label that is 1, one a target.")
_FROM_DATA = FLAGS.boolean(
    "label_range_from_data", False, "Smallest and largest label of the table are −1 and 1."
)


def main(_: list[str]) -> None:
    """Makes the work directory, and scores what is in it."""
    checkpoint = torch_checkpoint.read(_CHECKPOINT.value)
    card = ConfigDict(_CONFIG.value) if _CONFIG.value else None
    config = torch_checkpoint.configure(checkpoint, card, _MODEL.value, _TARGET.value)
    if config.get("image_weights"):
        raise InputError("image_weights: expected none, a checkpoint brings all weights")
    run = building.from_config(config)
    variables = torch_checkpoint.variables_of(checkpoint, run)
    labels = torch_checkpoint.label_range(
        checkpoint, run, _LABEL_MIN.value, _LABEL_MAX.value, _FROM_DATA.value
    )
    run = torch_checkpoint.as_imported(run, checkpoint, labels)
    workdir = Workdir(_WORKDIR.value)
    record.claim(run, workdir)
    result = workdir.result()
    if result is None:
        state = torch_checkpoint.state_of(run, variables, labels)
        with Checkpoints(workdir.checkpoints) as checkpoints:
            checkpoints.save(int(state.epoch), add_replica_axis(state))
        scored = scoring.score(run, state, {})
        plot_scored(workdir.path / "parity.png", scored.result, scored.predictions)
        scored.write(workdir)
        result = scored.result
    show_result(result)
    name, hyper_parameters = run.config.model.known_as, run.config.model.hyper_parameters
    for key, value in models.resolve(name).published.items():
        if hyper_parameters[key] != value:
            print(
                f"WARNING: the published {name} has {key}={value}, here it is "
                f"{hyper_parameters[key]}"
            )
        else:
            print(f"{key}={value}, as published; the default here is {models.defaults(name)[key]}")
    if "model_config" in checkpoint.about:  # of which not all shows in the weights
        print(f"{name} as imported: {dict(hyper_parameters)}")
        print(f"as the checkpoint says: {checkpoint.about['model_config']}")
    for line in torch_checkpoint.range_warnings(run, labels):
        print(f"WARNING: {line}")
    print(f"result.json and parity.png are in {workdir.path}")


if __name__ == "__main__":
    cli.run(main, FLAGS)
