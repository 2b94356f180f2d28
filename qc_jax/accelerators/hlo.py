"""HLO: what XLA's optimised programs tell as text of a training step's kernels and bytes.

https://openxla.org/xla/operation_semantics names the operations. A program of epochs has a loop of
training steps and one of validation batches; `step` reads the body of the former.
"""

import math
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

_BYTES = {"pred": 1, "c64": 8, "c128": 16, "token": 0, "opaque": 0}
_ARRAY = re.compile(r"([a-z]+\d*[a-z0-9]*)\[([\d,<=]*)\](\{[^}]*\})?")
_HEAD = re.compile(r"^(ENTRY )?%?([\w.\-]+) \(.*\{$")
_CALLED = re.compile(
    r"(calls|to_apply|body|condition|true_computation|false_computation)=%?([\w.\-]+)"
)
_BRANCHES = re.compile(r"branch_computations=\{([^}]*)\}")
# What costs nothing on the device, or is counted where it starts.
_FREE = {
    *("parameter", "constant", "tuple", "get-tuple-element", "bitcast", "after-all"),
    *("partition-id", "replica-id", "opt-barrier", "add-dependency", "domain", "iota"),
}
_COLLECTIVES = (
    *("all-reduce", "all-gather", "reduce-scatter", "all-to-all", "collective-permute"),
    *("collective-broadcast", "ragged-all-to-all"),
)
_PARTS = {"dynamic-slice", "slice", "gather"}  # of what they read they need what they return


class Instruction(NamedTuple):
    """One line: `name = shape opcode(arguments), attributes`; the `root` is what is returned."""

    name: str
    shape: str
    opcode: str
    arguments: str
    attributes: str
    root: bool

    @property
    def operands(self) -> list[str]:
        """Return the names of the instructions whose results it takes."""
        return re.findall(r"%([\w.\-]+)", self.arguments)


class Module(NamedTuple):
    """A program: instructions by the name of their computation, and which of those is the entry."""

    computations: Mapping[str, tuple[Instruction, ...]]
    entry: str


class Work(NamedTuple):
    """What one run of a computation does on one device.

    Attributes:
      kernels: launched: fusions, library calls, copies and collectives.
      bytes: read from and written to the main memory.
      collectives: by operation: how many, and bytes that each device puts into them.
      cycles: that XLA gives to it; 0 where it says nothing.
    """

    kernels: int = 0
    bytes: float = 0.0
    collectives: Mapping[str, tuple[int, float]] = {}
    cycles: float = 0.0

    def plus(self, other: "Work", times: int = 1) -> "Work":
        """Return the sum of both, of `other` so many times."""
        collectives = dict(self.collectives)
        for name, (count, size) in other.collectives.items():
            before, bytes_before = collectives.get(name, (0, 0.0))
            collectives[name] = (before + times * count, bytes_before + times * size)
        return Work(
            self.kernels + times * other.kernels,
            self.bytes + times * other.bytes,
            collectives,
            self.cycles + times * other.cycles,
        )


def parse(text: str) -> Module:
    """Return the program that `jax.stages.Compiled.as_text` shows."""
    computations: dict[str, tuple[Instruction, ...]] = {}
    entry, name = "", ""
    lines: list[Instruction] = []
    for line in text.splitlines():
        if line.startswith("}") and name:
            computations[name], name = tuple(lines), ""
        elif not line.startswith(" ") and (head := _HEAD.match(line)):
            name, lines = head[2], []
            entry = name if head[1] else entry
        elif name and " = " in line:
            lines.append(_instruction(line))
    return Module(computations, entry)


def _instruction(line: str) -> Instruction:
    name, _, rest = line.strip().removeprefix("ROOT ").partition(" = ")
    end = _closing(rest, 0) + 1 if rest.startswith("(") else rest.index(" ")
    shape, rest = rest[:end], rest[end:].lstrip()
    start = rest.index("(")
    close = _closing(rest, start)
    return Instruction(
        name.lstrip("%"),
        *(shape, rest[:start], rest[start + 1 : close], rest[close + 1 :].lstrip(", ")),
        line.lstrip().startswith("ROOT "),
    )


def _closing(text: str, start: int) -> int:
    depth = 0
    for index in range(start, len(text)):
        depth += {"(": 1, ")": -1}.get(text[index], 0)
        if depth == 0:
            return index
    return len(text)


def step(module: Module) -> Work:
    """Return the work of one training step of an epoch: of the loop with most kernels."""
    loops = [each for each in module.computations[module.entry] if each.opcode == "while"]
    bodies = [work(module, _called(each)["body"]) for each in loops]
    return max(bodies, key=lambda body: body.kernels)


def work(module: Module, name: str) -> Work:
    """Return the work of one run of a computation, of loops in it as often as they run."""
    instructions = module.computations[name]
    shapes = {each.name: each.shape for each in instructions}
    total = Work()
    for each in instructions:
        called = _called(each)
        if each.opcode == "while":
            total = total.plus(work(module, called["body"]), _trips(module, each))
        elif each.opcode == "call":
            total = total.plus(work(module, called["to_apply"]))
        elif each.opcode == "conditional":
            branches = [work(module, branch) for branch in _branches(each)]
            total = total.plus(max(branches, key=lambda branch: branch.kernels))
        elif not (each.opcode in _FREE or each.opcode.endswith("-done") or _is_scalar(each)):
            total = total.plus(_own(module, each, shapes))
    return total


def _own(module: Module, each: Instruction, shapes: Mapping[str, str]) -> Work:
    """Return the work of one kernel."""
    cycles = re.search(r'"estimated_cycles":"(\d+)"', each.attributes)
    kind = each.opcode.removesuffix("-start")
    collectives = {}
    if kind in _COLLECTIVES:
        collectives[kind] = (1, sum(size_of(shapes[name], anywhere=True) for name in each.operands))
    inner = module.computations.get(_called(each).get("calls", ""), ())
    read = sum(
        _read(inner, index, size_of(shapes.get(name, "")))
        for index, name in enumerate(each.operands)
    )
    written = _written(each, inner)
    return Work(1, read + written, collectives, float(cycles[1]) if cycles else 0.0)


def _read(inner: tuple[Instruction, ...], index: int, size: float) -> float:
    """Return bytes that a fusion reads of an operand, of which it may need a part only."""
    parameters = {each.arguments: each for each in inner if each.opcode == "parameter"}
    own = parameters.get(str(index))
    if own is None or size == 0:
        return size
    users = [each for each in inner if own.name in each.operands]
    needed = 0.0
    for user in users:
        if user.opcode in _PARTS and user.operands[0] == own.name:
            needed += size_of(user.shape, anywhere=True)
        elif user.opcode != "dynamic-update-slice" or user.operands[0] != own.name:
            return size
    return min(size, needed)


def _written(each: Instruction, inner: tuple[Instruction, ...]) -> float:
    """Return bytes that a kernel writes; of an array that it changes in place, the changes."""
    if not inner:
        # A copy's own start has its source beside its result.
        shape = each.shape if not each.opcode.endswith("-start") else _first(each.shape)
        return size_of(shape)
    by_name = {one.name: one for one in inner}
    root = next(one for one in inner if one.root)
    outputs = [by_name[name] for name in root.operands] if root.opcode == "tuple" else [root]
    results = list(arrays(each.shape))
    total = 0.0
    for output, array in zip(outputs, results, strict=False):
        size = _size(*array)
        if output.opcode == "dynamic-update-slice" and size:
            size = min(size, size_of(by_name[output.operands[1]].shape, anywhere=True))
        total += size
    return total


def _is_scalar(each: Instruction) -> bool:
    """Whether it is arithmetic of a single number that no kernel is launched for."""
    return (
        each.opcode not in ("fusion", "custom-call", "copy", "copy-start")
        and each.opcode.removesuffix("-start") not in _COLLECTIVES
        and all(math.prod(sizes) <= 1 for _, sizes, _ in arrays(each.shape))
    )


def _called(each: Instruction) -> dict[str, str]:
    return dict(_CALLED.findall(each.attributes))


def _branches(each: Instruction) -> list[str]:
    named = _BRANCHES.search(each.attributes)
    if named:
        return re.findall(r"%?([\w.\-]+)", named[1])
    called = _called(each)
    return [called["true_computation"], called["false_computation"]]


def _trips(module: Module, loop: Instruction) -> int:
    """Return how often a loop runs; 1 where the program does not say."""
    known = re.search(r'"known_trip_count":\{"n":"(\d+)"\}', loop.attributes)
    if known:
        return int(known[1])
    condition = module.computations.get(_called(loop).get("condition", ""), ())
    bounds = [each.arguments for each in condition if each.opcode == "constant"]
    return int(bounds[0]) if len(bounds) == 1 and bounds[0].isdigit() else 1


def arrays(shape: str) -> Iterator[tuple[str, tuple[int, ...], str]]:
    """Yield the arrays of a shape: element type, sizes, layout."""
    for dtype, dims, layout in _ARRAY.findall(shape):
        sizes = tuple(int(re.sub(r"\D", "", side)) for side in dims.split(",") if side)
        yield dtype, sizes, layout


def size_of(shape: str, anywhere: bool = False) -> float:
    """Return the bytes of a shape that lie in main memory, or anywhere."""
    return sum(_size(*each, anywhere=anywhere) for each in arrays(shape))


def _size(dtype: str, dims: tuple[int, ...], layout: str, anywhere: bool = False) -> float:
    # S(1) and above are memories on the chip.
    if not anywhere and re.search(r"S\([1-9]", layout):
        return 0.0
    bits = re.search(r"\d+", dtype)
    each = _BYTES[dtype] if dtype in _BYTES else int(bits[0]) / 8 if bits else 4
    return each * math.prod(dims)


def _first(shape: str) -> str:
    """Return the first array of a tuple's shape."""
    found = _ARRAY.search(shape)
    return found[0] if found else ""
