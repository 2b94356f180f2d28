"""What is read of a checkpoint, and what it says of its model and its labels."""

import dataclasses
import os
import pickle
import sys

import jax
import numpy as np
import pytest

from experiments.configs import schnet, vision_only
from qc_jax import models
from qc_jax.data.targets import BENCHMARK_TARGETS
from qc_jax.errors import InputError
from qc_jax.models import gcn
from qc_jax.runs import building
from qc_jax.runs.config import RunConfig
from qc_jax.runs.torch_checkpoint import (
    Checkpoint,
    as_imported,
    configure,
    label_range,
    read,
    variables_of,
    write,
)
from tests.dynamics import toys

WEIGHTS = {"lin.weight": np.arange(6.0, dtype=np.float32).reshape(2, 3)}


def published(**changes):
    """What the published trainer's best_model.pt holds; its errors are NumPy's numbers."""
    return {
        "epoch": 12,
        "optimizer_state_dict": {"state": {}, "param_groups": [{"lr": 1e-3}]},
        "scheduler_state_dict": {"best": 0.1, "mode": "min"},
        "val_loss": 0.1,
        "val_mae": np.float64(0.2),
        "val_rmse": np.float32(0.3),
        "best_epoch": np.int64(9),
        "config": {"seeds": [42], "lr": 1e-3},
        "model_config": {"hidden_channels": 24, "cutoff": 5.0},
        "model_type": "schnet",
        "target": "e_homo_ev",
        "normalization_stats": {"min": -15.5, "max": -2.5},
        **changes,
    }


def checkpoint(**about):
    return Checkpoint("best_model.pt", WEIGHTS, about, "0" * 64)


class Mine(gcn.Model):
    """A model of one's own."""


class Imported:
    """Stands for a run: its configuration and targets."""

    def __init__(self, config):
        self.config, self.task = config, self
        self.targets = config.target_names


@pytest.fixture
def run(small_table, tmp_path):
    """Of two targets; which rows train matters not."""
    small_table.save(tmp_path / "table.npz")
    card = schnet.get_config().to_dict()
    targets = {"targets": "e_homo_ev,softness_evinv", "data": str(tmp_path / "table.npz")}
    return building.from_config(card | targets)


# Files.


def test_an_npz(tmp_path):
    np.savez(tmp_path / "weights.npz", **WEIGHTS)
    got = read(str(tmp_path / "weights.npz"))
    np.testing.assert_array_equal(got.weights["lin.weight"], WEIGHTS["lin.weight"])
    assert got.about == {} and len(got.sha256) == 64


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("none.pt", "none.pt: no such file"),
        ("cut.npz", "cut.npz: not an .npz of plain arrays, or cut short"),
        ("pickle.npz", "pickle.npz: not an .npz of plain arrays, or cut short"),
        ("one.npz", "one.npz: expected an .npz of plain arrays, got one array"),
        ("empty.npz", "empty.npz: expected a state dict, got an empty dict"),
    ],
)
def test_bad_files(tmp_path, name, words):
    np.savez(tmp_path / "pickle.npz", weights=np.array([{}], dtype=object))
    np.savez(tmp_path / "empty.npz")
    with open(tmp_path / "one.npz", "wb") as file:
        np.save(file, WEIGHTS["lin.weight"])
    np.savez(tmp_path / "cut.npz", **WEIGHTS)
    (tmp_path / "cut.npz").write_bytes((tmp_path / "cut.npz").read_bytes()[:200])
    with pytest.raises(InputError, match=words):
        read(str(tmp_path / name))


@pytest.fixture(scope="module")
def some():
    """A run of one target, whose labels have a constant taken off."""
    return toys.trained(models.create("gcn", hidden=8, layers=1), offset=-4000.0)


def test_what_is_written_has_the_offsets_in_its_range(some, tmp_path):
    """Constants of elements have no place there."""
    some = dataclasses.replace(some, config=some.config.replace(model={"name": "gcn"}))
    write(str(tmp_path / "gcn.npz"), some)
    about = read(str(tmp_path / "gcn.npz")).about
    assert about["normalization_stats"] == {"min": [-4001.0], "max": [-3999.0]}
    record = dataclasses.replace(some.record, element_offsets={"H": (-13.0,), "O": (-400.0,)})
    with pytest.raises(InputError, match="by their range, got constants of H, O off"):
        write(str(tmp_path / "other.npz"), dataclasses.replace(some, record=record))


def test_classes_have_no_range(some, tmp_path):
    scaler = some.state.scaler.replace(binary=(True,))
    some = dataclasses.replace(some, state=some.state.replace(scaler=scaler))
    with pytest.raises(InputError, match="by their range, got classes, whose outputs are logits"):
        write(str(tmp_path / "gcn.npz"), some)


def test_the_images_that_weights_are_of(some, tmp_path):
    """The size of a canvas and the channels of densities tell shapes: they are in the file."""
    small = {"patch": 4, "hidden": 4, "heads": 1, "layers": 1, "mlp_ratio": 1}
    images = {"images": "densities:density,homo", "canvas_size": 8}
    model = models.create("vision_only", **small)
    like = models.sample(8, images["images"])
    shapes = jax.eval_shape(lambda: model.init(jax.random.key(0), like))
    variables = jax.tree.map(lambda leaf: np.zeros(leaf.shape, np.float32), shapes)
    config = RunConfig.from_dict({"model": {"name": "vision_only", **small}, **images})
    state = some.state.replace(best_params=variables["params"], best_statistics={})
    write(
        str(tmp_path / "vit.npz"),
        dataclasses.replace(some, model=model, config=config, state=state),
    )
    got = read(str(tmp_path / "vit.npz"))
    card = vision_only.get_config()
    card.model.update(small)
    with pytest.raises(InputError, match="images is densities:density,homo, not canvas; give --co"):
        configure(got, card, None, None)
    card.images = images["images"]
    with pytest.raises(InputError, match="8, not 32; give --config with"):
        configure(got, card, None, None)
    card.canvas_size = 8
    run = Imported(RunConfig.from_dict(configure(got, card, None, None)))
    jax.tree.map(np.testing.assert_array_equal, variables_of(got, run), variables)


def test_a_registered_model(monkeypatch):
    """Its configuration says where it comes from, beside its hyper-parameters."""
    monkeypatch.setattr("qc_jax.models._registry._registered", {})
    models.register("mine", Mine)
    config = RunConfig.from_dict({"model": {"name": "mine", "layers": 1}})
    assert "source" in config.to_dict()["model"]
    with pytest.raises(InputError, match="these weights are not of mine: missing: "):
        variables_of(checkpoint(), Imported(config))


def test_without_torch_it_says_how_to_install_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    (tmp_path / "best.pt").write_bytes(b"anything")
    with pytest.raises(InputError, match=r"pip install torch==2\.13\.0\); an \.npz does not"):
        read(str(tmp_path / "best.pt"))


class CallsSystem:
    """Unpickled, it would make a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.fixture
def torch():
    return pytest.importorskip("torch", reason="a checkpoint of torch is made by torch")


def tensors(torch):
    return {name: torch.tensor(array) for name, array in WEIGHTS.items()}


@pytest.mark.parametrize("key", ["model_state_dict", "state_dict", "model"])
def test_a_torch_file(torch, tmp_path, key):
    torch.save(published(**{key: tensors(torch)}), tmp_path / "best.pt")
    torch.save(tensors(torch), tmp_path / "bare.pth")
    got = read(str(tmp_path / "best.pt"))
    assert got.about == published()
    assert read(str(tmp_path / "bare.pth")).about == {}
    for weights in (got.weights, read(str(tmp_path / "bare.pth")).weights):
        assert list(weights) == list(WEIGHTS)
        np.testing.assert_array_equal(weights["lin.weight"].numpy(), WEIGHTS["lin.weight"])


def test_no_weights_in_a_torch_file(torch, tmp_path):
    torch.save(published(model_state_dict=3), tmp_path / "best.pt")
    with pytest.raises(InputError, match="or one under 'model_state_dict', 'state_dict', 'model'"):
        read(str(tmp_path / "best.pt"))


def test_code_in_a_torch_file_is_not_run(torch, tmp_path):
    made = CallsSystem(tmp_path / "made")
    torch.save({"model": made}, tmp_path / "code.pt")
    (tmp_path / "pickle.pt").write_bytes(pickle.dumps(made))
    torch.save(tensors(torch), tmp_path / "cut.pt")
    (tmp_path / "cut.pt").write_bytes((tmp_path / "cut.pt").read_bytes()[:300])
    for name, words in (
        ("code.pt", r"mkdir, which may run code; save the module's state_dict\(\) instead"),
        ("pickle.pt", "not loaded: "),
        ("cut.pt", "cut.pt: not loaded: not a file of torch.save, or damaged"),
    ):
        with pytest.raises(InputError, match=words) as error:
            read(str(tmp_path / name))
        assert "weights_only" not in str(error.value)
    assert not (tmp_path / "made").exists()


# Configurations.


def test_the_published_network_is_chosen():
    """Of FAENet it is without frame averaging, which is the default here."""
    config = configure(checkpoint(), None, "faenet", "e_g_ev")
    assert config["model"]["frame_averaging"] == "none"
    assert models.defaults("faenet")["frame_averaging"] == "full"


def test_target_and_model_of_a_checkpoint():
    config = configure(checkpoint(**published(target="e_g_ev")), None, "schnet", None)
    assert (
        config["target"] == "e_g_ev" and config["model"] == schnet.get_config().to_dict()["model"]
    )
    for name in ("gcn", "egnn"):  # the published egnn is gcn here
        config = configure(checkpoint(model_type="egnn"), None, name, "e_g_ev")
        assert config["model"]["name"] == name
    of_card = configure(checkpoint(), schnet.get_config("quick"), None, "e_g_ev")
    assert of_card["target"] == "e_g_ev" and of_card["model"]["hidden"] == 16
    assert configure(checkpoint(model_type="another"), None, "gcn", "e_g_ev")  # weights decide


@pytest.mark.parametrize(
    ("about", "arguments", "words"),
    [
        ({}, (None, None, None), "expected --model or --config"),
        ({}, (None, "schnt", "e_g_ev"), "unknown model 'schnt'; choose one of: "),
        ({}, (None, "schnet", None), "does not say which target it predicts; give --target"),
        ({}, (schnet.get_config(), "gcn", None), "--model is gcn, --config is a card of schnet"),
        (published(model_type="egnn"), (None, "schnet", None), "that it is of egnn, not of schnet"),
        (
            published(model_type=["schnet"]),
            (None, "schnet", None),
            "expected a word as 'model_type'",
        ),
        (published(target=3), (None, "schnet", None), "expected a word as 'target', got 3"),
        (published(), (None, "schnet", "e_g_ev"), "it predicts e_homo_ev, not e_g_ev"),
        (
            published(model_config={"cutoff": 4.0}),
            (None, "schnet", None),
            "says that cutoff is 4.0, not 5.0; give --config with --config.model.cutoff=4.0",
        ),
        (
            published(model_config={"cutoff": np.array([5.0, 5.0])}),
            (None, "schnet", None),
            r"says that cutoff is \[5. 5.\], not 5.0",
        ),
    ],
)
def test_contradictions(about, arguments, words):
    with pytest.raises(InputError, match=words):
        configure(checkpoint(**about), *arguments)


def test_several_targets():
    """However they are written: with spaces, or as 'all'."""
    said = checkpoint(target="e_homo_ev,e_lumo_ev")
    for target in (None, "e_homo_ev, e_lumo_ev"):
        config = RunConfig.from_dict(configure(said, None, "schnet", target))
        assert config.target_names == ("e_homo_ev", "e_lumo_ev")
    card = schnet.get_config()
    card.targets = "all"
    assert configure(checkpoint(target=",".join(BENCHMARK_TARGETS)), card, None, None)
    assert configure(said, card, None, "e_homo_ev,e_lumo_ev")["targets"] == "e_homo_ev,e_lumo_ev"
    with pytest.raises(InputError, match="it predicts e_homo_ev,e_lumo_ev, not e_lumo_ev,e_homo"):
        configure(said, None, "schnet", "e_lumo_ev,e_homo_ev")


def test_the_rows_that_are_presumed_are_those_of_the_splits_seed(run):
    seeds = dataclasses.replace(run.config, split_seed=7)
    labels = label_range(checkpoint(), run, ["-20", "0.1"], ["-3", "2.5"], False)
    imported = as_imported(run._replace(config=seeds), checkpoint(), labels).config.imported
    assert ", seed 7, of " in imported["presumed"]


# Ranges of labels.


def test_the_range_in_a_checkpoint(run):
    one = run._replace(task=run.task._replace(targets=("e_homo_ev",)))
    got = label_range(checkpoint(**published()), one, None, None, False)
    assert (got.low, got.high, got.source) == (-15.5, -2.5, "the range in the checkpoint")
    unscaled = checkpoint(normalization_stats={"min": None, "max": None})
    got = label_range(unscaled, one, None, None, False)
    assert (got.low, got.high, got.source) == (-1, 1, "nothing, as the checkpoint says")
    assert label_range(unscaled, run, None, None, False).low.tolist() == [-1, -1]


def test_the_range_given(run):
    got = label_range(checkpoint(), run, ["-20", "0.1"], ["-3", "2.5"], False)
    np.testing.assert_array_equal((got.low, got.high), ([-20, 0.1], [-3, 2.5]))
    assert got.source == "the range of --label_min and --label_max"


def test_the_range_of_the_table(run):
    """Of all finite labels; not the training rows', and no logarithms."""
    got = label_range(checkpoint(), run, None, None, True)
    labels = run.table.columns(("e_homo_ev", "softness_evinv"))
    assert np.isnan(labels).any()
    np.testing.assert_array_equal(got.low, np.nanmin(labels, axis=0))
    np.testing.assert_array_equal(got.high, np.nanmax(labels, axis=0))
    assert got.source.startswith("the range of all labels of ")
    ends = ([str(float(end)) for end in ends] for ends in (got.low, got.high))
    given = label_range(checkpoint(), run, *ends, False)
    assert given.source == f"the range of --label_min and --label_max ({got.source})"


@pytest.mark.parametrize(
    ("about", "arguments", "words"),
    [
        ({}, (None, None, False), "does not say between which labels its outputs −1 and 1 lie"),
        ({}, (["1", "2"], None, False), "expected both --label_min and --label_max"),
        ({}, (["a", "b"], ["1", "2"], False), r"expected numbers, got \['a', 'b'\]"),
        ({}, (["1"], ["2"], False), "expected 2 numbers each, one a target, got 1 and 1"),
        ({}, (["1", "2"], ["2", "2"], False), "softness_evinv between two numbers, got 2.0 and"),
        ({}, (["1", "nan"], ["2", "2"], False), "expected softness_evinv between two numbers"),
        (published(), (["1"], ["2"], False), "by one of these, not by all: the range in the"),
        ({}, (["1"], ["2"], True), "label_min and --label_max; the range of all labels of"),
        ({"normalization_stats": {"mean": 1}}, (None, None, False), "expected 'min' and 'max' in"),
        (published(), (None, None, False), "expected 2 numbers each"),
    ],
)
def test_no_range(run, about, arguments, words):
    with pytest.raises(InputError, match=words):
        label_range(checkpoint(**about), run, *arguments)
