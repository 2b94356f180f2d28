"""All studies by name, and the models, targets and seeds that each is about."""

from qc_jax import models
from qc_jax.data.targets import BENCHMARK_TARGETS
from qc_jax.errors import InputError, choose
from qc_jax.runs import cards
from qc_jax.runs.config import RunConfig
from qc_jax.runs.grids import GridFlags
from qc_jax.runs.workdir import Workdir
from qc_jax.studies import (
    channels,
    elements,
    leakage,
    learning_curve,
    modality,
    ood,
    regularisation,
    resolution,
    timing,
    transfer,
    uncertainty,
)
from qc_jax.studies.asked import Study

STUDIES: dict[str, Study] = {
    "channels": channels.STUDY,
    "elements": elements.STUDY,
    "leakage": leakage.STUDY,
    "learning_curve": learning_curve.STUDY,
    "modality": modality.STUDY,
    "ood": ood.STUDY,
    "regularisation": regularisation.STUDY,
    "resolution": resolution.STUDY,
    "timing": timing.STUDY,
    "transfer": transfer.STUDY,
    "uncertainty": uncertainty.STUDY,
}


def grid(
    name: str, workdir: Workdir, flags: GridFlags, models_given: bool
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[int, ...]]:
    """Return models, targets and seeds by the flags, the study and what is in the directory.

    Args:
      name: of the study.
      workdir: of a benchmark.
      flags: of the command line.
      models_given: whether it names models.

    Raises:
      InputError: a flag is wrong, or a model can't do the study.
    """
    study = STUDIES[name]
    asks = study.models is None or not (study.targets or study.of_structures)
    trained, learned = _there(workdir) if asks else (set(), set())
    targets = study.targets or (
        (transfer.card(flags.changes()["data"])["target"],) if study.of_structures else ()
    )
    targets = targets or tuple(key for key in BENCHMARK_TARGETS if key in learned)
    if study.models == ():
        if models_given:
            raise InputError(f"--models: {name} is of no model; expected --targets, --seeds")
        return (), *flags.asked(("none",), targets, study.seeds)[1:]
    names = study.models
    if names is None:
        names = tuple(key for key in cards.names() if key in trained and _able(study, key))
    if not names and not models_given:
        raise InputError(
            f"{workdir.path} has no training of a model for {name}; expected --models, and --train"
        )
    names, targets, seeds = flags.asked(names, targets, study.seeds)
    for key in names:
        choose("model", key, cards.names())
        try:
            study.check(models.create(key))
        except InputError as error:
            raise InputError(f"--models: {key} {error}; choose other models for {name}") from None
    return names, targets, seeds


def _there(directory: Workdir) -> tuple[set[str], set[str]]:
    """Return the models and the targets of the trainings in the directory."""
    found = [
        RunConfig.from_dict(Workdir(path.parent).config())
        for path in (directory.path / "trainings").glob("*/config.json")
    ]
    learned = {target for one in found for target in one.target_names}
    return {one.model.name for one in found}, learned


def _able(study: Study, name: str) -> bool:
    try:
        study.check(models.create(name))
    except InputError:
        return False
    return True
