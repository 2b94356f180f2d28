"""Pickles of plain data are read as pickle reads them; every other pickle is refused, unrun."""

import copyreg
import importlib
import io
import os
import pickle
import pickletools
import random
import struct
import subprocess
import tracemalloc

import numpy as np
import pytest

from qc_jax.engines.published.unpickle import loads
from qc_jax.errors import InputError

MANY = 10_000

PLAIN = [
    None,
    [True, False, 0, 255, 256, 65536, -1, 2**40, -(2**62), 1.5, float("inf"), "", "Ag_Al", "é"],
    {"a": {}, "b": [[], [1]], "c": (), "d": (1,), "e": (1, 2), "f": (1, 2, 3), "g": (1, 2, 3, 4)},
    ["x" * 300, "y" * 70_000],
    [f"name {i}" for i in range(1500)],  # more than 256 memo entries, more than 1000 at a time
    {f"name {i}": float(i) for i in range(1500)},
    np.float64(1.25),
    np.array([{"e_g_ev": 1.0, "e_lumo_ev": None, "guess": "AgAl"}, {}], dtype=object),
    np.array([{"bond_length": np.float64(2.5), "dipole_moment": (0.0, 0.0, 1.0)}] * 3),
    [np.int32(-5), np.uint8(200), np.bool_(True), np.str_("Ag"), np.float32(0.1), np.float16(2)],
    np.arange(6, dtype=">i4").reshape(2, 3),
    np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    np.array([["Ag", "Al"], ["H", "H"]]),
    np.array(2.5),
    np.zeros((0, 3)),
    [np.zeros(2), np.zeros(2)],
]


def same(one, other):
    if isinstance(one, np.ndarray) and one.dtype == object:
        assert one.dtype == other.dtype and one.shape == other.shape
        return all(same(a, b) for a, b in zip(one.flat, other.flat, strict=True))
    if isinstance(one, np.ndarray | np.generic):
        np.testing.assert_array_equal(one, other)
        return one.dtype == other.dtype and one.shape == other.shape
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other and type(one) is type(other)


@pytest.mark.parametrize("protocol", [3, 4, 5])
@pytest.mark.parametrize("value", PLAIN, ids=range(len(PLAIN)))
def test_plain_data_are_read_as_pickle_reads_them(value, protocol):
    data = pickle.dumps(value, protocol)
    assert same(loads(data, MANY), pickle.loads(data))


def test_one_object_twice_is_one_object():
    inner = [1]
    first, second = loads(pickle.dumps([inner, inner]), MANY)
    assert first is second


class Call:
    """Unpickling this calls a function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def malicious(mark: str) -> dict[str, tuple[object, str]]:
    """Objects whose unpickling would write the file `mark`, and the global that each names."""
    code = f"open({mark!r}, 'w').close()"
    touch = f"touch {mark}"
    return {
        "os.system": (Call(os.system, touch), "posix.system"),
        "eval": (Call(eval, code), "builtins.eval"),
        "exec": (Call(exec, code), "builtins.exec"),
        "open": (Call(open, mark, "w"), "open"),
        "Popen": (Call(subprocess.Popen, ["touch", mark]), "subprocess.Popen"),
        "popen": (Call(os.popen, touch), "os.popen"),
        "a reduce that imports": (Call(__import__, "antigravity"), "builtins.__import__"),
        "importlib": (Call(importlib.import_module, "this"), "importlib.import_module"),
        "getattr": (Call(getattr, os, "system"), "builtins.getattr"),
        "nested calls": (Call(getattr, Call(eval, code), "x"), "builtins.getattr"),
        "a call of a call": (Call(map, eval, [code]), "builtins.map"),
    }


KINDS = list(malicious(""))


def dump(value, protocol) -> bytes:
    """A pickle, also of a module (the name alone is what matters)."""
    buffer = io.BytesIO()
    pickler = pickle.Pickler(buffer, protocol)
    pickler.dispatch_table = copyreg.dispatch_table | {
        type(os): lambda module: (importlib.import_module, (module.__name__,))
    }
    pickler.dump(value)
    return buffer.getvalue()


@pytest.mark.parametrize("protocol", [3, 4, 5])
@pytest.mark.parametrize("kind", KINDS)
def test_a_global_is_named_and_nothing_runs(kind, protocol, tmp_path):
    mark = tmp_path / "mark"
    evil, name = malicious(str(mark))[kind]
    for value in (
        evil,
        [evil],
        {"labels": [1, {"inner": [evil]}]},
        np.array([{"e_g_ev": 1.0}, {"e_g_ev": evil}]),
        np.array([{}, [{"x": (1, evil)}]], dtype=object),
    ):
        with pytest.raises(InputError, match=rf"would import \S*{name}; .*nothing of it was run"):
            loads(dump(value, protocol), MANY)
    assert not mark.exists()


@pytest.mark.parametrize("protocol", [0, 1, 2])
def test_older_protocols_are_refused_before_they_run(protocol, tmp_path):
    mark = tmp_path / "mark"
    with pytest.raises(InputError, match=r"would import (posix\.system|copy_reg)|opcode"):
        loads(pickle.dumps(Call(os.system, f"touch {mark}"), protocol), MANY)
    assert not mark.exists()


@pytest.mark.parametrize("kind", ["os.system", "eval", "exec", "open"])
def test_the_same_pickles_run_under_pickle(kind, tmp_path):
    """What the tests above refuse is a real danger: unrestricted, it writes the file."""
    mark = tmp_path / "mark"
    evil, _ = malicious(str(mark))[kind]
    pickle.loads(pickle.dumps(np.array([{"e_g_ev": evil}])))
    assert mark.exists()


def call(module: str, name: str, arguments: bytes, opcode: bytes = b"R") -> bytes:
    """A pickle that calls module.name; `arguments` are opcodes that leave a tuple."""
    return b"\x80\x04c" + f"{module}\n{name}\n".encode() + arguments + opcode + b"."


HUGE = pickle.dumps(10**12, 2)[2:-1]  # the opcodes that push it


@pytest.mark.parametrize(
    ("data", "message"),
    [
        # Opcodes that call or import in other ways.
        (b"(Vtouch mark\nios\nsystem\n.", "opcode UNICODE"),
        (b"(ios\nsystem\n.", "would import os.system"),
        (b"(\x8c\x04markios\nsystem\n.", "would import os.system"),
        (b"\x80\x04(cos\nsystem\n\x8c\x04marko.", "would import os.system"),
        (call("numpy", "ndarray", b"(" + HUGE + b"\x85t", b"\x81"), "opcode NEWOBJ"),
        (call("numpy", "ndarray", b"(" + HUGE + b"\x85t}", b"\x92"), "opcode NEWOBJ_EX"),
        (call("numpy", "ndarray", b"(" + HUGE + b"\x85t"), "a call of ndarray"),
        (call("numpy", "zeros", b"(" + HUGE + b"\x85t"), "would import numpy.zeros"),
        (call("numpy.core.multiarray", "empty", HUGE + b"\x85"), "would import numpy.core.multi"),
        (b"Pname\n.", "opcode PERSID"),
        (b"\x80\x04\x8c\x04nameQ.", "opcode BINPERSID"),
        (b"\x80\x02\x82\x01.", "opcode EXT1"),
        (b"\x80\x02\x83\x01\x00.", "opcode EXT2"),
        (b"\x80\x02\x84\x01\x00\x00\x00.", "opcode EXT4"),
        (b"\x80\x05\x97.", "opcode NEXT_BUFFER"),
        (b"\x80\x04\x8f(K\x01\x90.", "opcode EMPTY_SET"),
        (b"\x80\x04N2.", "opcode DUP"),
        (b"\x80\x04NN0.", "opcode POP"),
        # Calls that make no sense.
        (b"\x80\x04NN\x85R.", "a call of None"),
        (b"\x80\x04\x8c\x04evalN\x85R.", "a call of 'eval'"),
        (b"\x80\x04cnumpy\nndarray\n}R.", "a call without arguments"),
        (b"\x80\x04]}b.", "a state of type dict"),
        (b"\x80\x04})b.", "a state for an object of type dict"),
        (b"\x80\x04cnumpy\nndarray\n)b.", "a state for an object of type _Global"),
        (b"\x80\x04cnumpy\nndarray\n.", "a value of type Global among the data"),
        (b"\x80\x04]\x8c\x01x\x8c\x01y\x93a.", r"would import x\.y"),
        (b"\x80\x04K\x01K\x02\x93.", "no text"),
        # What is no data, or no pickle.
        (b"\x80\x04C\x01xa.", "cut short or damaged|no list"),
        (b"\x80\x04C\x01x.", "a value of type bytes among the data"),
        (b"\x80\x04]C\x01xa.", "a value of type bytes among the data"),
        (b"\x80\x05\x96\x01" + b"\x00" * 7 + b"x.", "a value of type bytearray"),
        (b"\x80\x04}K\x01K\x02s.", "a key of type int, expected text"),
        (b"\x80\x04}))s.", "a key of type tuple"),
        (b"\x80\x04]K\x01K\x02s.", "what is no dict"),
        (b"\x80\x04}(\x8c\x01xu.", "what is no dict"),
        (b"\x80\x04}K\x01a.", "what is no list"),
        (b"\x80\x04N.N.", "6 bytes, of which the pickle is 4"),
        (b"\x80\x04NN.", "cut short or damaged"),
        (b"\x80\x04(N.", "ends within a list"),
        (b"\x80\x04K\x01\x86.", "a tuple of more than there is"),
        (b"\x80\x04h\x05.", "cut short or damaged"),
        (b"\x80\x04t.", "cut short or damaged"),
        (b"\x80\x04\x94.", "cut short or damaged"),
        (b"\x80\x04.", "cut short or damaged"),
        (b"", "cut short or damaged"),
        (b"hello", "cut short or damaged"),
        (b"\x80\x04cnumpy\n\xff\n.", "cut short or damaged"),
    ],
    ids=lambda value: None if isinstance(value, bytes) else value[:30],
)
def test_every_other_program_is_one_clear_error(data, message):
    with pytest.raises(InputError, match=message) as caught:
        loads(data, MANY)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


def test_the_extension_registry_is_not_asked(tmp_path):
    """Also where another library has registered a code, and pickle has kept what it stands for."""
    copyreg.add_extension("posix", "system", 240)
    try:
        data = pickle.dumps(os.system, 4)
        assert "EXT1" in [opcode.name for opcode, _, _ in pickletools.genops(data)]
        assert pickle.loads(data) is os.system
        with pytest.raises(InputError, match="opcode EXT1"):
            loads(data, MANY)
    finally:
        copyreg.remove_extension("posix", "system", 240)
        copyreg.clear_extension_cache()


def array_state(shape: tuple, dtype: str, data) -> bytes:
    """The pickle of an array whose state says this, in the opcodes that pickle would use."""

    class Lie:
        def __reduce__(self):
            state = (1, shape, np.dtype(dtype), False, data)
            return np.zeros(0).__reduce__()[0], (np.ndarray, (0,), b"b"), state

    return pickle.dumps(Lie(), 4)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (array_state((10**12,), "f8", b""), "shape .1000000000000,. made of 0 bytes"),
        (array_state((10**6, 10**6), "f8", b"12345678"), "made of 8 bytes"),
        (array_state((10**12,), "O", []), "made of 0 bytes or objects"),
        (array_state((-1,), "f8", b""), "shape .-1,. made of"),
        (array_state((2.0,), "f8", b"1" * 16), "made of 16 bytes"),
        (array_state((1,) * 40, "f8", b"12345678"), "made of 8 bytes"),
        (array_state(2, "f8", b"1" * 16), "made of 16 bytes"),
        (array_state((1,), "f8", [1.0]), "an array of float64 made of list"),
        (array_state((1,), "O", b"12345678"), "an array of object made of bytes"),
        (array_state((1,), "M8[s]", b"12345678"), "NumPy type 'M8'"),
        (array_state((1,), "V8", b"12345678"), "NumPy type 'V8'"),
        (array_state((1,), "S8", b"12345678"), "NumPy type 'S8'"),
        (array_state((1,), "c16", b"1" * 16), "NumPy type 'c16'"),
        (pickle.dumps(np.zeros(1, dtype=[("a", "O")])), "NumPy type 'V8'"),
        (pickle.dumps(np.zeros(1, dtype="f4,O")), "NumPy type 'V12'"),
        (pickle.dumps(np.ma.zeros(2)), r"would import numpy\.ma"),
        (pickle.dumps(np.array([1j], dtype=object)), "would import builtins.complex"),
        (pickle.dumps({1, 2}, 4), "opcode EMPTY_SET"),
        (pickle.dumps([b"bytes"]), "a value of type bytes"),
        (pickle.dumps(np.dtype("f8")), "a value of type Dtype"),
    ],
    ids=lambda value: None if isinstance(value, bytes) else value[:40],
)
def test_arrays_and_numbers_of_other_kinds(data, message):
    with pytest.raises(InputError, match=message):
        loads(data, MANY)


def scalar(dtype: str, data: bytes) -> bytes:
    class Lie:
        def __reduce__(self):
            return np.float64(0).__reduce__()[0], (np.dtype(dtype), data)

    return pickle.dumps(Lie(), 4)


def test_a_scalar_has_the_bytes_of_its_type():
    assert loads(scalar("f8", struct.pack("<d", 2.5)), MANY) == 2.5
    for dtype, data in (("f8", b"1234567"), ("f8", b"123456789"), ("f8", b""), ("U5", b"1" * 19)):
        with pytest.raises(InputError, match="made of"):
            loads(scalar(dtype, data), MANY)
    with pytest.raises(InputError, match="another type than numbers or text"):
        loads(scalar("O", b"12345678"), MANY)  # a pointer, were it believed


def test_an_array_is_filled_once():
    program = (
        b"\x80\x04cnumpy._core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85C\x01btR"
        b"(K\x01K\x01\x85cnumpy\ndtype\n(\x8c\x02i2\x89\x88tR(K\x03\x8c\x01<NNNJ\xff\xff\xff\xff"
        b"J\xff\xff\xff\xffK\x00tb\x94\x89C\x02\x01\x00tb"
    )
    assert loads(program + b".", MANY).tolist() == [1]
    with pytest.raises(InputError, match="filled twice"):
        loads(program + b"(K\x01K\x01\x85h\x00\x89C\x02\x02\x00tb.", MANY)


def peak(data: bytes, most_opcodes: int = MANY) -> int:
    """Bytes that reading takes at most, also where it refuses."""
    tracemalloc.start()
    try:
        loads(data, most_opcodes)
    except InputError:
        pass
    finally:
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    return most


@pytest.mark.parametrize(
    "data",
    [
        b"\x80\x04Nr" + struct.pack("<I", 2**31) + b".",  # pickle takes 16 GB for this
        b"\x80\x04\x8d" + struct.pack("<Q", 2**40) + b"x.",  # a text of 1 TB, it says
        b"\x80\x05\x96" + struct.pack("<Q", 2**40) + b"x.",
        b"\x80\x04\x95" + struct.pack("<Q", 2**60) + b"N.",
        b"\x80\x04\x8b" + struct.pack("<i", 2**31 - 1) + b"1.",
        array_state((10**12,), "f8", b""),
        b"\x80\x04" + b"}" * 10**6 + b".",
        b"\x80\x04" + b"(" * 10**6 + b".",
        b"\x80\x04N" + b"\x94" * 10**6 + b".",
    ],
    ids=range(9),
)
def test_memory_is_bounded_by_the_opcodes(data):
    assert peak(data) < 4e6 + len(data) * 2


def test_too_long_a_program_is_stopped():
    data = pickle.dumps([1.5] * 50)
    assert loads(data, 200) == [1.5] * 50
    with pytest.raises(InputError, match="more than 20 opcodes"):
        loads(data, 20)


@pytest.mark.parametrize(
    "program",
    [
        b")" + b"\x85" * 100_000,  # (((…)))
        b"]" * 100_000 + b"a" * 99_999,  # [[[…]]]
        b"}" + b"\x8c\x01x}" * 100_000 + b"s" * 100_000,
        b"}" + b")" + b"\x85" * 100_000 + b"Ns",  # a deep tuple as key: its hash would overrun
        b"]\x94h\x00a",  # a list that holds itself
    ],
    ids=range(5),
)
def test_depth_and_loops_end(program):
    """With a value or an error, not with an overrun stack."""
    try:
        loads(b"\x80\x04" + program + b".", 10**6)
    except InputError as error:
        assert len(str(error)) < 400


def test_laughs_by_the_billion_are_one_each():
    """Lists of one list of one list …: few objects, astronomically many ways to them."""
    program = b"]\x94" + b"".join(
        b"](" + b"h" + bytes([depth]) + b"h" + bytes([depth]) + b"e\x94" for depth in range(100)
    )
    # Every list but the last stays below on the stack: gather all.
    value = loads(b"\x80\x04(" + program + b"t.", 10**4)
    assert len(value) == 101 and value[-1][0] is value[-1][1] is value[-2]


def test_every_cut_is_one_clear_error():
    data = pickle.dumps(PLAIN[7], 4)
    for length in range(len(data)):
        with pytest.raises(InputError):
            loads(data[:length], MANY)


def test_damaged_bytes_give_plain_data_or_one_clear_error():
    """Of 4,000 damaged pickles none raises anything else, and none takes long."""
    whole = pickle.dumps(np.array([{"a": np.float64(2), "b": (1.0, 2.0)}, {"c": "x"}]), 4)
    generator = random.Random(0)
    refused = 0
    for _ in range(4000):
        damaged = bytearray(whole)
        for _ in range(generator.randint(1, 4)):
            damaged[generator.randrange(len(damaged))] = generator.randrange(256)
        try:
            loads(bytes(damaged), MANY)
        except InputError:
            refused += 1
    assert 1000 < refused < 4000
