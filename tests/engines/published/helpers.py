"""The fixture that NumPy 1 wrote, and files made of it with one thing changed."""

import pathlib
from collections.abc import Callable

import numpy as np

from qc_jax.data.table import PairTable
from qc_jax.engines import published

FIXTURE = pathlib.Path(__file__).parents[2] / "fixtures" / "published_numpy1.npz"
C_O, H_H, AG_AL, O_TI = range(4)  # its rows

Arrays = dict[str, np.ndarray]


def arrays() -> Arrays:
    """What NumPy makes of the fixture; everything in it may be changed."""
    with np.load(FIXTURE, allow_pickle=True) as file:
        return {name: file[name] for name in file.files}


def read(folder: pathlib.Path, content: Arrays) -> PairTable:
    """The table of a file some.npz with these arrays."""
    np.savez_compressed(folder / "some.npz", **content)
    return published.read(folder / "some.npz")


def label(row: int, name: str, value: object) -> Callable[[Arrays], None]:
    """A change of one label."""
    return lambda content: content["labels"][row].update({name: value})


def meta(row: int, name: str, value: object) -> Callable[[Arrays], None]:
    """A change of one field of the metadata."""
    return lambda content: content["metadata"][row].update({name: value})
