"""How weights start, beside the rules of PyTorch and of the references' own files."""

import contextlib

import jax
import numpy as np
import pytest
from flax.traverse_util import flatten_dict

from qc_jax import models
from qc_jax.models._attention import EncoderLayer


def start(name, torch, **hyper):
    model = models.create(name, **hyper)
    with models.as_torch(model) if torch else contextlib.nullcontext():
        variables = jax.jit(lambda: model.init(jax.random.key(0), models.sample()))()
    return {k: np.asarray(v) for k, v in flatten_dict(variables["params"], sep="/").items()}


@pytest.fixture(scope="module")
def schnet():
    return start("schnet", torch=True, interactions=1)


def test_schnet_as_pytorch_geometric(schnet):
    """reset_parameters there: Glorot-uniform kernels, biases 0, embeddings of deviation 1."""
    assert schnet["elements/embedding"].std() == pytest.approx(1, abs=0.05)
    for name, values in schnet.items():
        if name.endswith("bias"):
            assert not values.any(), name
        elif name.endswith("kernel") and values.size > 1000:
            reach = np.sqrt(6 / sum(values.shape))
            assert 0.97 * reach < np.abs(values).max() <= reach, name
            assert values.std() == pytest.approx(reach / np.sqrt(3), rel=0.05), name


def test_gcn_as_pytorch_geometric():
    """GCNConv: Glorot and 0; torch.nn.Linear: within 1/√inputs, biases as well."""
    gcn = start("gcn", torch=True)
    assert gcn["elements/embedding"].std() == pytest.approx(1, abs=0.05)
    for name, values in gcn.items():
        if name.startswith("layer_"):
            reach = np.sqrt(6 / sum(values.shape))
            assert 0.97 * reach < np.abs(values).max() <= reach, name
        elif name.startswith("bias_"):
            assert not values.any(), name
        elif name == "out_0/bias":
            inputs = gcn["out_0/kernel"].shape[0]
            assert 0.9 < np.abs(values).max() * np.sqrt(inputs) <= 1
            assert np.abs(gcn["out_0/kernel"]).max() * np.sqrt(inputs) <= 1


def test_gatv2_as_pytorch_geometric():
    """GATv2Conv: Glorot-uniform kernels; biases of its two Linear layers within 1/√inputs."""
    gatv2 = start("gatv2", torch=True, hidden=16, layers=1)
    for name in ("source", "target"):
        kernel, bias = (gatv2[f"layer_0/{name}/{part}"] for part in ("kernel", "bias"))
        assert 0.9 < np.abs(kernel).max() / np.sqrt(6 / sum(kernel.shape)) <= 1
        assert 0.8 < np.abs(bias).max() * np.sqrt(16) <= 1
    assert not gatv2["layer_0/bias"].any() and gatv2["out/bias"].any()


@pytest.mark.slow
def test_the_fusions_schnet_starts_as_schnet():
    fusion = start(
        "multimodal", torch=True, widths=(2, 2, 2, 2), hidden=8, filters=8, interactions=1
    )
    for name, values in fusion.items():
        if name.endswith("bias") and name.startswith(("schnet/", "fusion_")):
            assert values.any() == name.startswith("fusion_"), name
    kernel = fusion["schnet/interaction_0/filter_0/kernel"]
    assert 0.97 < np.abs(kernel).max() / np.sqrt(6 / sum(kernel.shape)) <= 1


def test_attention_as_pytorch():
    """MultiheadAttention: the last layer's kernel within 1/√inputs, all biases 0."""
    layer, tokens = EncoderLayer(heads=2, mlp=8, dropout=0.0), np.zeros((1, 2, 16), np.float32)
    with models.as_torch(models.create("vit")):
        batch = models.sample()
        params = jax.jit(lambda: layer.init(jax.random.key(0), tokens, batch, False))()["params"]
    attention = params["attention"]
    assert not attention["bias"].any() and not attention["out"]["bias"].any()
    assert 0.9 < np.abs(attention["out"]["kernel"]).max() * np.sqrt(16) <= 1
    assert params["mlp_0"]["bias"].any()


@pytest.mark.slow
def test_what_a_file_says_itself_stays():
    """DimeNet++ starts its last layer at zero, and glorot-orthogonal ones by their own rule."""
    theirs, ours = start("dimenet", torch=True), start("dimenet", torch=False)
    changed = {name for name in ours if not np.array_equal(ours[name], theirs[name])}
    assert any(name.endswith("bias") for name in changed)
    zero = [name for name in ours if name.endswith("out/kernel")]
    assert zero and not any(theirs[name].any() for name in zero)


def test_layers_in_flax_are_left_alone_outside(schnet):
    assert start("schnet", torch=False, interactions=1)["elements/embedding"].std() < 0.2


def test_init_is_part_of_how_a_run_is_trained(small_table):
    import qc_jax

    task = qc_jax.prepare(small_table, "e_homo_ev")
    runs = {
        init: qc_jax.fit(
            qc_jax.create("gcn", hidden=8, layers=1),
            task,
            qc_jax.TrainConfig(epochs=1, lr=1e-9, min_lr=0.0, init=init),
        )
        for init in ("flax", "torch")
    }
    spread = {
        k: np.std(run.variables["params"]["elements"]["embedding"]) for k, run in runs.items()
    }
    assert spread["torch"] == pytest.approx(1, abs=0.1)
    assert spread["flax"] < 0.6
    with pytest.raises(qc_jax.InputError, match="unknown init 'keras'"):
        qc_jax.TrainConfig(init="keras")
