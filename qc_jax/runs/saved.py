"""Saved runs: a trained model with all that using it needs, in memory or in a directory.

Beside config.json and checkpoints/ a directory has run.json (targets, what was taken off the
labels, the domain that training saw, the names of the split) and, of pairs, pairs.npz (positions,
what images are drawn from, and labels by name). Nothing that uses a run opens the data that it was
trained on, but for scoring, and for intervals of several that were trained on larger structures.
"""

import dataclasses
import os
import pathlib
import shutil
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int
from numpy.typing import ArrayLike

from qc_jax import models
from qc_jax.canvas import images
from qc_jax.data.batch import Batch
from qc_jax.data.domain import TrainingDomain, describe_outside, warn_outside
from qc_jax.data.scaling import Scaler, total_offsets
from qc_jax.errors import InputError, choose, expect
from qc_jax.evaluate import predict
from qc_jax.runs import building, given, packed
from qc_jax.runs.building import Run
from qc_jax.runs.config import RunConfig
from qc_jax.runs.record import Pairs, Record, claim
from qc_jax.runs.workdir import Workdir
from qc_jax.train.checkpoint import Checkpoints
from qc_jax.train.config import TrainConfig
from qc_jax.train.forces import energies_of
from qc_jax.train.state import State, add_replica_axis

_ALONG = "dipole_z_d"  # the one target that the order of a pair's atoms changes
_NO_DISTANCE = "distance is of pairs by their names; atoms have positions"


@dataclasses.dataclass(frozen=True, eq=False)
class SavedRun:
    """A trained model, whole: `qc_jax.fit` makes one, `qc_jax.load` opens one.

    Attributes:
      config: What it is.
      model: The architecture.
      state: The last one of the training.
      record: What it knows of its data.
      pairs: Of its table; None where it was trained on larger structures.
      path: The directory; None where it has none yet.
      history: What each epoch measured; () where that was not asked for.
      run: The training's parts, where it was made in this process; else None.
      seconds: What it took, 'compile' and 'train'.
      result: What result.json holds, its scores; {} where it has none yet.

    Example:
      >>> import qc_jax
      >>> task = qc_jax.prepare(qc_jax.open_table("gfn2_xtb"), "e_homo_ev", train_fraction=0.1)
      >>> run = qc_jax.fit(qc_jax.create("pair_mean"), task)
      >>> run.targets, run.predict(["Ag_Al", "C_O"]).shape
      (('e_homo_ev',), (2, 1))
    """

    config: RunConfig
    model: models.Architecture
    state: State
    record: Record
    pairs: Pairs | None = None
    path: pathlib.Path | None = None
    history: Sequence[Mapping[str, Any]] = ()
    run: Run | None = None
    seconds: Mapping[str, float] = dataclasses.field(default_factory=dict)
    result: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def targets(self) -> tuple[str, ...]:
        """Return the names of its outputs."""
        return self.config.target_names

    @property
    def settings(self) -> TrainConfig:
        """Return how it was trained."""
        return self.config.train

    @property
    def variables(self) -> models.Variables:
        """Return the weights that were kept, for `models.apply`."""
        return self.state.best_variables

    @property
    def scaler(self) -> Scaler:
        """Return that of the labels."""
        return self.state.scaler

    def offsets(
        self, atomic_numbers: Int[np.ndarray, "structures atoms"]
    ) -> Float[np.ndarray, "structures targets"]:
        """Return what predictions get on top, float64 in the targets' units."""
        record = self.record
        return total_offsets(np.array(record.offsets), record.element_offsets, atomic_numbers)

    @property
    def domain(self) -> TrainingDomain | None:
        """Return what training saw."""
        return self.record.domain

    @property
    def learned_slopes(self) -> bool:
        """Return whether training saw forces, or the same atoms at several places."""
        several = self.pairs is None or not len(self.pairs.names) or bool(self.config.curves)
        return several or self.settings.force_weight > 0

    @property
    def split(self) -> Mapping[str, Sequence[str]]:
        """Return the names of the rows of each part."""
        return self.record.split

    @property
    def provenance(self) -> Mapping[str, Any]:
        """Return where the data came from, and the versions of the code."""
        return self.record.provenance

    def part_of(self, name: str) -> str:
        """Return in words whether the model has seen a row of its table."""
        for part, names in self.split.items():
            if name in names:
                return f"of the {part} split"
        reason = self.record.left_out.get(name, "in no part of the split")
        return f"left out ({reason}), so this model has not seen it"

    def structures(self, what: Any, distance: ArrayLike | None = None) -> Batch:
        """Return what `predict` takes, as a batch that the model reads.

        Raises:
          InputError: As `predict`.
        """
        if isinstance(what, Batch):
            if distance is not None:
                raise InputError(_NO_DISTANCE)
            self._images.check_rows(what.canvas_features, self._method)
            return what
        what = self._listed(what)
        asked = (
            list(what)
            if isinstance(what, list | tuple) and not hasattr(what, "_fields")
            else [what]
        )
        if not asked:
            raise InputError("expected pairs or atoms to predict, got none")
        if all(isinstance(one, str) for one in asked):
            return self._named(asked, distance)
        if distance is not None:
            raise InputError(_NO_DISTANCE)
        reads = "canvas" in self.model.inputs
        if reads and self.pairs is not None and not self._images.solved:
            raise InputError(
                f"{self.config.model.name} reads the canvas, which is known of the pairs of its "
                "table alone; expected their names"
            )
        made = given.of_atoms(asked, self.record, self.model)
        if not reads:
            return made
        return self._with_images(made, self._images.rows_of(made, self._method))

    @property
    def _images(self) -> images.Images:
        return images.parse(self.config.images)

    @property
    def _method(self) -> str:
        """Return whose densities the model was trained on."""
        return self._images.method_of(self.provenance)

    def _with_images(self, made: Batch, rows: np.ndarray | None) -> Batch:
        """Return the structures with the images that the model reads, drawn from `rows`."""
        config = self.config
        return made.replace(
            canvas_features=None if rows is None else jax.device_put(rows),
            canvas_size=config.canvas_size,
            images=config.images,
            average_symmetries=config.average_symmetries,
        )

    def _named(self, names: Sequence[str], distance: ArrayLike | None) -> Batch:
        ordered, features = given.ordered(names), None
        reads = "canvas" in self.model.inputs
        if distance is None or (reads and not self._images.solved):
            if distance is not None:
                raise InputError(
                    "distance: this model reads the canvas, which is known at the bond length alone"
                )
            if self.pairs is None:
                raise InputError(
                    f"{names[0]}: this run was trained on larger structures and knows no bond "
                    "lengths; expected a distance, or atoms"
                )
            rows = [self.pairs.row(name, self.record.left_out) for name in ordered]
            made = given.pairs_with(ordered, self.pairs.positions[rows])
            if self.pairs.features is not None:
                features = self.pairs.features[rows]
        else:
            lengths = given.lengths(distance, len(ordered))
            if "positions" not in self.model.inputs and not reads:
                raise InputError("distance: this model reads no positions; expected none")
            made = given.pairs_at(ordered, lengths)
            if reads:
                features = self._images.rows_at(ordered, lengths, self._method)
        return self._with_images(made, features)

    def predict(
        self, what: Any, distance: ArrayLike | None = None, batch_size: int = 256
    ) -> Float[np.ndarray, "structures targets"]:
        """Predict the targets, in their units, float64.

        Warns of atoms outside of what the model was trained on.

        Args:
          what: A pair like 'Ag_Al' or several, at the bond lengths of the table that the run was
            trained on, `dipole_z_d` from the first to the second atom of the name; `ase.Atoms` or
            several; or a `Batch`.
          distance: Å between the atoms of pairs by name, instead of the table's: one, or one a
            pair. Densities are those at this distance; a canvas is known at the table's alone.
          batch_size: Structures at a time.

        Raises:
          InputError: A pair or an element is not known, or atoms are none that the model can take.
          NotConverged: The charges of densities do not settle; an InputError as well.
        """
        if batch_size < 1:
            raise InputError(f"batch_size: expected at least 1, got {batch_size}")
        what = self._listed(what)
        batch = self.structures(what, distance)
        found = predict.predict(self.model, self.variables, self.scaler, batch, batch_size)
        named = self._are_names(what)
        by_name = named and distance is None
        if self.domain is not None and not by_name:
            warn_outside(self.domain, batch, self.model.cutoff, self._reads_distances)
        found = np.asarray(found, np.float64) + self.offsets(np.asarray(batch.atomic_numbers))
        if named and _ALONG in self.targets:  # from the first atom of a name to the second
            names = [what] if isinstance(what, str) else list(what)
            turned = np.array(given.ordered(names)) != [name.replace("-", "_") for name in names]
            found[turned, self.targets.index(_ALONG)] *= -1
        return found

    def outside(self, structures: Batch) -> list[str]:
        """Return a line for each way in which structures leave the domain that training saw."""
        if self.domain is None:
            return []
        return describe_outside(self.domain, structures, self.model.cutoff, self._reads_distances)

    @property
    def _reads_distances(self) -> bool:
        return not {"positions", images.DENSITIES}.isdisjoint(self.config.inputs)

    @staticmethod
    def _listed(what: Any) -> Any:
        """Return arrays of names, NumPy's and others', as lists."""
        return what.tolist() if hasattr(what, "tolist") else what

    @staticmethod
    def _are_names(what: Any) -> bool:
        return isinstance(what, str) or (
            isinstance(what, list | tuple) and all(isinstance(one, str) for one in what)
        )

    def predict_forces(
        self, what: Any, batch_size: int = 256
    ) -> Float[np.ndarray, "structures atoms 3"]:
        """Predict forces (eV/Å) on atoms as `predict` takes them; zero for padding.

        Raises:
          InputError: As `predict`, or the model has no forces, or several outputs.
        """
        energy_column(self)
        if len(self.targets) > 1:
            raise InputError(f"expected a model of one energy, got {', '.join(self.targets)}")
        batch = self.structures(what)
        return predict.predict_forces(self.model, self.variables, self.scaler, batch, batch_size)

    def parts(self) -> Run:
        """Return the training's parts; opens the data where it was made in another process.

        Curves, which no row is scored on, are left out then.

        Raises:
          InputError: The data are gone or have changed.
        """
        if self.run is not None:
            return self.run
        if not self.config.data:
            raise InputError("trained on a table without a name; expected score(table=…)")
        found = building.from_config(self.config.without_curves())
        if found.config.data_fingerprint != self.config.data_fingerprint:
            raise InputError(
                f"{self.config.data} has changed since the model of {self.path} was made"
            )
        return found

    def score(self, **changes: Any) -> Any:
        """Score on test rows, with baselines beside; the one method that opens data.

        Args:
          **changes: Other fields of the configuration, `data` or `split`: then test rows that the
            model was trained or chosen on are left out; or `table`, that of the run's data.

        Returns:
          A `scoring.Scored`, of which `result["test"]` has the errors by target.
        """
        from qc_jax.runs import scoring  # which needs this module

        return scoring.score_saved(self, **changes)

    def save(self, path: str | os.PathLike) -> "SavedRun":
        """Write the run to a new or empty directory, with its scores; return it with the path.

        Raises:
          InputError: The directory holds something else, or cannot be written.
        """
        expect("path", path, (str, os.PathLike), "a directory")
        target = pathlib.Path(path)
        if self.path is None and self.run is None:
            raise InputError("a packed model is one file, not a directory; expected run.pack(path)")
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise InputError(f"{target}: expected a new or empty directory")
        if self.path is not None:
            shutil.copytree(self.path, target, dirs_exist_ok=True)
            return dataclasses.replace(self, path=target)
        assert self.run is not None
        workdir = Workdir(target)
        claim(self.run, workdir)
        for line in self.history:
            workdir.on_epoch(line)
        with Checkpoints(workdir.checkpoints) as checkpoints:
            checkpoints.save(int(self.state.epoch), add_replica_axis(self.state))
        self.score().write(workdir)
        return dataclasses.replace(self, path=target)

    def pack(self, path: str | os.PathLike, weights: str = "float32") -> None:
        """Write the model to one file, an `.npz` that `load` opens: weights, scores and domain.

        Args:
          path: Where to.
          weights: 'float32', or 'float16' for a file of half the size: what was learned is rounded,
            and the scores are those of the rounded ones.

        Raises:
          InputError: The name ends otherwise, it cannot be written, or a weight is too large.
        """
        if not os.fspath(path).endswith(".npz"):
            raise InputError(f"{path}: expected a file that ends in .npz")
        choose("weights", weights, packed.WEIGHTS)
        run = self if weights == "float32" else self._rounded(weights)
        result = run.result or run.score().result
        scaler = {key: np.asarray(getattr(self.scaler, key)) for key in ("low", "high", "log")}
        variables = jax.device_get(run.variables)
        parts = (self.config, self.record, self.pairs, variables, scaler, result)
        packed.write(path, packed.Packed(*parts), weights)

    def _rounded(self, kind: str) -> "SavedRun":
        """Return the run with the weights that `kind` can hold, not scored yet."""
        limit = float(jnp.finfo(kind).max)
        for leaf in jax.tree.leaves(self.state.best_params):
            if (largest := float(np.abs(leaf).max(initial=0))) > limit:
                raise InputError(f"weights: expected at most {limit:g} for {kind}, got {largest:g}")
        params = jax.tree.map(
            lambda leaf: np.asarray(leaf).astype(kind).astype(leaf.dtype), self.state.best_params
        )
        state = self.state.replace(best_params=params)
        return dataclasses.replace(self, state=state, result={}, history=())


def energy_column(run: SavedRun) -> int:
    """Return which output of a model is the energy that its forces belong to.

    Raises:
      InputError: none is, or the model has none (`Architecture.no_forces_reason`).
    """
    if run.model.no_forces_reason:
        raise InputError(f"{run.config.model.name} {run.model.no_forces_reason}")
    energies = energies_of(run.pairs is not None, run.provenance)
    for energy in energies:
        if energy in run.targets:
            return run.targets.index(energy)
    raise InputError(
        f"the model predicts {', '.join(run.targets)}; dynamics needs an energy that "
        f"atoms move on: expected a training with --config.target={' or '.join(energies)}"
    )
