"""TrainConfig of a training, with the published defaults."""

import dataclasses
import math
import numbers
from typing import Any

from qc_jax.errors import InputError, choose

# What JAX is to do in matrix products; its own default would round on GPUs and TPUs.
PRODUCTS = {"float32": "float32", "tf32": "tensorfloat32", "bfloat16": "float32"}

_KINDS: dict[Any, tuple[type, str]] = {
    str: (str, "text"),
    int: (numbers.Integral, "a whole number"),
    float: (numbers.Real, "a number"),
}


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """How a model is trained; the defaults are the published benchmark's.

    Attributes:
      batch_size: rows a step, over all devices.
      epochs: at most.
      lr: learning rate of Adam, at the start.
      optimizer: 'adam'; or 'adamw' (I. Loshchilov, F. Hutter, arXiv 1711.05101), whose weight decay
        is no part of the gradients that it adapts to.
      weight_decay: L2 term added to the gradients, as in PyTorch's Adam; of 'adamw' the part of
        each weight that a step takes off, times the learning rate.
      embedding_noise: standard deviation of the Gaussian noise that training adds to each atom's
        embedding of its element, drawn anew for every atom in every step; 0 adds none.
      average_decay: of an exponential moving average of the weights, which is then what is
        validated, kept and scored (B. T. Polyak, A. B. Juditsky, SIAM J. Control Optim. 30, 838,
        1992); 0.999 remembers a thousand steps; 0 averages none.
      grad_clip_norm: largest global gradient norm; 0 clips nothing.
      augment: what is done to pairs by chance while training, 'exchange,reflect,rotate' or some of
        them, as `qc_jax.canvas.images.augment` says; '' does nothing.
      loss: 'mae' or 'mse', on scaled labels, mean over rows and targets; that of a class is its
        cross-entropy, whatever this says.
      schedule: 'reduce_on_plateau' (by the validation loss) or 'cosine' (to zero at the last
        epoch). With the published patience the plateau never acts before the early stop.
      plateau_factor: of the learning rate when the validation loss stalls.
      plateau_patience: epochs without improvement that the plateau bears.
      min_lr: the plateau goes no lower.
      early_stopping_patience: epochs without a better validation loss before the training ends.
      init: how weights start that a model leaves to its library: 'flax', or 'torch', as the
        networks of the published benchmark do.
      keep: the weights that a training ends with: 'best', by the validation loss; or 'last', which
        the published code keeps as its best.
      seed: of split, initial weights, batch order and dropout.
      checkpoint_every: epochs between checkpoints.
      checkpoint_minutes: and minutes, whichever is over first; 0 counts epochs only.
      precision: of the arithmetic: 'float32'; 'tf32', whose matrix products round their factors to
        ten bits on devices that can; or 'bfloat16', whose forward and backward passes are in
        bfloat16 (positions and canvases, too) while the weights, what Adam remembers of them, batch
        norm's averages and the loss stay in float32. Validation and scores are in float32 always.
      force_weight: of the error of the forces beside that of the energies, both on the scale of the
        labels: per Å the forces are −∂/∂positions of the one output, which is an energy in eV; 0
        learns no forces.
      virial_weight: likewise of the error of the virials, stress times volume, an atom; 0 learns
        none.
      layer_lr: factors of the learning rate of some layers, 'elements=0,interaction_*=0.1': a
        pattern of the path of weights, or of where it begins; of several that fit the last counts,
        and 0 freezes. '' is the same rate for all.
      parallel: what several devices share: 'data' (each batch), 'replicas' (the trainings of a
        sweep), or 'auto', which is the latter where there is a sweep (of a program of one training
        where devices do not divide its batches).

    Raises:
      InputError: a value out of range.

    Example:
      >>> TrainConfig(epochs=5).batch_size
      64
    """

    batch_size: int = 64
    epochs: int = 50
    lr: float = 1e-3
    optimizer: str = "adam"
    weight_decay: float = 0.0
    embedding_noise: float = 0.0
    average_decay: float = 0.0
    grad_clip_norm: float = 0.0
    augment: str = ""
    loss: str = "mae"
    schedule: str = "reduce_on_plateau"
    plateau_factor: float = 0.8
    plateau_patience: int = 10
    min_lr: float = 1e-6
    early_stopping_patience: int = 10
    init: str = "flax"
    keep: str = "best"
    seed: int = 42
    checkpoint_every: int = 5
    checkpoint_minutes: float = 0.0
    precision: str = "float32"
    force_weight: float = 0.0
    virial_weight: float = 0.0
    layer_lr: str = ""
    parallel: str = "auto"

    def __post_init__(self):
        for field in dataclasses.fields(self):
            value, (kind, what) = getattr(self, field.name), _KINDS[field.type]
            if isinstance(value, bool) or not isinstance(value, kind):
                raise InputError(f"{field.name}: expected {what}, got {value!r:.60}")
        choose("loss", self.loss, ("mae", "mse"))
        choose("optimizer", self.optimizer, ("adam", "adamw"))
        choose("init", self.init, ("flax", "torch"))
        choose("keep", self.keep, ("best", "last"))
        choose("precision", self.precision, tuple(PRODUCTS))
        choose("parallel", self.parallel, ("auto", "data", "replicas"))
        choose("schedule", self.schedule, ("reduce_on_plateau", "cosine"))
        for name in ("batch_size", "epochs", "early_stopping_patience", "checkpoint_every"):
            if getattr(self, name) < 1:
                raise InputError(f"{name}: expected at least 1, got {getattr(self, name)}")
        for name in (
            *("weight_decay", "grad_clip_norm", "plateau_patience", "checkpoint_minutes"),
            *("force_weight", "virial_weight", "embedding_noise"),
        ):
            if not getattr(self, name) >= 0:
                raise InputError(f"{name}: expected at least 0, got {getattr(self, name)}")
        if not self.lr > 0:
            raise InputError(f"lr: expected above 0, got {self.lr}")
        if not 0 <= self.average_decay < 1:
            raise InputError(f"average_decay: expected 0 to below 1, got {self.average_decay}")
        if not 0 < self.plateau_factor < 1:
            raise InputError(f"plateau_factor: expected between 0 and 1, got {self.plateau_factor}")
        if not 0 <= self.min_lr <= self.lr:
            raise InputError(f"min_lr: expected 0 to lr ({self.lr}), got {self.min_lr}")
        if not 0 <= self.seed < 2**32:
            raise InputError(f"seed: expected 0 to 2**32 - 1, got {self.seed}")
        self.layer_factors()

    def layer_factors(self) -> tuple[tuple[str, float], ...]:
        """Return `layer_lr` as patterns and factors.

        Raises:
          InputError: it is not of this form.
        """
        found = []
        for word in filter(None, self.layer_lr.split(",")):
            pattern, _, text = word.partition("=")
            try:
                factor = float(text)
            except ValueError:
                factor = math.nan
            if not pattern or not 0 <= factor < math.inf:
                raise InputError(
                    f"layer_lr: expected LAYER=FACTOR with commas between, like 'elements=0', got "
                    f"{word!r}"
                )
            found.append((pattern, factor))
        return tuple(found)


PUBLISHED = TrainConfig()
