"""What a study is, and what it is asked for."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from qc_jax.data.structures import Structures
from qc_jax.data.table import PairTable
from qc_jax.models import Architecture
from qc_jax.runs import grids
from qc_jax.runs.workdir import Workdir

# Of all kinds: levels, an energy, and what a canvas leaks.
TARGETS = ("e_g_ev", "e_homo_ev", "e_lumo_ev", "total_energy_ev", "dipole_mag_d")

# Of all kinds that read no canvas: solved at once, and trained in seconds.
MODELS = ("pair_mean", "gradient_boosting", "schnet", "egnn", "geometry_only")


class TransferOptions(NamedTuple):
    """What the study transfer is asked for, beside what all are.

    Attributes:
      arms: the directories of finished trainings, by the arms' names.
      sizes: of training rows; 0 is all.
      rates: learning rates.
      force_weight: of forces beside energies.
    """

    arms: Mapping[str, str]
    sizes: Sequence[int]
    rates: Sequence[float]
    force_weight: float


class Asked(NamedTuple):
    """What a study is asked for.

    Attributes:
      study: its name.
      workdir: the benchmark's directory, claimed for these data.
      table: the data.
      fingerprint: of the data.
      models: their names.
      targets: each by itself.
      seeds: of splits and trainings.
      changes: of the fields of every card.
      as_published: whether the published flaws are repeated.
      repeats: of what is drawn at random.
      members: of an ensemble.
      train: whether trainings that are missing are made.
      stack: trainings in one program, 0 for what is good.
      stop: says whether to end soon.
      curves: a table of curves that are learned, too, of the study regularisation; '' for none.
      transfer: of the study transfer.
    """

    study: str
    workdir: Workdir
    table: PairTable | Structures
    fingerprint: str
    models: tuple[str, ...]
    targets: tuple[str, ...]
    seeds: tuple[int, ...]
    changes: dict[str, Any]
    as_published: bool
    repeats: int
    members: int
    train: bool
    stack: int
    stop: Callable[[], bool]
    curves: str = ""
    transfer: TransferOptions | None = None

    @property
    def pairs(self) -> PairTable:
        """The table, of a study of pairs."""
        assert isinstance(self.table, PairTable)
        return self.table


@dataclasses.dataclass(frozen=True)
class Study:
    """One study, as its file defines it.

    Attributes:
      rows: makes its rows of the long table.
      show: prints them.
      models: asked for where no flag says which; None are those that the directory has trainings of
        and that can do the study.
      targets: likewise; None are those of the directory's trainings, of larger structures the
        card's.
      seeds: likewise, whatever the directory has.
      check: raises InputError, without the model's name, for one that can't do the study.
      needs_trainings: whether it is about trainings.
      trains: whether it makes those that are missing unless --notrain says otherwise.
      flaws: whether --as-published means anything here.
      of_structures: whether its data are larger structures, not pairs.
      classes: whether its targets may be classes.
    """

    rows: Callable[[Asked], list[dict[str, Any]]]
    show: Callable[[pd.DataFrame], None]
    models: tuple[str, ...] | None = None
    targets: tuple[str, ...] | None = None
    seeds: tuple[int, ...] = grids.SEEDS
    check: Callable[[Architecture], Any] = lambda model: None
    needs_trainings: bool = True
    trains: bool = True
    flaws: bool = True
    of_structures: bool = False
    classes: bool = True
