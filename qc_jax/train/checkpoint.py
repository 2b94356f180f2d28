"""Checkpoints of a training's state, written and read by orbax."""

import os
from typing import Any

import jax
import orbax.checkpoint as ocp

from qc_jax.errors import InputError
from qc_jax.train.state import State


class Checkpoints:
    """The checkpoints in one directory: a step an epoch, the last two kept.

    Use it as a context manager: leaving it waits for what is being written.
    """

    def __init__(self, directory: str | os.PathLike):
        self._directory = os.path.abspath(directory)
        # A checkpoint is complete or absent: orbax renames it when it is whole.
        options = ocp.CheckpointManagerOptions(max_to_keep=2, enable_async_checkpointing=False)
        self._manager = ocp.CheckpointManager(
            self._directory, options=options, item_handlers=ocp.StandardCheckpointHandler()
        )

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *_) -> None:
        self._manager.close()

    def save(self, state: State) -> None:
        """Writes the state under its epoch; an epoch that is there already is left alone."""
        epoch = int(state.epoch)
        if epoch != self._manager.latest_step():
            self._manager.save(epoch, args=ocp.args.StandardSave(state))

    def latest(self, like: State) -> State | None:
        """The newest state, or None where nothing has been saved.

        Args:
          like: a state with the shapes to expect (`jax.eval_shape` of one is enough).

        Raises:
          InputError: the checkpoint is damaged or holds another model.
        """
        epoch = self._manager.latest_step()
        if epoch is None:
            return None
        # The arrays land on this host's first device, wherever they were written.
        device = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
        target = jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=device), like
        )
        try:
            there, asked = _shapes(self._manager.item_metadata(epoch).tree), _shapes(like)
            for name in sorted(there.keys() | asked.keys()):
                if there.get(name) != asked.get(name):
                    raise InputError(
                        f"{self._directory}/{epoch}: the checkpoint of another model: {name} has "
                        f"shape {there.get(name)} there, expected {asked.get(name)}"
                    )
            return self._manager.restore(epoch, args=ocp.args.StandardRestore(target))
        except InputError:
            raise
        except (AttributeError, ValueError, KeyError, TypeError, OSError) as error:
            first_line = (str(error).splitlines() or [type(error).__name__])[0]
            raise InputError(f"{self._directory}/{epoch}: damaged: {first_line}") from error


def _shapes(tree: Any) -> dict[str, tuple[int, ...]]:
    """The shape of each leaf by its name, like 'params.atom_0.bias'."""
    return {
        jax.tree_util.keystr(path, simple=True, separator="."): tuple(leaf.shape)
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
    }
