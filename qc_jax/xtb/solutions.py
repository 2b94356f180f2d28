"""Self-consistent solutions of GFN2-xTB by `tblite`, one calculation at a time."""

import dataclasses
import importlib
import io
import os
import tempfile
import zipfile
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from qc_jax.chem import units
from qc_jax.errors import InputError
from qc_jax.threads import one_thread

if TYPE_CHECKING:
    from tblite.interface import Calculator, Result

METHOD = "GFN2-xTB"
# Broyden mixers (memory, damping), tried in this order. tblite's own choice, an unlimited memory,
# is slow and fails in many pairs of metals; no short memory suits all, but among these nearly
# every pair finds one.
MIXERS = ((4, 0.2), (3, 0.1), (2, 0.2), (6, 0.2), (2, 0.05), (8, 0.4), (3, 0.4), (12, 0.1))
GUESSES = (0, 1)  # tblite's: superposed atoms, electronegativity equilibration


@dataclasses.dataclass(frozen=True)
class XTBConfig:
    """What decides the numbers, besides `search.SearchConfig` and the gates.

    Attributes:
      temperature_k: of the electrons.
      max_iterations: of one self-consistent calculation with one mixer.
      scan_accuracy: tblite's accuracy while the search looks around; 1 is its default.
      final_accuracy: where a minimum is refined and reported.
    """

    temperature_k: float = 1000.0
    max_iterations: int = 100
    scan_accuracy: float = 0.1
    final_accuracy: float = 1e-3

    @property
    def kt(self) -> float:
        """Return Hartree."""
        return self.temperature_k * units.KELVIN_HARTREE


def require(what: str = "") -> None:
    """Load tblite.

    Args:
      what: begins the message, where it is needed for more than the method itself.

    Raises:
      InputError: it is not installed.
    """
    try:
        with one_thread():
            importlib.import_module("tblite.interface")
    except ImportError as error:
        raise InputError(
            f"{what}{METHOD} cannot be had ({error}); try: pip install 'qc-jax[engines]'"
        ) from error


def new_calculator(numbers: list[int], config: XTBConfig, logger=None) -> "Calculator":
    """Return a silent calculator of atoms along z; `update` places them.

    Args:
      numbers: atomic numbers.
      config: temperature and limits.
      logger: is given each line of what tblite says.

    Raises:
      InputError: tblite is not installed.
    """
    apart = np.arange(len(numbers))[:, None] * np.array([[0.0, 0.0, 10.0]])
    require()
    from tblite.interface import Calculator

    made = Calculator(
        METHOD, np.array(numbers), apart, color=False, logger=logger or (lambda line: None)
    )
    made.set("verbosity", 0)
    made.set("temperature", config.kt)
    made.set("max-iter", config.max_iterations)
    return made


def single_point(calculator: "Calculator", mixer: int, guess: "Result | None") -> "Result | None":
    """Return the solution by one of `MIXERS`, started from another or not; None without one."""
    from tblite.exceptions import TBLiteRuntimeError

    memory, damping = MIXERS[mixer]
    calculator.set("mixer-memory", memory)
    calculator.set("mixer-damping", damping)
    try:
        # The copy keeps the guess as it is; a calculation that fails may leave anything in it.
        return calculator.singlepoint(guess, copy=guess is not None)
    except TBLiteRuntimeError:
        return None


def all_solutions(calculator: "Calculator") -> Iterator["Result"]:
    """Yield the solutions from every one of `GUESSES` by every mixer, in a fixed order."""
    for guess in GUESSES:
        calculator.set("guess", guess)
        for mixer in range(len(MIXERS)):
            if (result := single_point(calculator, mixer, None)) is not None:
                yield result


def place(calculator: "Calculator", distance: float) -> None:
    """Move both atoms of a pair so far apart, Å."""
    calculator.update(np.array([[0, 0, 0], [0, 0, distance / units.BOHR_ANG]]))


def with_charges(
    solution: "Result", atoms: Float[np.ndarray, " atoms"], shells: Float[np.ndarray, " shells"]
) -> "Result":
    """Return a guess for `single_point`: a solution with other charges of atoms and shells, e.

    tblite takes a guess from a file alone, an .npz whose arrays are in Fortran's order.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "guess.npz")
        solution.save(path)
        with np.load(path) as kept:
            arrays = dict(kept)
        for name, values in (("qat", atoms), ("qsh", shells)):
            (key,) = (key for key in arrays if key.endswith(f"_{name}"))
            arrays[key] = np.reshape(values, arrays[key].shape)
        with zipfile.ZipFile(path, "w") as archive:
            for name, values in arrays.items():
                text = io.BytesIO()
                header = {"descr": "<f8", "fortran_order": True, "shape": values.shape}
                np.lib.format.write_array_header_1_0(text, header)
                text.write(np.asarray(values, "<f8").tobytes(order="F"))
                archive.writestr(f"{name}.npy", text.getvalue())
        guess = type(solution)()
        guess.load(path)
    return guess
