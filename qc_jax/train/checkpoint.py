"""Checkpoints of a training's state, written and read by orbax."""

import contextlib
import functools
import logging
import os
import pathlib
from collections.abc import Iterable, Iterator
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
import tensorstore
from absl import logging as absl_logging

from qc_jax.errors import InputError
from qc_jax.train.state import State

# What orbax raises on a checkpoint that is not whole.
_DAMAGE = (AttributeError, ValueError, KeyError, TypeError, OSError)
_ARRAY = b"/.zarray"  # a key of each, behind its name
_LOGGER = logging.getLogger(__name__)


class Checkpoints:
    """The checkpoints in one directory: the states [R, ...] of a stack, a step an epoch.

    Each holds the best weights so far beside the last ones; three are kept. They are written in
    the background, unless each of several processes writes its own. Use it as a context manager:
    leaving it waits for what is being written.

    Args:
      directory: where they are; of several processes, on a file system that all see.
      everywhere: whether all processes of the run have the same states and call every method
        together: each then writes a part. Otherwise this one alone has them.
    """

    def __init__(self, directory: str | os.PathLike, everywhere: bool = False):
        self._directory = os.path.abspath(directory)
        self._everywhere = everywhere and jax.process_count() > 1
        # A checkpoint is complete or absent: orbax renames it when it is whole.
        options = ocp.CheckpointManagerOptions(max_to_keep=3)
        if not everywhere and jax.process_count() > 1:
            me = jax.process_index()
            options.multiprocessing_options = ocp.options.MultiprocessingOptions(
                primary_host=me, active_processes={me}, barrier_sync_key_prefix=f"process_{me}"
            )
            # What orbax has for the background takes the saves of all processes for one.
            options.enable_async_checkpointing = False
            options.create = False  # it can only be made for all
            os.makedirs(self._directory, exist_ok=True)
            _write_alone(me)
        self._manager = ocp.CheckpointManager(
            self._directory,
            options=options,
            item_handlers=ocp.StandardCheckpointHandler(
                multiprocessing_options=options.multiprocessing_options
            ),
        )

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *_) -> None:
        with _told(self._directory):
            self._manager.close()

    def save(self, epoch: int, states: State) -> None:
        """Write the states under the stack's epoch; one that is there already is left alone.

        Raises:
          InputError: it, or the one before it, cannot be written.
        """
        if epoch != self._manager.latest_step():
            with _told(self._directory):
                states = self._on_devices(states)
                self._manager.save(epoch, args=ocp.args.StandardSave(states))

    def latest(self, like: State) -> State | None:
        """Return the newest states that can be read, or None where nothing has been saved.

        A damaged checkpoint is told, and removed if the one before it is whole.

        Args:
          like: states with the shapes to expect (`jax.eval_shape` of some is enough).

        Raises:
          InputError: none can be read, or they are of another model.
        """
        damaged: list[str] = []
        for epoch in sorted(self._manager.all_steps(), reverse=True):
            path = f"{self._directory}/{epoch}"
            try:
                states = self._read(epoch, like)
            except InputError:
                raise
            except _DAMAGE as error:
                first_line = (str(error).splitlines() or [type(error).__name__])[0]
                damaged.append(f"{path}: damaged: {first_line}")
                continue
            for words in damaged:
                _LOGGER.warning("%s; going on from the checkpoint of epoch %d", words, epoch)
            for later in self._manager.all_steps():
                if later > epoch:
                    self._manager.delete(later)
            return states
        if damaged:
            raise InputError(f"{damaged[0]}; no whole checkpoint is before it")
        return None

    def _read(self, epoch: int, like: State) -> State:
        # The arrays land on a first device, wherever they were written.
        place: jax.sharding.Sharding = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
        if self._everywhere:
            place = _copies(range(jax.process_count()))
        target = jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=place), like
        )
        for path in pathlib.Path(self._directory, str(epoch)).rglob("*"):
            if not (path.is_file() or path.is_dir()):  # orbax waits for ever at a named pipe
                raise OSError(f"{path.name} is no file")
        _check_arrays(os.path.join(self._directory, str(epoch), "default"))
        there, asked = _shapes(self._manager.item_metadata(epoch).tree), _shapes(like)
        for name in sorted(there.keys() | asked.keys()):
            if there.get(name) != asked.get(name):
                raise InputError(
                    f"{self._directory}/{epoch}: the checkpoint of another model: {name} has "
                    f"shape {there.get(name)} there, expected {asked.get(name)}"
                )
        states = self._manager.restore(epoch, args=ocp.args.StandardRestore(target))
        return jax.tree.map(lambda leaf: leaf.addressable_data(0), states)

    def _on_devices(self, states: State) -> State:
        """Return the states as orbax writes them where there are several processes.

        It leaves arrays in host memory to the first process, and refuses those that are on this
        process's devices alone: without `everywhere` they claim to have a copy on another one's.
        """
        count, me = jax.process_count(), jax.process_index()
        if count == 1:
            return states
        sharding = _copies(range(count) if self._everywhere else (me, (me + 1) % count))

        def put(leaf):
            host = np.asarray(leaf)
            return jax.make_array_from_callback(host.shape, sharding, lambda part: host[part])

        return jax.tree.map(put, states)


@functools.cache
def _write_alone(process: int) -> None:
    """Have orbax write all of an array here, though another process seems to have a copy."""
    verbosity = absl_logging.get_verbosity()
    absl_logging.set_verbosity(absl_logging.ERROR)  # it warns that a handler was there before
    handler = ocp.type_handlers.ArrayHandler(primary_host=process, use_replica_parallel=False)
    ocp.type_handlers.register_type_handler(jax.Array, handler, override=True)
    absl_logging.set_verbosity(verbosity)


def _check_arrays(path: str) -> None:
    """Raise ValueError where an array of a checkpoint, or their index, cannot be read.

    Orbax would find it too, but raises a bare Exception; and it reads all arrays at once and closes
    its event loop at the first error, so that every later one is printed with a traceback.
    """
    spec = {"driver": "ocdbt", "base": {"driver": "file", "path": f"{path}/"}}
    for key in tensorstore.KvStore.open(spec).result().list().result():
        if key.endswith(_ARRAY):
            array = {**spec, "path": key.removesuffix(_ARRAY).decode() + "/"}
            tensorstore.open({"driver": "zarr", "kvstore": array}).result().read().result()


def _copies(processes: Iterable[int]) -> jax.sharding.Sharding:
    """Return the sharding of copies on the first device of each of the processes."""
    mesh = jax.sharding.Mesh([jax.local_devices(of)[0] for of in processes], ("processes",))
    return jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())


@contextlib.contextmanager
def _told(directory: str) -> Iterator[None]:
    """Tell what orbax raises when it cannot write, as one line."""
    try:
        yield
    except (OSError, ValueError) as error:
        first_line = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(
            f"{directory}: a checkpoint cannot be written: {first_line}; the last whole one stands"
        ) from error


def _shapes(tree: Any) -> dict[str, tuple[int, ...]]:
    """Return the shape of each leaf by its name, like 'params.atom_0.bias'."""
    return {
        jax.tree_util.keystr(path, simple=True, separator="."): tuple(leaf.shape)
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
    }
