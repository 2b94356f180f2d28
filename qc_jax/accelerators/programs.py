"""Programs: what `train` would run on devices that are not here, compiled and measured."""

import dataclasses
import math
import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from qc_jax.accelerators import hlo, roofline, topology
from qc_jax.accelerators.chips import Target
from qc_jax.data.batch import Batch
from qc_jax.data.dataset import Dataset, Task
from qc_jax.data.splits import Split
from qc_jax.data.stream import Stream
from qc_jax.errors import InputError
from qc_jax.train import grid
from qc_jax.train.parallel import Described
from qc_jax.train.program import Program
from qc_jax.train.stack import Stack, Training
from qc_jax.train.state import count_parameters
from qc_jax.train.steps import Steps

MAX_ROWS, MAX_ATOMS = 100_000_000, 10_000  # of `parse_size`; their numbers are counted in memory


@dataclasses.dataclass(frozen=True)
class Compiled:
    """One program: the first stack of trainings that can be stacked.

    Attributes:
      name: of the model.
      trainings: in the stack.
      of: trainings that are asked for and alike.
      stacks: that they are divided into.
      chips: that run the program: all, or those of one process.
      parallel: 'data' or 'replicas'.
      reason: why it does not compile or fit; '' where it does, and what follows is there.
      compile_seconds: here; of the program, and of the one that tells how many trainings fit.
      memory: bytes that it takes on one device.
      parameters: weights of one training.
      steps: an epoch has.
      operations: of arithmetic in a step on one device, by XLA's count before it optimises.
      work: of a step on one device.
      xla_seconds: of a step on one device, by the cycles XLA gives to it; NaN where it gives none.
      estimate: of a step, by the published numbers of the device.
      largest_stack: trainings that fit into the memory of all chips together, by this program's.
      pays_up_to: chips; of more than that, each spends most of a step on starting operations and
        on telling the others.
    """

    name: str
    trainings: int
    of: int
    stacks: int
    chips: int
    parallel: str
    reason: str = ""
    compile_seconds: float = math.nan
    memory: float = math.nan
    parameters: int = 0
    steps: int = 0
    operations: float = math.nan
    work: hlo.Work | None = None
    xla_seconds: float = math.nan
    estimate: roofline.Estimate | None = None
    largest_stack: int = 0
    pays_up_to: int = 0

    @property
    def failed(self) -> bool:
        """Return whether there is a program that does not run there."""
        return self.reason.startswith("does not")

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON holds it: what is not known is null."""
        return _plain(dataclasses.asdict(self))


def compile_for(
    target: Target,
    trainings: Mapping[str, Training],
    most: int = 0,
    progress: Callable[[int, int, str], None] = lambda done, total, name: None,
) -> list[Compiled]:
    """Compile the programs that `train` would run, one for each group of trainings alike.

    Args:
      target: the chips.
      trainings: by name; their settings say what the chips share.
      most: trainings in one program; 0 takes as many as fit, as `train` does.
      progress: told before each program how many are done, of how many, and the model's name.

    Raises:
      InputError: the compiler is not installed, or there are more chips than the batch or the
        trainings can use.
    """
    chips = topology.devices(target)
    shared = all(each.settings.parallel == "data" for each in trainings.values())
    if not shared and 1 < len(trainings) < len(chips):
        raise InputError(
            f"{target.name} has {len(chips)} chips for {len(trainings)} trainings; expected at "
            "most a chip a training, or parallel=data, where chips share each batch"
        )
    found: list[Compiled] = []
    groups = grid.alike(trainings)
    for names in groups:
        group = [trainings[name] for name in names]
        progress(len(found), len(groups), _name(group[0]))
        found.append(_compile(target, chips, group, len(trainings) > 1, most))
    return found


def _compile(
    target: Target,
    chips: Sequence[jax.Device],
    trainings: Sequence[Training],
    swept: bool,
    most: int,
) -> Compiled:
    model, settings = trainings[0].model, trainings[0].settings
    name = _name(trainings[0])
    memory = target.chip.memory * target.chip.usable

    def described(size: int) -> Described:
        parallel = settings.parallel
        if parallel == "auto":  # a lone training of a sweep is as `grid` has it
            alone = swept and (target.processes > 1 or settings.batch_size % len(chips) > 0)
            parallel = "replicas" if size > 1 or alone else "data"
        own = [chip for chip in chips if chip.process_index == chips[0].process_index]
        some = own if parallel == "replicas" else chips
        return Described(parallel, size, settings.batch_size, some, memory)

    if isinstance(trainings[0].task.dataset, Stream):
        raise InputError("structures that stay on disk: expected stream=false, of the same steps")
    made = Compiled(name, 0, len(trainings), 0, 0, "")
    if model.closed_form:
        return dataclasses.replace(made, reason="solved at once on the host: nothing to compile")
    devices = described(len(trainings))  # which tells whether they divide the batch
    start = time.perf_counter()
    try:
        with topology.quiet():
            most = most or grid.fitting(trainings, devices)
            processes = target.processes if devices.sharing == 1 else 1
            names = [str(index) for index in range(len(trainings))]
            plan = grid.divide(names, most, processes, devices.num_replica_groups)
            size = len(plan[0])
            stack = Stack(trainings[:size])
            devices = described(size)
            made = dataclasses.replace(
                made,
                trainings=size,
                stacks=len(plan),
                chips=devices.count,
                parallel=devices.parallel,
            )
            program = Program(stack, devices, stack.state_shapes())
    except (jax.errors.JaxRuntimeError, NotImplementedError) as error:
        return dataclasses.replace(made, reason=why_not(error, memory))
    seconds = time.perf_counter() - start
    return _measured(target, made, stack, devices, program, seconds)


def _measured(
    target: Target,
    made: Compiled,
    stack: Stack,
    devices: Described,
    program: Program,
    seconds: float,
) -> Compiled:
    settings, there = stack.settings, target.chip.memory * target.chip.usable
    steps = int(stack.batches().train)
    work = hlo.step(hlo.parse(program.compiled.as_text() or ""))
    operations = devices.replicas_per_device * _operations(stack, devices)
    states = stack.state_shapes()
    shared = _bytes((stack.structures, stack.slopes))
    each = max(program.bytes - shared, 1.0) / devices.replicas_per_device
    fits = int((there - shared) / each) * devices.num_replica_groups
    made = dataclasses.replace(
        made,
        compile_seconds=seconds,
        memory=program.bytes,
        parameters=count_parameters(states.params) // len(stack),
        steps=steps,
        operations=operations,
        work=work,
        xla_seconds=roofline.xla_seconds(target, work),
        largest_stack=fits,
    )
    if program.bytes > there:
        return dataclasses.replace(made, reason=_too_large(program.bytes, there))
    estimate = roofline.estimate(target, settings.precision, made.chips, operations, work)
    share = settings.batch_size if made.parallel == "data" else made.of
    most = roofline.pays_up_to(estimate, made.chips, share)
    return dataclasses.replace(made, estimate=estimate, pays_up_to=most)


def _operations(stack: Stack, devices: Described) -> float:
    """Return the arithmetic of a step of one training on one device's share of the batch."""
    rows = stack.settings.batch_size // devices.sharing
    parts = Steps(stack.model, dataclasses.replace(stack.settings, batch_size=rows))

    def take(tree: Any, count: int) -> Any:
        return jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct((count, *leaf.shape[1:]), leaf.dtype), tree
        )

    state, replica = (
        jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype), tree)
        for tree in (stack.state_shapes(), stack.replicas)
    )
    batch = Dataset(
        take(stack.structures, rows), take(replica.labels, rows), *take(stack.slopes, rows)
    )
    weights = jax.ShapeDtypeStruct((rows,), jnp.float32)
    key = jax.eval_shape(lambda: jax.random.key(0))
    lowered = jax.jit(parts.train).lower(state, replica, batch, weights, key)
    return count_operations(lowered)


def count_operations(lowered: jax.stages.Lowered) -> float:
    """Return a program's arithmetic, by XLA's count before it optimises; NaN where it has none."""
    return float((lowered.cost_analysis() or {}).get("flops", math.nan))


def document(target: Target, programs: Sequence[Compiled]) -> dict[str, Any]:
    """Return what one device's programs cost, as JSON holds it."""
    chip = target.chip
    return {
        "device": {
            "name": target.name,
            "title": chip.title,
            "chips": target.chips,
            "processes": target.processes,
            "memory": chip.memory * chip.usable,
            "bandwidth": chip.bandwidth,
            "peak": dict(chip.peak),
            "link": target.link,
            "launch": chip.launch,
            "source": chip.source,
        },
        "versions": {"jax": jax.__version__, "jaxlib": jax.lib.__version__},
        "programs": [program.to_json() for program in programs],
    }


def parse_size(text: str) -> tuple[int, int]:
    """Return the rows and atoms of 'ROWSxATOMS'.

    Raises:
      InputError: it is of another form, too small to be split, or too large.
    """
    match = re.fullmatch(r"(\d+)x(\d+)", text)
    rows, atoms = map(int, match.groups()) if match else (0, 0)
    if rows < 36 or atoms < 1:
        raise InputError(f"expected ROWSxATOMS, at least 36x1, got {text!r}")
    if rows > MAX_ROWS or atoms > MAX_ATOMS:
        raise InputError(
            f"expected ROWSxATOMS of at most {MAX_ROWS}x{MAX_ATOMS}, got {rows}x{atoms}"
        )
    return rows, atoms


def why_not(error: Exception, memory: float) -> str:
    """Return in one line why a program was not compiled."""
    text = " ".join(str(error).split())
    used = re.search(r"Used ([\d.]+[KMGT]?) of ([\d.]+[KMGT]?) hbm", text)
    if used:
        return f"does not fit: a device needs {used[1]} bytes and has {used[2]}"
    if "RESOURCE_EXHAUSTED" in text:
        return f"does not fit into {memory / 1e9:.3g} GB of a device: {text:.300}"
    return f"does not compile: {text:.300}"


def sized(task: Task, rows: int, atoms: int) -> Task:
    """Return a task like another one, of so many structures of so many atoms, without content.

    As in QM9's protocol, 10,000 rows or a twelfth validate and as many test.
    """
    held = min(10_000, rows // 12)
    names = np.broadcast_to(np.str_("structure"), (rows,))
    neighbors = max(atoms - 1, 1)

    def zeros(*shape: int, dtype: Any = np.float32) -> Any:
        return np.broadcast_to(np.zeros((), dtype), (rows, *shape))

    structures = Batch(
        atomic_numbers=zeros(atoms, dtype=np.int32),
        positions=zeros(atoms, 3),
        neighbors=zeros(atoms, neighbors, dtype=np.int32),
    )
    order = np.arange(rows)
    split = Split(order[: rows - 2 * held], order[-2 * held : -held], order[-held:], "by number")
    labels = zeros(len(task.targets))
    return Task(task.targets, names, Dataset(structures, labels), split, task.scaler, {})


def _too_large(need: float, there: float) -> str:
    return f"does not fit: a device needs {need / 1e9:.3g} GB and has {there / 1e9:.3g} GB"


def _bytes(tree: Any) -> float:
    return float(sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree)))


def _name(training: Training) -> str:
    return type(training.model).__module__.rpartition(".")[2]


def _plain(value: Any) -> Any:
    if hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, Mapping):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
