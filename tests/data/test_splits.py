"""The published split, without torch: against what torch gives."""

import pathlib

import numpy as np
import pytest

from qc_jax.data.splits import random_split, torch_permutation
from qc_jax.errors import InputError

FIXTURE = pathlib.Path(__file__).parents[1] / "fixtures" / "torch_permutations.npz"
with np.load(FIXTURE) as file:
    RECORDED = {key: file[key] for key in file.files if key != "torch"}


@pytest.mark.parametrize("key", RECORDED)
def test_permutation_is_what_torch_gave(key):
    n, seed = map(int, key.split("_"))
    np.testing.assert_array_equal(torch_permutation(n, seed), RECORDED[key])


def test_fixture_holds_the_published_lengths_and_seeds():
    lengths, seeds = (10, 2701, 2840, 2850), (42, 123, 456)
    assert set(RECORDED) == {f"{n}_{seed}" for n in lengths for seed in seeds}


def test_permutation_is_what_torch_gives():
    torch = pytest.importorskip("torch", reason="torch is not installed: nothing to compare with")
    for n in (0, 1, 2, 3, 625, 70_000):  # MT19937 makes its numbers 624 at a time
        for seed in (0, 1, 42, 2**31, 2**32 - 1):
            expected = torch.randperm(n, generator=torch.Generator().manual_seed(seed)).numpy()
            np.testing.assert_array_equal(torch_permutation(n, seed), expected)


@pytest.mark.parametrize("n", [0, 1, 2, 100])
def test_permutation_has_every_row_once(n):
    order = torch_permutation(n, 7)
    assert order.dtype == np.int64
    np.testing.assert_array_equal(np.sort(order), np.arange(n))


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_seed_out_of_range(seed):
    with pytest.raises(InputError, match=f"seed {seed} is out of range"):
        torch_permutation(10, seed)


@pytest.mark.parametrize(
    ("n", "sizes"), [(10, (8, 1, 1)), (2701, (2160, 270, 271)), (2850, (2280, 285, 285))]
)
@pytest.mark.parametrize("seed", [42, 123, 456])
def test_split_is_the_published_rule(n, sizes, seed):
    split = random_split(n, seed)
    parts = list(split.parts().values())
    assert tuple(map(len, parts)) == sizes
    # First 80 % of torch's order, the next 10 %, the rest.
    np.testing.assert_array_equal(np.concatenate(parts), RECORDED[f"{n}_{seed}"])


def test_too_few_rows():
    with pytest.raises(InputError, match="9 rows are too few to split"):
        random_split(9, 42)
