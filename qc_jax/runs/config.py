"""The configuration of a run: one typed, checked thing for cards, saved runs and Python.

`RunConfig.from_dict` takes the flat form that cards and config.json have (`epochs` beside `data`),
`RunConfig.to_dict` gives it.
"""

import dataclasses
import functools
import math
import typing
from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from qc_jax import models
from qc_jax.canvas import images
from qc_jax.canvas.images import CANVAS
from qc_jax.data.table import DEFAULT
from qc_jax.data.targets import BENCHMARK_TARGETS, target
from qc_jax.errors import InputError, choose, expect, expect_schema
from qc_jax.runs.model_config import ModelConfig
from qc_jax.train.config import TrainConfig

SCHEMA = 1  # of config.json and run.json; a newer one is refused
# What `config.sweep` can vary.
SWEPT = ("model", "target", "seed", "lr", "weight_decay", "dropout")
# Fields that say nothing of pairs, and those that say nothing of larger structures, with what they
# have to be there.
OF_STRUCTURES = {"neighbor_cutoff": 0.0, "train_rows": 0, "stream": False}
OF_PAIRS = {
    "train_fraction": 1.0,
    "scale_on": "train",
    "scale_by": "range",
    "missing_labels": "drop",
    "curves": "",
    "images": CANVAS,
    "average_symmetries": False,
}
COLLECTION = "collection"  # the split of larger structures, each collection's published own

_ODD = ("dipole_z_d",)  # targets that exchanging the atoms changes

_WORDS = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}


@dataclasses.dataclass(frozen=True)
class SweepConfig:
    """Values with commas between; every combination is one training.

    Attributes:
      model, target, seed, lr, weight_decay, dropout: '' varies nothing; 'all' targets are the
        benchmark's. The model of the configuration has its hyper-parameters, others their defaults.
      stack: Trainings in one program, at most; 0 takes as many as memory holds.
    """

    model: str = ""
    target: str = ""
    seed: str = ""
    lr: str = ""
    weight_decay: str = ""
    dropout: str = ""
    stack: int = 0

    def __post_init__(self):
        if self.stack < 0:
            raise InputError(f"sweep.stack: expected at least 0, got {self.stack}")


@dataclasses.dataclass(frozen=True)
class TransferConfig:
    """What a training takes over from another one; see `qc_jax.train.transfer`.

    Attributes:
      source: The directory of a finished training, or 'scratch'.
      head: 'new' or 'kept': the layers that make outputs of features.
      embeddings: Of the elements, likewise.
      scaling: Of the labels: 'new', fitted on these training rows, or 'kept'.
      lr_scratch: Learning rate of a training that starts from random weights.
      lr_finetune: Of one that starts from those of another.
      weights_sha256: Of the weights that it starts from; '' before they are read.
    """

    source: str = "scratch"
    head: str = "new"
    embeddings: str = "kept"
    scaling: str = "new"
    lr_scratch: float = 1e-4
    lr_finetune: float = 1e-5
    weights_sha256: str = ""

    def __post_init__(self):
        for name in ("head", "embeddings", "scaling"):
            choose(f"transfer.{name}", getattr(self, name), ("kept", "new"))


@dataclasses.dataclass(frozen=True)
class RunConfig:
    """What a run is: data, targets, split, model and training.

    Attributes:
      model: The architecture.
      train: How it is trained.
      data: What `open_data` takes; '' for a table without a name.
      data_dir: Of TFDS; '' is TFDS's own choice.
      target: What is learned.
      targets: Several in one model, 'e_homo_ev,e_lumo_ev', or 'all' of the benchmark; wins over
        `target`.
      split: A name of `qc_jax.data.splits.SPLITS`: 'random' is the published benchmark's,
        'by_period' and others are out of distribution, 'k_fold:1/5' to 'k_fold:5/5' cross-validate;
        of larger structures 'collection'.
      split_seed: Of the split; -1 is the seed of the training.
      train_fraction: Of the training rows, drawn with the seed.
      scale_on: The rows that label scaling is fitted on, 'train'; 'all' is published.
      scale_by: 'range', by which a target's labels are between −1 and 1, is published; 'residual'
        beside one constant an element has several targets weigh by how hard each is.
      missing_labels: 'drop' the rows without some of the targets, as published; 'mask' these labels
        alone.
      curves: A table of the same pairs at other bond lengths, which `generate --curve` makes: what
        it has of the training pairs is learned, too, while scaling, validation and scores are of
        the data alone. '' learns none.
      canvas_size: Pixels along each side of an image.
      images: What models of images see: the published 'canvas'; or 'densities', with some channels
        'densities:density,homo', of the orbitals that the data were made of: ptbp or gfn2_xtb.
      average_symmetries: Predict, validate and score by the mean over the eight symmetries of a
        square image; of densities.
      neighbor_cutoff: Å, of larger structures; 0 is the model's own for crystals, and none for
        molecules: all atoms are neighbours.
      train_rows: The first so many of the training rows of larger structures; 0 is all.
      stream: Leave larger structures on disk.
      image_weights: A file of weights that multimodal's ResNet starts from; '' starts from random
        ones.
      sweep: Several trainings.
      transfer: Of a fine-tuning.
      imported: Where weights were imported from, and how.
      data_fingerprint: Of the data that it was trained on; '' before they are read.
      curves_fingerprint: Likewise of `curves`.
      image_weights_sha256: Likewise of `image_weights`.

    Example:
      >>> config = RunConfig.from_dict({"model": "egnn", "epochs": 5})
      >>> config.train.epochs, config.target_names
      (5, ('e_homo_ev',))
    """

    model: ModelConfig
    train: TrainConfig = dataclasses.field(default_factory=TrainConfig)
    data: str = DEFAULT
    data_dir: str = ""
    target: str = "e_homo_ev"
    targets: str = ""
    split: str = "random"
    split_seed: int = -1
    train_fraction: float = 1.0
    scale_on: str = "train"
    scale_by: str = "range"
    missing_labels: str = "drop"
    curves: str = ""
    canvas_size: int = 32
    images: str = CANVAS
    average_symmetries: bool = False
    neighbor_cutoff: float = 0.0
    train_rows: int = 0
    stream: bool = False
    image_weights: str = ""
    sweep: SweepConfig = SweepConfig()
    transfer: TransferConfig | None = None
    imported: Mapping[str, Any] | None = None
    data_fingerprint: str = ""
    curves_fingerprint: str = ""
    image_weights_sha256: str = ""

    def __post_init__(self):
        expect("model", self.model, ModelConfig, "a ModelConfig")
        expect("train", self.train, TrainConfig, "a TrainConfig")
        choose("scale_on", self.scale_on, ("train", "all"))
        choose("scale_by", self.scale_by, ("range", "residual"))
        choose("missing_labels", self.missing_labels, ("drop", "mask"))
        self._check_images()
        if not 0 < self.train_fraction <= 1:
            raise InputError(f"train_fraction: expected above 0 to 1, got {self.train_fraction}")
        if not 0 <= self.neighbor_cutoff < math.inf:
            raise InputError(f"neighbor_cutoff: expected at least 0 Å, got {self.neighbor_cutoff}")
        if self.train_rows < 0:
            raise InputError(f"train_rows: expected at least 0, got {self.train_rows}")
        if not -1 <= self.split_seed < 2**32:
            raise InputError(f"split_seed: expected -1 to 2**32 - 1, got {self.split_seed}")
        for name in self.target_names:
            target(name)

    def _check_images(self) -> None:
        drawn = images.parse(self.images)
        drawn.check_size(self.canvas_size)
        words = set(images.augmentations(self.train.augment))
        asked = f"augment={self.train.augment}" if words else "average_symmetries"
        turned = words - {"exchange"}
        turns = f"augment={self.train.augment}" if turned else "average_symmetries"
        if drawn.kind == CANVAS and (turned or self.average_symmetries):
            raise InputError(f"{turns}: expected images=densities; a canvas is no picture in space")
        if (turned or self.average_symmetries) and CANVAS not in self.model.create(1).inputs:
            raise InputError(f"{turns}: expected a model that reads images")
        if words and self.train.force_weight:
            raise InputError(f"{asked}: expected a training without forces")
        if self.average_symmetries or words - {"reflect"}:
            for name in set(_ODD) & set(self.target_names):
                raise InputError(f"{asked}: {name} changes its sign with the order of the atoms")
        if drawn.kind == CANVAS:
            return
        given = self.model.hyper_parameters
        usual = models.defaults(self.model.known_as)
        if "channels" in given and tuple(given["channels"]) != usual["channels"]:
            raise InputError(
                f"model.channels are of the canvas; expected images={drawn.kind}:NAME,… to choose "
                f"channels of {drawn.kind}"
            )

    @property
    def inputs(self) -> tuple[str, ...]:
        """Return what the model reads, in the words of `qc_jax.data.targets.INPUTS`."""
        kind = images.parse(self.images).kind
        return tuple(kind if one == CANVAS else one for one in self.architecture().inputs)

    @property
    def seed_of_split(self) -> int:
        """Return the seed that the split is drawn with."""
        return self.train.seed if self.split_seed < 0 else self.split_seed

    @functools.cached_property
    def target_names(self) -> tuple[str, ...]:
        """Return the targets by their names.

        Raises:
          InputError: One is named twice.
        """
        return names_of(self.targets) if self.targets else (self.target,)

    def architecture(self) -> models.Architecture:
        """Return the untrained model, an output a target."""
        return self.model.create(1).for_targets(self.target_names)

    @classmethod
    def from_dict(cls, given: Any) -> "RunConfig":
        """Return the configuration of a card's fields, of config.json, or of a dict of one's own.

        Fields that are left out have their defaults.

        Raises:
          InputError: A field is unknown, or of another type or out of range, or the schema is newer
            than this code.
        """
        if not isinstance(given, Mapping):
            raise InputError(f"expected fields and their values, got {given!r:.60}")
        values = dict(given)
        expect_schema("schema", values.pop("schema", SCHEMA), SCHEMA)
        own = [field.name for field in dataclasses.fields(cls) if field.name != "train"]
        train = [field.name for field in dataclasses.fields(TrainConfig)]
        for key in values:
            choose("field", key, [*own, *train])
        if "model" not in values:
            raise InputError("model: expected its name and hyper-parameters, got none")
        model = ModelConfig.from_dict(values.pop("model"))
        nested: dict[str, Any] = {}
        sweep, transfer = values.pop("sweep", {}), values.pop("transfer", None)
        if isinstance(sweep, Mapping):
            # ml_collections makes a number of '42', and of '42,123' text.
            sweep = {
                key: value if key == "stack" or isinstance(value, str) else _text(value)
                for key, value in sweep.items()
            }
        nested["sweep"] = _build(SweepConfig, sweep, "sweep.")
        if transfer is not None:
            nested["transfer"] = _build(TransferConfig, transfer, "transfer.")
        imported = values.pop("imported", None)
        if not isinstance(imported, Mapping | None):
            raise InputError(f"imported: expected fields and their values, got {imported!r:.60}")
        settings = {key: values.pop(key) for key in train if key in values}
        return cls(
            model=model,
            train=_build(TrainConfig, settings),
            imported=imported,
            **_typed(cls, values),
            **nested,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the flat form that `from_dict` takes; optional parts only where they are."""
        own = {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if field.name not in ("model", "train", "sweep", "transfer", "imported")
        }
        for name in ("data_fingerprint", "curves_fingerprint", "image_weights_sha256"):
            if not own[name]:
                del own[name]
        return {
            "schema": SCHEMA,
            **own,
            **dataclasses.asdict(self.train),
            "model": self.model.to_dict(),
            "sweep": dataclasses.asdict(self.sweep),
            **({} if self.transfer is None else {"transfer": dataclasses.asdict(self.transfer)}),
            **({} if self.imported is None else {"imported": dict(self.imported)}),
        }

    @property
    def defaults(self) -> dict[str, Any]:
        """Return what fields are that a config.json of this model does not name."""
        named = {"name": self.model.name, "source": self.model.source}
        return RunConfig.from_dict({"model": named}).to_dict()

    def without_curves(self) -> "RunConfig":
        """Return the configuration of the same rows without those of curves."""
        return self.replace(curves="", curves_fingerprint="")

    def replace(self, **fields: Any) -> "RunConfig":
        """Return the configuration with other values of fields, named as in `to_dict`."""
        return RunConfig.from_dict({**self.to_dict(), **fields})


def _text(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
    return value if isinstance(value, bool) or value is None else str(value)


def _build(cls: Any, given: Any, prefix: str = "") -> Any:
    """Return the dataclass of these values, each checked."""
    if not isinstance(given, Mapping):
        raise InputError(f"{prefix[:-1]}: expected fields and their values, got {given!r:.60}")
    for key in given:
        choose(f"field of {prefix[:-1]}", key, [field.name for field in dataclasses.fields(cls)])
    return cls(**_typed(cls, given, prefix))


def _typed(cls: Any, given: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the values, each of the type that its field has."""
    kinds = typing.get_type_hints(cls)
    found = {}
    for key, value in given.items():
        kind = kinds[key]
        value = value.item() if hasattr(value, "item") and not hasattr(value, "__len__") else value
        if kind is float and type(value) is int:
            value = float(value)
        if type(value) is not kind:
            raise InputError(f"{prefix}{key}: expected {_WORDS[kind]}, got {value!r:.60}")
        found[key] = value
    return found


def names_of(targets: str) -> tuple[str, ...]:
    """Return the targets by their names, of 'e_homo_ev,e_lumo_ev' or 'all' of the benchmark.

    Raises:
      InputError: One is named twice.
    """
    if targets == "all":
        return BENCHMARK_TARGETS
    names = tuple(name.strip() for name in targets.split(","))
    if len(set(names)) < len(names):
        raise InputError(f"targets {targets!r} name a target twice")
    return names


# Fields that cards of pairs do not show, as they are of larger structures or of saved runs.
_NOT_OF_PAIRS = ("schema", "image_weights", *OF_STRUCTURES)


def published(
    model: str, preset: str, quick: Mapping[str, Any], **hyper_parameters: Any
) -> ConfigDict:
    """Return the published protocol for one model, locked: an unknown field is an error.

    Args:
      model: A name of `qc_jax.models.available()`; all its hyper-parameters are fields.
      preset: What stands behind the colon of `--config=FILE:PRESET`; '' or 'quick', which ends in
        seconds and is worth nothing but a look.
      quick: Hyper-parameters of the quick run.
      **hyper_parameters: Of every run, those that differ from the model's defaults.
    """
    choose("preset", preset, ("", "quick"))
    made = RunConfig(model=ModelConfig.from_dict({"name": model, **hyper_parameters}))
    fields = {key: value for key, value in made.to_dict().items() if key not in _NOT_OF_PAIRS}
    config = ConfigDict(fields)
    if preset == "quick":
        config.epochs = 2
        config.model.update(quick)
    return config.lock()
