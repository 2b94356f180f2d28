"""How well a target follows from a single input by a linear model: the floor under every score.

`inputs_of` makes of a table what a linear model can read of each input, some closed forms that no
line would find included; `Linear` fits it. An input from which a target follows that way leaks
the target.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from qc_jax import canvas
from qc_jax.canvas import FEATURES, coefficients
from qc_jax.canvas.orbitals import FORMS
from qc_jax.chem.elements import MAX_ATOMIC_NUMBER
from qc_jax.data.scaling import decide
from qc_jax.data.table import PairTable
from qc_jax.data.targets import leaking_inputs
from qc_jax.errors import InputError

# Of the training median's error, what an input may leave that is said to leak the target.
LEAKED = 0.01

# Ridge penalties, as parts of the largest eigenvalue; the validation rows choose.
_PENALTIES = np.concatenate([[1e-14], np.logspace(-10, 0, 21)])


def inputs_of(table: PairTable) -> dict[str, np.ndarray]:
    """What is read of each input, [N, K] by its name; a row that does not have it is NaN.

    * atomic_numbers: how often each element is in the pair, and which atom it is: a constant an
      element, and another one with the atoms' order.
    * positions: powers of the bond length, from −1 to 4.
    * atomic_numbers+positions: both, and the powers from −1 to 2 for each element: a pair
      potential.
    * canvas: the canvas's numbers, and the size of the dipole with the sign of the charges.
    * densities: the numbers that they are drawn from, of tables that have them: bond length with
      its powers, charges and their sizes, the charges times the bond length, coefficients of all
      densities, and how far those of HOMO and LUMO are apart.
    * populations: all of them, and how far each atom's sum is from a whole number.
    * charges: both, and their sizes, difference and the larger one.
    * dipole: the vector and its size.
    """
    count = np.eye(MAX_ATOMIC_NUMBER + 1)[table.atomic_numbers]  # [N, 2, Z]
    elements = np.concatenate([count.sum(axis=1), count[:, 0] - count[:, 1]], axis=1)
    distance = np.linalg.norm(table.positions[:, 1] - table.positions[:, 0], axis=1)
    powers = distance[:, None] ** np.array([-1.0, 1, 2, 3, 4])
    by_element = [count.sum(axis=1) * power[:, None] for power in powers.T[:3]]
    drawn = canvas.features(table).astype(np.float64)
    column = {feature.name: drawn[:, place] for place, feature in enumerate(FEATURES)}
    charge = [column[f"charge_plus_{atom}"] - column[f"charge_minus_{atom}"] for atom in (0, 1)]
    signed = column["dipole"] * np.sign(charge[0] - charge[1])
    electrons = table.populations.sum(axis=2)
    rest = electrons - np.round(electrons)
    q, q_size = table.charges, np.abs(table.charges)
    more = [np.abs(q[:, 0] - q[:, 1]), q_size.max(axis=1)]
    found = {
        "atomic_numbers": elements,
        "positions": powers,
        "atomic_numbers+positions": np.concatenate([elements, powers, *by_element], axis=1),
        "canvas": np.column_stack([drawn, signed]),
        "populations": np.column_stack(
            [table.populations.reshape(len(table), -1), rest, np.abs(rest)]
        ),
        "charges": np.column_stack([q, q_size, *more]),
        "dipole": np.column_stack([table.dipole, np.linalg.norm(table.dipole, axis=1)]),
    }
    if coefficients.available(table):
        found["densities"] = _of_densities(coefficients.fields(coefficients.of_table(table)))
    return found


def _of_densities(drawn: Mapping[str, np.ndarray]) -> np.ndarray:
    length, charges = drawn["distance"][:, None], drawn["charges"]
    forms, moment = drawn["forms"], drawn["charges"] * length
    homo, lumo = (forms[:, FORMS.index(name)] for name in ("homo", "lumo"))
    apart = np.abs(homo - lumo).max(axis=1)
    return np.column_stack(
        [
            length ** np.array([-1.0, 1, 2, 3, 4]),
            *(charges, np.abs(charges), np.abs(charges).max(axis=1), moment, np.abs(moment)),
            *(forms.reshape(len(forms), -1), apart, apart > 1e-6),
        ]
    )


def declared(target: str, source: str) -> tuple[str, ...]:
    """Which parts of an input, a key of `inputs_of`, are known to leak the target."""
    return leaking_inputs(target, source.split("+"))


class Floor(NamedTuple):
    """What a linear model makes of one input.

    Attributes:
      predicted: [M] of the test rows, in the target's unit.
      parameters: how many it has.
      description: what the validation rows chose.
    """

    predicted: np.ndarray
    parameters: int
    description: str


class Linear:
    """Linear models of one input: least squares with a penalty on the squares of the coefficients.

    The coefficients are those of inputs with a deviation of one (A. E. Hoerl, R. W. Kennard,
    Technometrics 12, 55, 1970). Made once for all targets that have these rows.

    Args:
      inputs: 'train', 'validation' and 'test', [N, K] each, finite.

    Raises:
      InputError: a part is empty.
    """

    def __init__(self, inputs: Mapping[str, np.ndarray]):
        for part in ("train", "validation", "test"):
            if not len(inputs[part]):
                raise InputError(f"no {part} row has this input")
        mean, deviation = inputs["train"].mean(axis=0), inputs["train"].std(axis=0)
        varies = deviation > 1e-12 * np.maximum(1.0, np.abs(mean))
        scaled = {
            part: (values[:, varies] - mean[varies]) / deviation[varies]
            for part, values in inputs.items()
        }
        self._left, self._sizes, self._right = np.linalg.svd(scaled["train"], full_matrices=False)
        self._validation, self._test = scaled["validation"], scaled["test"]
        self._parameters = int(varies.sum()) + 1

    def score(self, train: np.ndarray, validation: np.ndarray, of_class: bool = False) -> Floor:
        """Fits labels and predicts the test rows.

        Of the median of the labels, linear models of the labels and, where all training labels are
        positive, linear models of their logarithms, that with the smallest mean absolute error on
        the validation rows is taken; of classes the error is that of the likelier one.

        Args:
          train: [N] labels of the training rows, in the target's unit.
          validation: [V] of the validation rows.
          of_class: whether the labels are classes, 0 or 1.
        """
        judged = decide if of_class else np.asarray
        median = float(np.median(train))
        best = float(np.abs(validation - median).mean())
        found = Floor(np.full(len(self._test), median), 1, "the median")
        for scale, to, back in (("labels", np.array, np.array), ("logarithms", np.log, np.exp)):
            if scale == "logarithms" and train.min() <= 0:
                continue
            known = to(train)
            centre, largest = known.mean(), max(self._sizes.max(initial=0.0), 1e-300)
            projected = self._left.T @ (known - centre)
            for penalty in _PENALTIES:
                weights = self._sizes / (self._sizes**2 + penalty * largest**2)
                coefficients = self._right.T @ (weights * projected)
                with np.errstate(over="ignore"):  # an exponential that is too large loses
                    chosen = back(self._validation @ coefficients + centre)
                    error = float(np.abs(judged(chosen) - validation).mean())
                    if error < best:
                        predicted = back(self._test @ coefficients + centre)
                        what = f"linear in the {scale}, penalty {penalty:.0e}"
                        best, found = error, Floor(predicted, self._parameters, what)
        return found
