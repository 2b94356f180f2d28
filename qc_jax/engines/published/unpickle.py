"""Pickles of plain data, read by a machine that cannot do more than build plain data.

A pickle is a program, and `pickle` runs it. Restricting `pickle.Unpickler` by its `find_class` is
not enough: nine bytes that name a high memo index make it take gigabytes, the extension registry
and hashes of nested tuples go past `find_class`. Here `pickletools` parses, a closed list of
opcodes is carried out, and nothing is ever imported or called by name: NumPy's constructors are
stand-ins that check sizes before they allocate.
"""

import enum
import math
import pickletools
import re
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from qc_jax.errors import InputError


class _Global(enum.Enum):
    """What a pickle of NumPy data imports; here no more than a mark on the stack."""

    NDARRAY = enum.auto()
    DTYPE = enum.auto()
    RECONSTRUCT = enum.auto()
    SCALAR = enum.auto()
    FROM_BUFFER = enum.auto()


# NumPy 1 calls its inner package numpy.core, NumPy 2 numpy._core.
_GLOBALS = {"numpy ndarray": _Global.NDARRAY, "numpy dtype": _Global.DTYPE} | {
    f"numpy.{core}.{name}": mark
    for core in ("core", "_core")
    for name, mark in {
        "multiarray _reconstruct": _Global.RECONSTRUCT,
        "multiarray scalar": _Global.SCALAR,
        "numeric _frombuffer": _Global.FROM_BUFFER,
    }.items()
}

_DTYPE = re.compile(r"b1|[iu][1248]|f[248]|U[1-9]\d{0,3}|O8")
_KINDS = "biufUO"
_MOST_DIMENSIONS = 4

# Opcodes whose argument, as pickletools reads it, is the value.
_VALUES = frozenset(
    [
        "NONE",
        "BININT",
        "BININT1",
        "BININT2",
        "LONG1",
        "BINFLOAT",
        "SHORT_BINUNICODE",
        "BINUNICODE",
        "BINUNICODE8",
        "SHORT_BINBYTES",
        "BINBYTES",
        "BINBYTES8",
        "BYTEARRAY8",
    ]
)


def loads(data: bytes, most_opcodes: int, most_memory: int = 300_000_000) -> Any:
    """Return the plain data that a pickle of protocol 3 to 5 describes; NumPy writes 3 or 4.

    Builds None, bool, int, float, str, list, tuple, dict with str as keys, and NumPy arrays and
    scalars of numbers, text or such objects; nothing else.

    Args:
      data: the pickle, nothing behind it.
      most_opcodes: how long a program is still run. One opcode of one byte makes an object of
        dozens, so this and not the length bounds the time.
      most_memory: bytes that the objects may take, and what the pickle remembers of them.

    Raises:
      InputError: the pickle asks for anything else (a global is named), is cut short or damaged.
    """
    machine = _Machine()
    try:
        for count, (opcode, argument, position) in enumerate(pickletools.genops(data)):
            if count >= most_opcodes:
                raise InputError(f"a pickle of more than {most_opcodes} opcodes")
            if opcode.name == "STOP" and (position or 0) + 1 != len(data):
                raise InputError(f"{len(data)} bytes, of which the pickle is {(position or 0) + 1}")
            machine.step(opcode.name, argument)
            machine.memory += _COSTS.get(opcode.name) or _size(argument)
            if machine.memory > most_memory:
                raise InputError(
                    f"its objects take more than {most_memory / 1e6:.0f} MB; expected less of a "
                    "file of its size"
                )
        return _plain(machine.result())
    except InputError:
        raise
    # A program that makes no sense: of a stack that is too short, of wrong types or sizes.
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise InputError(
            f"not a pickle of plain data, or cut short or damaged: {str(error)[:200]}"
        ) from error


# Bytes of an object, as CPython 3.11 makes them, with its place on the stack or in a memo.
_COSTS = (
    dict.fromkeys(("EMPTY_DICT", "EMPTY_LIST", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"), 100)
    | dict.fromkeys(("MEMOIZE", "BINPUT", "LONG_BINPUT", "SETITEM"), 100)
    | dict.fromkeys(("REDUCE", "BUILD"), 150)
)


def _size(argument: Any) -> int:
    return 8 + (sys.getsizeof(argument) if isinstance(argument, str | bytes | bytearray) else 32)


class _Dtype:
    """A NumPy type in the making: a pickle gives its name first and the byte order later."""

    def __init__(self, name: Any, align: Any, copy: Any):
        if not (isinstance(name, str) and _DTYPE.fullmatch(name)) or align or not copy:
            raise InputError(f"NumPy type {_short(name)}: expected one of numbers, text or objects")
        self.dtype = np.dtype("O" if name == "O8" else name)

    def build(self, state: Any) -> None:
        version, order, subtype, names, fields, size, align, flags = state
        expected = (self.dtype.itemsize, 4, 8) if self.dtype.kind == "U" else (-1, -1, 0)
        if self.dtype.kind == "O":
            expected = (-1, -1, 63)
        if (version, subtype, names, fields) != (3, None, None, None):
            raise InputError("a NumPy type with fields; expected one of numbers, text or objects")
        if order not in ("<", ">", "|") or (size, align, flags) != expected:
            raise InputError(f"a NumPy type that contradicts itself: {_short(state)}")
        self.dtype = self.dtype.newbyteorder(order)


class _Machine:
    """The stack, the memo, and what each opcode does to them."""

    def __init__(self):
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []  # the stacks under each open MARK
        self.memo: dict[int, Any] = {}
        self.memory = 0  # bytes

    def step(self, name: str, argument: Any) -> None:
        """Carry out one opcode."""
        if name in _VALUES:
            self.stack.append(argument)
        elif name in _STEPS:
            _STEPS[name](self, argument)
        elif name == "INST":
            raise _import(argument)
        elif name not in _NOTHING:
            raise InputError(f"opcode {name}, which plain data do without")

    def result(self) -> Any:
        (value,) = self.stack
        if self.below:
            raise InputError("a pickle that ends within a list")
        return value

    def since_mark(self) -> list[Any]:
        items, self.stack = self.stack, self.below.pop()
        return items

    def mark(self, _: None) -> None:
        self.below.append(self.stack)
        self.stack = []

    def find(self, name: str) -> None:
        if name not in _GLOBALS:
            raise _import(name)
        self.stack.append(_GLOBALS[name])

    def find_on_stack(self, _: None) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        if not (isinstance(module, str) and isinstance(name, str)):
            raise InputError("the name of an import that is no text")
        self.find(f"{module} {name}")

    def put(self, index: int | None) -> None:
        self.memo[len(self.memo) if index is None else index] = self.stack[-1]

    def get(self, index: int) -> None:
        self.stack.append(self.memo[index])

    def tuple_of(self, length: int | None) -> None:
        if length is None:
            items = tuple(self.since_mark())
            self.stack.append(items)
            return
        if len(self.stack) < length:
            raise InputError("a tuple of more than there is")
        self.stack[-length:] = [tuple(self.stack[-length:])]

    def append(self, items: list[Any]) -> None:
        if type(self.stack[-1]) is not list:
            raise InputError("an item of what is no list")
        self.stack[-1].extend(items)

    def set_items(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) is not dict or len(items) % 2:
            raise InputError("a key of what is no dict")
        self.memory += 50 * len(items)
        for key, value in zip(items[::2], items[1::2], strict=True):
            if type(key) is not str:  # the hash of a deep tuple overruns the C stack
                raise InputError(f"a dict with a key of type {type(key).__name__}, expected text")
            target[key] = value

    def reduce(self, _: None) -> None:
        arguments, function = self.stack.pop(), self.stack.pop()
        if type(arguments) is not tuple:
            raise InputError("a call without arguments")
        self.stack.append(_call(function, arguments))

    def build(self, _: None) -> None:
        state, target = self.stack.pop(), self.stack[-1]
        if type(state) is not tuple:
            raise InputError(f"a state of type {type(state).__name__}, expected a tuple")
        if type(target) is _Dtype:
            target.build(state)
        elif type(target) is np.ndarray:
            _fill(target, state)
        else:
            raise InputError(f"a state for an object of type {type(target).__name__}")


# Where pickletools gives no argument a lambda's second parameter is None.
_STEPS: dict[str, Callable[[_Machine, Any], None]] = {
    "NEWTRUE": lambda machine, _: machine.stack.append(True),
    "NEWFALSE": lambda machine, _: machine.stack.append(False),
    "EMPTY_DICT": lambda machine, _: machine.stack.append({}),
    "EMPTY_LIST": lambda machine, _: machine.stack.append([]),
    "EMPTY_TUPLE": lambda machine, _: machine.stack.append(()),
    "MARK": _Machine.mark,
    "TUPLE": _Machine.tuple_of,
    "TUPLE1": lambda machine, _: machine.tuple_of(1),
    "TUPLE2": lambda machine, _: machine.tuple_of(2),
    "TUPLE3": lambda machine, _: machine.tuple_of(3),
    "APPEND": lambda machine, _: machine.append([machine.stack.pop()]),
    "APPENDS": lambda machine, _: machine.append(machine.since_mark()),
    "SETITEM": lambda machine, _: machine.set_items([machine.stack.pop(-2), machine.stack.pop(-1)]),
    "SETITEMS": lambda machine, _: machine.set_items(machine.since_mark()),
    "MEMOIZE": _Machine.put,
    "BINPUT": _Machine.put,
    "LONG_BINPUT": _Machine.put,
    "BINGET": _Machine.get,
    "LONG_BINGET": _Machine.get,
    "GLOBAL": _Machine.find,
    "STACK_GLOBAL": _Machine.find_on_stack,
    "REDUCE": _Machine.reduce,
    "BUILD": _Machine.build,
}
_NOTHING = ("PROTO", "FRAME", "STOP")


def _call(function: Any, arguments: tuple) -> Any:
    """Return what stands for a call of one of NumPy's constructors."""
    if function is _Global.DTYPE and len(arguments) == 3:
        return _Dtype(*arguments)
    if function is _Global.RECONSTRUCT and len(arguments) == 3:
        cls, shape, kind = arguments
        if cls is _Global.NDARRAY and shape == (0,) and kind == b"b":
            return np.empty(0, np.int8)  # BUILD gives it its shape, type and content
    if function is _Global.SCALAR and len(arguments) == 2:
        dtype, data = arguments
        return _from_bytes(data, dtype, ())[0]
    if function is _Global.FROM_BUFFER and len(arguments) == 4:
        data, dtype, shape, order = arguments
        return _from_bytes(data, dtype, shape).reshape(shape, order="F" if order == "F" else "C")
    raise InputError(f"a call of {_short(function)} that no array, number or text needs")


def _from_bytes(data: Any, dtype: Any, shape: Any) -> np.ndarray:
    if type(dtype) is not _Dtype or dtype.dtype.kind == "O":
        raise InputError("a NumPy number or buffer of another type than numbers or text")
    if not isinstance(data, bytes | bytearray):
        raise InputError(f"a NumPy number or buffer made of {type(data).__name__}, expected bytes")
    _check_size(len(data), shape, dtype.dtype.itemsize)
    return np.frombuffer(bytes(data), dtype.dtype)


def _fill(array: np.ndarray, state: tuple) -> None:
    version, shape, dtype, fortran, data = state
    if version != 1 or type(dtype) is not _Dtype or type(fortran) is not bool:
        raise InputError("an array in a form that NumPy does not write")
    if array.dtype != np.int8 or array.shape != (0,):
        raise InputError("an array that is filled twice")
    objects = dtype.dtype.kind == "O"
    if type(data) is not (list if objects else bytes):
        raise InputError(f"an array of {dtype.dtype} made of {type(data).__name__}")
    _check_size(len(data), shape, 1 if objects else dtype.dtype.itemsize)
    array.__setstate__((1, shape, dtype.dtype, fortran, data))  # type: ignore[arg-type]


def _check_size(given: int, shape: Any, item: int) -> None:
    """Raise InputError unless what is given fills the shape, before anything is allocated."""
    whole = type(shape) is tuple and all(type(n) is int and n >= 0 for n in shape)
    if not whole or len(shape) > _MOST_DIMENSIONS or math.prod(shape) * item != given:
        raise InputError(f"an array of shape {_short(shape)} made of {given} bytes or objects")


def _plain(root: Any) -> Any:
    """Return `root`, where it holds nothing but plain data."""
    seen: set[int] = set()  # a list may hold itself, or one list a thousand times
    waiting = [root]
    while waiting:
        value = waiting.pop()
        kind = type(value)
        if value is None or kind in (bool, int, float, str):
            continue
        if isinstance(value, np.generic | np.ndarray) and value.dtype.kind in _KINDS:
            inside: Any = value.flat if value.dtype.kind == "O" else ()
        elif kind in (list, tuple):
            inside = value
        elif kind is dict:
            inside = value.values()
        else:
            raise InputError(f"a value of type {kind.__name__.lstrip('_')} among the data")
        if id(value) not in seen:
            seen.add(id(value))
            waiting.extend(inside)
    return root


def _import(name: str) -> InputError:
    """Return `name` as pickles write it: the module, a blank, the name in it."""
    return InputError(
        f"it would import {_short(name.replace(' ', '.', 1), quoted=False)}; data need nothing but "
        "NumPy's arrays and numbers, and nothing of it was run"
    )


def _short(value: Any, quoted: bool = True) -> str:
    """Return A value of a file in a message: printable, on one line, and never long or deep."""
    if isinstance(value, _Global):
        return value.name.lower()
    if isinstance(value, str | int | float | None):
        text = ascii(value)
        text = text if quoted else text[1:-1]
    elif isinstance(value, tuple) and all(isinstance(n, str | int | None) for n in value[:10]):
        text = ascii(value[:10])
    else:
        return type(value).__name__
    return text if len(text) <= 100 else text[:100] + "…"
