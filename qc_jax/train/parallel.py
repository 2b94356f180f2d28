"""Devices: the only file that names pmap, which JAX may retire one day."""

import math
import threading
import warnings
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import jax
import numpy as np
import psutil

from qc_jax.errors import InputError
from qc_jax.train.steps import AXIS

T = TypeVar("T")

_TRACING = threading.Lock()


def bytes_of(program: jax.stages.Compiled) -> float:
    """Return memory that a program takes on one device, by XLA's account; NaN where it has none."""
    need = program.memory_analysis()
    if need is None:
        return math.nan
    own = need.argument_size_in_bytes + need.output_size_in_bytes - need.alias_size_in_bytes
    return own + need.temp_size_in_bytes


class Devices:
    """How the trainings of a stack lie on devices.

    Either all devices, of all processes, share each batch of every training, and hold the same
    arrays; or each device of this process has some of the trainings, and they need not know of each
    other.

    Attributes:
      sharing: how many devices share a batch.
      spans_processes: whether they are those of several processes.

    Args:
      parallel: of `Settings`: 'data', 'replicas' or 'auto'.
      size: trainings in the stack, R.
      batch_size: rows a step; any devices divide 0.
      devices: those of this process; None takes all.

    Raises:
      InputError: the devices don't divide the batch that they are to share.
    """

    def __init__(
        self,
        parallel: str,
        size: int,
        batch_size: int,
        devices: Sequence[jax.Device] | None = None,
    ):
        self._devices = list(jax.local_devices() if devices is None else devices)
        replicas = parallel == "replicas" or (parallel == "auto" and size > 1)
        self._replicas = replicas
        self.spans_processes = not replicas and jax.process_count() > 1
        self.sharing = 1 if replicas else len(self._together)
        if batch_size % self.sharing:
            raise InputError(
                f"batch_size {batch_size} cannot be split over {self.sharing} devices; "
                f"expected a multiple of {self.sharing}"
            )
        # Fewer trainings than devices leave some of them idle.
        if replicas:
            self._devices = self._devices[:size]
        each = -(-size // len(self._devices)) if replicas else size
        # What each device has: [D, trainings]; the last one fills up where they don't divide.
        places = np.arange(len(self._devices) * each).reshape(-1, each)
        self._places = (
            np.minimum(places, size - 1)
            if replicas
            else np.tile(np.arange(size), (len(self._devices), 1))
        )

    @property
    def _together(self) -> list[jax.Device]:
        """Return the devices of one program, process after process, as each puts its part."""
        if not self.spans_processes:
            return self._devices
        return [device for of in range(jax.process_count()) for device in jax.local_devices(of)]

    @property
    def parallel(self) -> str:
        """Return what they share: 'data', or 'replicas'."""
        return "replicas" if self._replicas else "data"

    @property
    def count(self) -> int:
        """Return how many of this process take part."""
        return len(self._devices)

    @property
    def first(self) -> jax.Device:
        """Return one of them, which is as good as any."""
        return self._devices[0]

    @property
    def static_signature(self) -> tuple[Any, ...]:
        """Return what programs for them depend on."""
        return tuple(self._together), self.sharing, self.replicas_per_device

    @property
    def replicas_per_device(self) -> int:
        """Return how many trainings each device has."""
        return self._places.shape[1]

    @property
    def num_replica_groups(self) -> int:
        """Return how many devices hold different trainings."""
        return 1 if self.sharing > 1 else len(self._devices)

    def memory(self) -> float:
        """Return bytes that one device has; of a CPU, its share of what the machine has free."""
        stats = self._devices[0].memory_stats() if self._devices[0].platform != "cpu" else None
        if stats and "bytes_limit" in stats:
            return stats["bytes_limit"]
        return psutil.virtual_memory().available / len(self._devices)

    def put(self, stack: T) -> T:
        """Return arrays [R, ...] as [D, trainings of each device, ...], on the devices."""
        return jax.tree.map(lambda leaf: self._put(np.asarray(leaf)[self._places]), stack)

    def put_on_each(self, tree: T) -> T:
        """Return arrays [...] as [D, ...], a copy on every device."""

        def copy(leaf):
            host = np.asarray(leaf)
            return self._put(np.broadcast_to(host, (len(self._devices), *host.shape)))

        return jax.tree.map(copy, tree)

    def put_shares(self, tree: T) -> T:
        """Return arrays [D, ...], a part for each device of this process, on the devices."""
        return jax.tree.map(self._put, tree)

    def get_shares(self, array: jax.Array) -> np.ndarray:
        """Return what the devices of this process have of an array, [D, ...] in host memory."""
        parts = {part.device: part.data for part in array.addressable_shards}
        return np.concatenate([np.asarray(parts[device]) for device in self._devices])

    def get(self, stack: T) -> T:
        """Return what `put` gave, or a program of it returned, as [R, ...] in host memory."""
        if self.sharing > 1:  # each device has it all
            return jax.tree.map(lambda leaf: np.asarray(leaf.addressable_data(0)[0]), stack)
        _, places = np.unique(self._places, return_index=True)

        def get(leaf):
            host = np.asarray(leaf)
            return host.reshape(-1, *host.shape[2:])[places]

        return jax.tree.map(get, stack)

    def get_one(self, stack: T, index: int) -> T:
        """Return one training's part of what `put` gave."""
        device, place = np.argwhere(self._places == index)[0]
        mine = jax.tree.map(lambda leaf: leaf.addressable_data(device), stack)
        return jax.tree.map(np.asarray, _first_of(mine, place))

    def compile(
        self, function: Callable[..., Any], *args: Any, donate: bool = True
    ) -> jax.stages.Compiled:
        """Compile `function` for all devices, once, for arguments shaped like `args`.

        The first argument's memory is given to the result, unless `donate` is False.
        """
        # Filters of warnings are of all threads, of which only one can trace at a time anyway.
        with _TRACING, warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*pmap.*", category=DeprecationWarning)
            parallel = jax.pmap(
                function,
                axis_name=AXIS,
                donate_argnums=(0,) if donate else (),
                devices=self._together,
            )
            lowered = parallel.lower(*args)
        return lowered.compile()

    def _put(self, array: np.ndarray) -> jax.Array:
        mesh = jax.sharding.Mesh(self._together, (AXIS,))
        sharding = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec(AXIS))
        return jax.make_array_from_process_local_data(sharding, array)


@jax.jit
def _first_of(stack: T, place: int) -> T:
    """Return what a device [1, trainings, ...] has of the training at a place."""
    return jax.tree.map(lambda leaf: leaf[0, place], stack)


class Described(Devices):
    """Devices that are only compiled for, here or on a machine that has them.

    Nothing can be put on them: what would be an array there is its shape, [D, ...].

    Args:
      parallel: as of `Devices`, like the next two.
      size: trainings in the stack, R.
      batch_size: rows a step.
      devices: at least one, of a topology or of this machine.
      memory: bytes that each of them has.
    """

    def __init__(
        self,
        parallel: str,
        size: int,
        batch_size: int,
        devices: Sequence[jax.Device],
        memory: float = math.nan,
    ):
        super().__init__(parallel, size, batch_size, devices)
        self._memory = memory

    def memory(self) -> float:
        """Return bytes that one device has."""
        return self._memory

    def put(self, stack: T) -> T:
        """Return the shapes [D, trainings of each device, ...] of arrays [R, ...], or of shapes."""
        return shapes_of(stack, lambda leaf: (*self._places.shape, *leaf.shape[1:]))

    def put_on_each(self, tree: T) -> T:
        """Return the shapes [D, ...] of arrays [...], or of shapes."""
        return shapes_of(tree, lambda leaf: (len(self._devices), *leaf.shape))


def shapes_of(
    tree: T,
    shape: Callable[[Any], tuple[int, ...]] = lambda leaf: leaf.shape,
    sharding: jax.sharding.Sharding | None = None,
) -> T:
    """Return what a program is compiled for instead of arrays: shapes, with the types JAX gives.

    Args:
      tree: of arrays or shapes.
      shape: of a leaf, where it is not its own.
      sharding: where the arrays would be.
    """

    def describe(leaf):
        dtype = jax.dtypes.canonicalize_dtype(leaf.dtype)
        return jax.ShapeDtypeStruct(shape(leaf), dtype, sharding=sharding)

    return jax.tree.map(describe, tree)
