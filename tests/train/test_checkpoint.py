"""Checkpoints come back as they were, or say why not."""

import os
import pathlib
import re
import shutil
import subprocess

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from qc_jax.errors import InputError
from qc_jax.train.checkpoint import Checkpoints


class Small(flax.struct.PyTreeNode):
    """Has what the loop's state has of shapes and types."""

    params: dict
    key: jax.Array


def state(seed: int, size: int = 4) -> Small:
    values = np.random.default_rng(seed).normal(size=(3, size)).astype(np.float32)
    return Small({"w": jnp.asarray(values)}, jnp.arange(2, dtype=jnp.uint32))


def assert_equal(got, expected):
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


def save(path, *epochs):
    with Checkpoints(path) as checkpoints:
        for epoch in epochs:
            checkpoints.save(epoch, state(epoch))


def cut(path: pathlib.Path) -> None:
    """Every file of a checkpoint but its small ones of metadata to half its length."""
    for file in path.rglob("*"):
        if file.is_file() and "metadata" not in file.name.lower():
            file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def test_the_newest_of_three_comes_back(tmp_path):
    with Checkpoints(tmp_path) as checkpoints:
        assert checkpoints.latest(state(0)) is None
    save(tmp_path, 1, 2, 3, 4)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2", "3", "4"]
    with Checkpoints(tmp_path) as checkpoints:
        assert_equal(checkpoints.latest(jax.eval_shape(lambda: state(0))), state(4))


def test_another_model_is_named(tmp_path):
    save(tmp_path, 1)
    with (
        Checkpoints(tmp_path) as checkpoints,
        pytest.raises(InputError, match=r"params\.w has shape \(3, 4\) there, expected \(3, 5\)"),
    ):
        checkpoints.latest(state(1, size=5))


def test_a_damaged_checkpoint_is_named(tmp_path):
    save(tmp_path, 1)
    cut(tmp_path / "1")
    with (
        Checkpoints(tmp_path) as checkpoints,
        pytest.raises(InputError, match=f"{tmp_path}/1: damaged: .*no whole checkpoint is before"),
    ):
        checkpoints.latest(state(1))


@pytest.mark.parametrize("damage", ["cut", "emptied", "a pipe", "without metadata", "half gone"])
def test_the_one_before_a_damaged_one_is_used(tmp_path, damage, caplog):
    """And the damaged one makes room for its like."""
    save(tmp_path, 1, 2, 3)
    newest = tmp_path / "3"
    match damage:
        case "cut":
            cut(newest)
        case "emptied":
            for file in newest.rglob("*"):
                if file.is_file():
                    file.write_bytes(b"")
        case "a pipe":
            (newest / "default" / "manifest.ocdbt").unlink()
            os.mkfifo(newest / "default" / "manifest.ocdbt")
        case "without metadata":
            for file in list(newest.rglob("*")):
                if file.is_file() and "metadata" in file.name.lower():
                    file.unlink()
        case "half gone":
            for file in sorted(newest.rglob("*"))[::2]:
                if file.is_file():
                    file.unlink()
    with Checkpoints(tmp_path) as checkpoints:
        assert_equal(checkpoints.latest(state(0)), state(2))
        assert re.search("/3: damaged: .*; going on from the checkpoint of epoch 2", caplog.text)
        checkpoints.save(3, state(33))
    with Checkpoints(tmp_path) as checkpoints:
        assert_equal(checkpoints.latest(state(0)), state(33))


@pytest.mark.parametrize("folder", ["d", "ocdbt.process_0/d"])
@pytest.mark.parametrize("damage", ["half", "garbage"])
def test_one_damaged_file(tmp_path, folder, damage):
    """The index of the arrays, or their values, which are files of their own where large."""
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(1, state(1, size=9000))
    largest = max((tmp_path / "1/default" / folder).iterdir(), key=lambda file: file.stat().st_size)
    there = largest.read_bytes()
    rest = b"" if damage == "half" else np.random.default_rng(0).bytes(len(there) // 2)
    largest.write_bytes(there[: len(there) // 2] + rest)
    with (
        Checkpoints(tmp_path) as checkpoints,
        pytest.raises(InputError, match=f"{tmp_path}/1: damaged: ") as raised,
    ):
        checkpoints.latest(state(1, size=9000))
    assert "\n" not in str(raised.value)


def test_an_unfinished_checkpoint_does_not_count(tmp_path):
    """What a kill leaves: orbax writes under another name until all is there."""
    save(tmp_path, 1)
    shutil.copytree(tmp_path / "1", tmp_path / "2.orbax-checkpoint-tmp")
    with Checkpoints(tmp_path) as checkpoints:
        assert_equal(checkpoints.latest(state(0)), state(1))


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_full_disk(tmp_path):
    """A clear error, and the checkpoint before it stands."""
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(tmp_path)]
    if subprocess.run(command, capture_output=True).returncode:
        pytest.skip("mounting is not allowed")
    try:
        save(tmp_path / "c", 1)
        with (
            pytest.raises(InputError, match=r"cannot be written: .*; the last whole one stands"),
            Checkpoints(tmp_path / "c") as checkpoints,
        ):
            checkpoints.save(2, state(2, size=300_000))
        with Checkpoints(tmp_path / "c") as checkpoints:
            assert_equal(checkpoints.latest(state(0)), state(1))
    finally:
        subprocess.run(["umount", "-l", str(tmp_path)], check=True)
