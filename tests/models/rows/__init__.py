"""One architecture a file, `ROW` in it: what tests/models/test_contract.py holds it to."""

import dataclasses
import importlib
import pkgutil
from typing import Any


@dataclasses.dataclass(frozen=True)
class Row:
    """One line of the table of models.

    Attributes:
      model: what `qc_jax.models.create` calls it.
      small: hyper-parameters of a small size, since compilation is what tests cost.
      molecules: it runs on molecules, not only on pairs.
      cells: where `molecules`: it runs on periodic cells, too.
      images: where `molecules`: an atom's periodic image is as good as the atom.
      swap_invariant: the order of the atoms changes nothing; the canvas, if any, stays as it is.
      twice_differentiable: where it reads positions: forces, and their derivatives, are right.
      smooth: its outputs are a smooth function of weights and inputs; of trees the contract asks
        nothing that needs it, and a file of their own tests them.
      idle: the weights that no output depends on, by design: parts of their path.
      training: settings for overfitting 16 pairs, where those of the test don't do.
      fits: the largest error that the overfitting may leave, of labels between −1 and 1.
      bfloat16: the largest difference in bfloat16, relative to the largest output.
    """

    model: str
    small: dict[str, Any]
    molecules: bool = True
    cells: bool = True
    images: bool = True
    swap_invariant: bool = True
    twice_differentiable: bool = True
    smooth: bool = True
    idle: tuple[str, ...] = ()
    training: dict[str, Any] = dataclasses.field(default_factory=dict)
    fits: float = 0.1
    bfloat16: float = 0.1


def rows() -> dict[str, Row]:
    """Every row by the name of its file."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return {name: importlib.import_module(f"{__name__}.{name}").ROW for name in names}
