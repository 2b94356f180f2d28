"""A grid of trainings: those that can are stacked, as many as fit at a time, and none runs twice.

Of several processes each takes its share of the stacks, unless all of them share every batch.
"""

import contextlib
import dataclasses
import functools
import itertools
import math
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent import futures
from typing import Any, NamedTuple

import jax
import numpy as np

from qc_jax.data import files
from qc_jax.errors import InputError
from qc_jax.train import forces, loop, steps
from qc_jax.train.liveness import peak_bytes
from qc_jax.train.parallel import Described, Devices, bytes_of, shapes_of
from qc_jax.train.program import CompileCache, Program
from qc_jax.train.stack import (
    Stack,
    Training,
    are_uneven,
    batches_of,
    devices_of,
    static_signature,
)

# Of a device's memory, what a stack may take: the rest is for what XLA keeps beside it.
PART_OF_MEMORY = 0.6

# Trainings that one device of a CPU has at a time: more do not make it faster, its caches hold less
# of them (`experiments.speed --what=grid`).
_ON_CPU = 4

# Threads that compile at a time, each of which may take gigabytes.
_COMPILERS = 8

# What of a group's steps may be rest, where trainings of fewer steps an epoch run with others.
_REST = 0.1

# Memory that a training is taken to need at most, of what its traced program needs at a time.
_SAFETY = 2.0


class StackedBatch(NamedTuple):
    """One program.

    Attributes:
      names: of its trainings.
      directory: where the checkpoints of their states are kept.
    """

    names: tuple[str, ...]
    directory: str


def shared_out(parallel: str) -> bool:
    """Return whether each process trains its own stacks; `parallel` is of `TrainConfig`."""
    return parallel != "data" and jax.process_count() > 1


def local_stacks(plan: Sequence[StackedBatch], parallel: str) -> list[StackedBatch]:
    """Return those of the stacks that this process trains."""
    if not shared_out(parallel):
        return list(plan)
    return list(plan[jax.process_index() :: jax.process_count()])


def plan_stacks(
    trainings: Mapping[str, Training],
    directory: str | os.PathLike,
    stack_size: int = 0,
    done: Callable[[str], bool] = lambda name: False,
) -> list[StackedBatch]:
    """Return which trainings run as one program, and after which others.

    What has been decided is kept in `directory`/stacks.json: the states of an interrupted stack can
    go on only together; trainings that it does not name are added to it. One process decides,
    the others call this after it.

    Args:
      trainings: by name.
      directory: of the grid.
      stack_size: trainings in one program, at most; 0 takes as many as `fitting` says.
      done: says of a name whether its training has ended: it needs no others.

    Raises:
      InputError: stacks.json is damaged, or has only a part of a stack's trainings to go on.
    """
    path = os.path.join(directory, "stacks.json")
    stacks = files.read_json(path) if os.path.exists(path) else []
    if not isinstance(stacks, list) or not all(
        isinstance(names, list) and names and all(isinstance(name, str) for name in names)
        for names in stacks
    ):
        raise InputError(f"{path}: expected lists of the trainings' names, got {stacks!r:.60}")
    for stack in stacks:
        other = [name for name in stack if name not in trainings]
        left = [name for name in stack if name in trainings and not done(name)]
        if other and left:
            raise InputError(
                f"{path}: {other[0]} is trained together with others that are asked for; expected "
                "it to be asked for too, or another directory"
            )
    planned = set(itertools.chain(*stacks))
    groups = alike({name: each for name, each in trainings.items() if name not in planned})
    for names in groups:
        first = trainings[names[0]]
        group = [trainings[name] for name in names]
        processes = jax.process_count() if shared_out(first.settings.parallel) else 1
        if stack_size:
            stacks += divide(names, stack_size, processes)
        else:
            devices = devices_of([*map(_alone, group)])
            stacks += divide(names, fitting(group), processes, devices.num_replica_groups)
    if groups:
        files.write_json(path, stacks)
    return [
        StackedBatch(tuple(names), os.path.join(directory, "stacks", str(number)))
        for number, names in enumerate(stacks)
        if all(name in trainings for name in names)
    ]


def check_forces(trainings: Mapping[str, Training]) -> None:
    """Raise InputError, by its name, for a training that is to learn forces and can't."""
    firsts: dict[Any, tuple[str, Training]] = {}  # which speak for all that could be in their stack
    for name, each in trainings.items():
        firsts.setdefault(static_signature(each), (name, each))
    for name, each in firsts.values():
        try:
            forces.learned(each.model, each.task, each.settings)
        except InputError as error:
            raise InputError(f"{name}: {error}") from error


def alike(trainings: Mapping[str, Training]) -> list[list[str]]:
    """Return the names of trainings that should be in one stack, group after group.

    They are one program, whatever their steps an epoch. But steps of rest take as long as others:
    those of fewer steps are a group of their own, unless they are few.
    """
    kinds: dict[Any, dict[int, list[str]]] = {}
    for name, training in trainings.items():
        steps = batches_of(training).train
        kinds.setdefault(static_signature(training), {}).setdefault(steps, []).append(name)
    groups: list[list[str]] = []
    for by_steps in kinds.values():
        total = most = 0
        for steps, names in sorted(by_steps.items(), reverse=True):
            total += steps * len(names)
            if most and total >= (1 - _REST) * most * (len(groups[-1]) + len(names)):
                groups[-1] += names
            else:
                groups.append(names)
                total, most = steps * len(names), steps
    return groups


def divide(
    names: Sequence[str], most: int, processes: int = 1, devices: int = 1
) -> list[list[str]]:
    """Return stacks of the trainings of a group, as equal as they can be.

    Stacks of another size are another program: where all can be of one that is not much smaller
    (54 trainings as 18 times 3, not 12 times 4 and twice 3), they are.

    Args:
      names: of the group.
      most: trainings in one stack.
      processes: that train stacks of their own, and get as many of them each.
      devices: that share out a stack; its size is such that few of them are ever idle.
    """
    total = len(names)

    def turns(count: int) -> int:
        """Return how many trainings one after another a device has, of `count` stacks."""
        small, large = total // count, total % count  # `large` stacks have one more
        return large * -(-(small + 1) // devices) + (count - large) * -(-small // devices)

    least = -(-total // most)

    def unequal(count: int) -> bool:
        return total % count > 0 or 3 * count > 4 * least

    # Of twice as many stacks, half as large, each would use less of a device.
    candidates = range(least, min(total, 2 * least) + 1)
    count = min(candidates, key=lambda count: (turns(count), unequal(count)))
    count = min(total, -(-count // processes) * processes)
    return [part.tolist() for part in np.array_split(np.array(names), count)]


def fitting(trainings: Sequence[Training], devices: Devices | None = None) -> int:
    """Return how many of the trainings, which could be stacked, fit into memory.

    By what one of them takes; on a CPU, by what is free, and no more than its caches are good for.

    Args:
      trainings: of one group.
      devices: of a stack of all of them; None takes this process's.

    Raises:
      InputError: the devices don't divide the batch.
    """
    if len(trainings) == 1 or trainings[0].model.closed_form:
        return 1  # what is solved is solved one by one, and kept one by one
    stack = Stack(trainings[:1])
    settings = stack.settings
    on_cpu = devices is None and jax.default_backend() == "cpu"
    if devices is None:
        devices = devices_of([*map(_alone, trainings)])
    groups = devices.num_replica_groups
    asked = -(-len(trainings) // groups)  # of each device
    if on_cpu:
        asked = min(asked, _ON_CPU)
    there = PART_OF_MEMORY * devices.memory()
    shapes = _shapes_of_one(stack, devices.first)
    function = steps.stacked(steps.Steps(stack.model, settings).epoch, 1)
    traced = jax.make_jaxpr(function)(*shapes)
    given = sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(shapes))
    # Compiling takes long: it is done where memory may be short.
    if _SAFETY * asked * (given + peak_bytes(traced.jaxpr)) > there:
        # By jit: in a run of several processes `jax.pmap` lowers arrays only, no shapes.
        each = bytes_of(jax.jit(function, donate_argnums=0).lower(*shapes).compile())
        if not math.isnan(each):
            asked = min(asked, max(1, int(there / max(each, 1))))
    return min(len(trainings), asked * groups)


def _shapes_of_one(stack: Stack, device: jax.Device) -> Any:
    """Return what the epoch of a stack of one is called with, on a device."""
    arguments = (
        *(stack.state_shapes(), np.ones(1, bool), stack.replicas),
        *(stack.structures, stack.batches(), stack.slopes),
    )
    return shapes_of(arguments, sharding=jax.sharding.SingleDeviceSharding(device))


def fit_grid(
    trainings: Mapping[str, Training],
    plan: Sequence[StackedBatch],
    done: Callable[[str], bool],
    on_epoch: Callable[[str, dict[str, Any]], None] = lambda name, line: None,
    on_end: Callable[[str, loop.FitResult | InputError], None] = lambda name, trained: None,
    stop: Callable[[], bool] = lambda: False,
) -> None:
    """Train what is not done, stack after stack; see `loop.fit_stack`.

    What a stack's checkpoints hold is removed when all its trainings have ended, unless several
    processes train it together.

    Args:
      trainings: by name.
      plan: those stacks that are this process's `local_stacks`.
      done: says of a name whether its training has ended.
      on_epoch: told of every epoch of every training.
      on_end: told of each training that ends, as soon as it does; `done` must say so from then on.
      stop: asked after every epoch whether to save and to stop.

    Raises:
      InputError: as `loop.fit_stack`; one training that ends in an error stops no other.
      Interrupted: `stop` said so.
    """
    parallel = next(iter(trainings.values())).settings.parallel if trainings else "auto"

    def remove(directory: str) -> None:
        # No training goes on from here, and the states of a grid take gigabytes.
        if jax.process_count() == 1 or shared_out(parallel):  # else others may still be at it
            shutil.rmtree(directory, ignore_errors=True)

    left = []
    for batch in plan:
        if all(done(name) for name in batch.names):
            remove(batch.directory)  # where a kill came before
        else:
            left.append(batch)
    # On a CPU the cores are at work anyway; processes that share batches compile together.
    ahead = jax.default_backend() != "cpu" and jax.process_count() == 1
    cache = CompileCache(keep=ahead)
    stacks = [[_alone(trainings[name]) for name in names] for names, _ in left]
    with _compiling(stacks, cache, ahead):
        for (names, directory), each in zip(left, stacks, strict=True):
            loop.fit_stack(
                each,
                directory,
                done=[done(name) for name in names],
                on_epoch=functools.partial(_by_name, on_epoch, names),
                on_end=functools.partial(_by_name, on_end, names),
                stop=stop,
                cache=cache,
            )
            remove(directory)


@contextlib.contextmanager
def _compiling(
    stacks: Sequence[Sequence[Training]], cache: CompileCache, ahead: bool
) -> Iterator[None]:
    """Compile the programs of later stacks meanwhile; compilers leave Python free.

    Who stops waits for those that are being compiled: nothing ends a compiler.

    Args:
      stacks: in their order; the first one's program is left to who trains it.
      cache: where they go.
      ahead: whether to.
    """
    kinds: dict[Any, Sequence[Training]] = {}
    for stack in stacks:
        kind = static_signature(stack[0]), len(stack), are_uneven(stack)
        kinds.setdefault(kind, stack)
    pool = futures.ThreadPoolExecutor(min(_COMPILERS, os.cpu_count() or 1))
    for stack in list(kinds.values())[1:] if ahead else ():
        pool.submit(_compile, stack, cache)
    try:
        yield
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _compile(trainings: Sequence[Training], cache: CompileCache) -> None:
    stack = Stack(trainings)
    if stack.model.closed_form or stack.stream is not None:
        return
    settings, own = stack.settings, jax.local_devices()
    devices = Described(settings.parallel, len(stack), settings.batch_size, own)
    Program(stack, devices, stack.state_shapes(), cache)


def _alone(training: Training) -> Training:
    """Of a stack whose devices share no batch, were it of one.

    No other process knows of it, or they do not divide the batch: no reason to end a grid.
    """
    settings = training.settings
    divided = settings.batch_size % jax.local_device_count() == 0
    if not shared_out(settings.parallel) and (divided or settings.parallel != "auto"):
        return training
    return training._replace(settings=dataclasses.replace(settings, parallel="replicas"))


def _by_name(
    told: Callable[[str, Any], None], names: tuple[str, ...], index: int, what: Any
) -> None:
    told(names[index], what)
