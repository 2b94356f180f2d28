"""Models with the weights of their PyTorch reference give its numbers.

`python -m tests.models.test_reference [NAME …]` prints the largest relative differences, in float32
and in float64, of models compiled as a user compiles them.
"""

import functools
import json
import pathlib
import re
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from qc_jax import models
from qc_jax.data.batch import Batch, all_neighbors
from qc_jax.errors import InputError

FOLDER = pathlib.Path(__file__).parents[1] / "fixtures" / "reference"
NAMES = sorted(path.stem for path in FOLDER.glob("*.npz"))

# Counted from the published sizes with PyTorch Geometric ('models' of the published configuration).
PUBLISHED_PARAMETERS = {
    "schnet": 266_593,
    "gcn": 266_491,
    "faenet": 303_241,
    "gatv2": 384_577,
    "dimenet": 302_774,
    "vit": 458_689,
    "quantumshellnet": 343_542,
    "multimodal": 11_640_226,
    "qsn_v2": 357_145,
    "multimodal_v2": 373_955,
    "film_cnn": 346_485,
    "tabular_mlp": 326_145,
    "tabular_transformer": 328_257,
    "vision_only": 357_601,
    "geometry_only": 318_529,
}


@functools.cache
def fixture(name: str):
    """The reference's model name, hyper-parameters, weights, and structures with outputs."""
    weights, structures = {}, {}
    with np.load(FOLDER / f"{name}.npz") as file:
        about = json.loads(str(file["about"]))
        for key in file.files:
            kind, _, rest = key.partition("/")
            if kind == "weights":
                weights[rest] = file[key]
            elif rest:
                structures.setdefault(kind, {})[rest] = file[key]
    return about["model"], about["hyper"], weights, structures


def differences(name: str, double: bool) -> dict[str, float]:
    """The largest difference of each kind of structures, relative to the largest output."""
    model_name, hyper, weights, structures = fixture(name)
    dtype = jnp.float64 if double else jnp.float32
    with jax.enable_x64(double):
        model = models.create(model_name, **hyper)
        variables = models.from_torch(model_name, weights, **hyper)
        variables = jax.tree.map(lambda leaf: leaf.astype(dtype), variables)
        forward = jax.jit(lambda variables, batch: models.apply(model, variables, batch))
        found = {}
        for kind, arrays in structures.items():
            features = arrays.get("canvas_features")
            batch = Batch(
                atomic_numbers=jnp.asarray(arrays["atomic_numbers"]),
                positions=jnp.asarray(arrays["positions"], dtype),
                neighbors=jnp.asarray(all_neighbors(arrays["atomic_numbers"])),
                canvas_features=None if features is None else jnp.asarray(features, dtype),
            )
            got = forward(variables, batch)
            assert got.dtype == dtype
            expected = arrays["outputs"]
            assert got.shape == expected.shape
            found[kind] = float(np.abs(got - expected).max() / np.abs(expected).max())
    return found


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("double", "tolerance"),
    [pytest.param(False, 1e-5, marks=pytest.mark.slow), (True, 1e-10)],
)
def test_equals_the_reference(name, double, tolerance, record_property):
    found = differences(name, double)
    for kind, difference in found.items():
        record_property(kind, difference)
        print(f"{name}, {kind}, {'float64' if double else 'float32'}: {difference:.1e}")
    assert max(found.values()) < tolerance, found


@pytest.mark.parametrize("name", NAMES)
def test_weights_go_back(name):
    """All tensors of the reference, by its names, in its shapes, with its numbers."""
    model_name, hyper, weights, _ = fixture(name)
    model = models.create(model_name, **hyper)
    found = models.to_torch(model, models.from_torch(model_name, weights, **hyper))
    counts = {key for key in found if key.endswith("num_batches_tracked")}
    assert found.keys() - counts == weights.keys() - counts
    for key in found.keys() - counts:
        np.testing.assert_allclose(found[key], weights[key], rtol=1e-5, atol=1e-7, err_msg=key)


def test_weights_without_a_reference():
    with pytest.raises(InputError, match="expected a model with a PyTorch reference: dimenet, "):
        models.to_torch(models.create("tight_binding"), {"params": {}})


@pytest.mark.parametrize("name", sorted(set(PUBLISHED_PARAMETERS) & set(models.available())))
def test_has_the_published_number_of_parameters(name):
    assert models.describe(name).parameters == PUBLISHED_PARAMETERS[name]


@pytest.mark.parametrize("name", models.available())
def test_is_compared_with_its_reference(name):
    """Who says how a reference's weights are named is compared with it."""
    has_names = bool(models.create(name).torch_names)
    assert has_names == (name in {fixture(stem)[0] for stem in NAMES})


@pytest.mark.parametrize("name", NAMES)
def test_fixtures_are_small(name):
    assert (FOLDER / f"{name}.npz").stat().st_size < 150_000


def schnet_weights(**changes):
    _, hyper, weights, _ = fixture("schnet")
    return hyper, {**weights, **changes}


def test_what_does_not_fit_is_listed():
    hyper, weights = schnet_weights(extra=np.zeros(3))
    del weights["lin1.bias"]
    weights["lin2.weight"] = np.zeros((2, 12), np.float32)
    weights["embedding.weight"] = weights["embedding.weight"] * np.nan
    with pytest.raises(InputError) as error:
        models.from_torch("schnet", weights, **hyper)
    for words in (
        "these weights are not of schnet: missing: lin1.bias; unexpected: extra; ",
        "embedding.weight is not finite",
        "lin2.weight has shape (2, 12), which gives (12, 2) for params/out_1/kernel, "
        "expected (12, 1)",
    ):
        assert words in str(error.value)


def test_another_cutoff_is_told():
    hyper, weights = schnet_weights()
    with pytest.raises(InputError, match=r"distance_expansion\.offset holds other numbers"):
        models.from_torch("schnet", weights, **hyper | {"cutoff": 4.0})


def test_tensors_stored_twice_must_be_equal():
    name = "interactions.1.conv.nn.0.weight"
    hyper, weights = schnet_weights(**{name: np.zeros((20, 12), np.float32)})
    with pytest.raises(InputError, match=re.escape(f"{name} is not equal to interactions.1.mlp.0")):
        models.from_torch("schnet", weights, **hyper)


def test_a_wrappers_prefix_is_taken_off():
    hyper, weights = schnet_weights()
    plain = models.from_torch("schnet", weights, **hyper)
    for prefix in ("module.", "module._orig_mod."):
        wrapped = {prefix + name: tensor for name, tensor in weights.items()}
        got = models.from_torch("schnet", wrapped, **hyper)
        jax.tree.map(np.testing.assert_array_equal, plain, got)


def test_from_torch_bad_input():
    with pytest.raises(InputError, match="pair_mean has no PyTorch reference"):
        models.from_torch("pair_mean", {})
    with pytest.raises(InputError, match="expected a state dict of arrays, got dict for 'model'"):
        models.from_torch("schnet", {"model": {}})


if __name__ == "__main__":
    for name in sys.argv[1:] or NAMES:
        single, double = differences(name, False), differences(name, True)
        print(name, *(f"{kind}: {single[kind]:.1e} {double[kind]:.1e}" for kind in single))


@pytest.mark.parametrize("places", [("0", "3", "6"), ("0", "2", "4")])
def test_the_published_names_of_the_head_of_gcn(places):
    """QuantumCanvas's `EGNNRegressor` calls it `regressor`; such weights are shipped both ways."""
    _, hyper, weights, _ = fixture("gcn")
    ours = ("head.0.", "head.3.", "head.6.")
    theirs = tuple(f"regressor.{place}." for place in places)
    renamed = dict(zip(ours, theirs, strict=True))
    published = {
        "module." + renamed.get(name[:7], name[:7]) + name[7:]: value
        for name, value in weights.items()
    }
    assert sum("regressor" in name for name in published) == 6
    expected = models.from_torch("gcn", weights, **hyper)
    got = models.from_torch("gcn", published, **hyper)
    jax.tree.map(np.testing.assert_array_equal, got, expected)
    with pytest.raises(InputError, match=r"unexpected: .*regressor\.0\.bias"):
        models.from_torch("gcn", weights | {"regressor.0.bias": np.zeros(1)}, **hyper)
