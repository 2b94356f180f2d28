"""The numbers that the authors of QuantumCanvas reported, to stand beside ours.

`published.csv`, a number a row: `benchmark` is the abstract of arXiv 2512.01519 and the README of
its repository; `modality_comparison`, `element_ablation`, `ood_split`, `channel_permutation` and
`inference_timing` are the two result pages of that repository, of 2026-01-28. Values are in the
targets' units; `std` is over seeds, empty where none was given.

They are of the authors' data, DFTB+ with the PTBP parameters, and `ptbp` is the same computed here:
numbers on other data are of another dataset. In `element_ablation` the authors' baselines were
evaluated on all rows, training included.
Softness and electrophilicity errors are dominated by pairs with a gap near zero.

`differences.csv` says why one of our numbers is another, where that was found: a line holds for all
numbers that agree with what it names, and the first that does is taken.
"""

import functools
import importlib.resources
from collections.abc import Mapping
from typing import Any

import pandas as pd

from qc_jax.canvas import CHANNELS
from qc_jax.evaluate.importance import NOTHING

_CONFIGS = ("ptbp", "ptbp_densities", "published")  # of TFDS's quantum_canvas
START = "init torch"  # the setting of trainings whose weights start as PyTorch's
EPOCHS = 100  # of each training of the published studies, none of which stopped early
HEADLINES = "benchmark"  # the study of the abstract's numbers
# The authors' 'egnn' reads no positions: it is what is called gcn here.
_OUR_NAMES = {"egnn": "gcn"}
INCREASE = "increase"  # the metric of what an MAE grows by, % of itself
CHANGE = "mean_change"  # the metric of what an MAE changes by, up or down, a channel
# The published name of each study, and of what it reports that can stand beside ours.
_STUDIES = {
    "modality": "modality_comparison",
    "ood": "ood_split",
    "elements": "element_ablation",
    "channels": "channel_permutation",
}
_METRICS = {
    "test_mae": "mae",
    "id_mae": "mae_in",
    "ood_mae": "mae",
    "mae": "mae",
    "mae_increase_percent": INCREASE,
    "baseline_mae": "mae",
    "mean_abs_delta_mae": CHANGE,
}
_PLACES = {"shuffle_within_sample": "swap"}
_PLACES |= {f"channel {index}": name for index, name in enumerate(CHANNELS)}
# What channels are worth was published as one mean over models and targets, and of one network that
# is not among them target by target, without saying which channel.
ALONE, _EACH_CHANNEL = "quantumshellnet", "mean of channels"
ALL_MODELS, _ALL_TARGETS, _AVERAGED = "modality checkpoints", "average of 5 targets", 5


def is_their_data(data: str) -> bool:
    """Whether `config.data` names the authors' data, or the same recomputed."""
    if not data.startswith("tfds:"):
        return data == "ptbp" or data.startswith("published:")
    without_version = data.removeprefix("tfds:").split(":")[0]
    name, _, config = without_version.partition("/")
    return name == "quantum_canvas" and (config or "ptbp") in _CONFIGS


def scores() -> pd.DataFrame:
    """Return the published test errors on random splits.

    Returns:
      Columns `model`, `published_as`, `target`, `mae`, `std` (NaN where not given), `study`.
    """
    frame = _read()
    chosen = frame[(frame.metric == "test_mae") & (frame.target != "average")]
    chosen = chosen[chosen.setting == "random"].rename(columns={"value": "mae"})
    columns = ["model", "published_as", "target", "mae", "std", "study"]
    return chosen[columns].reset_index(drop=True)


def of_study(name: str) -> pd.DataFrame | None:
    """Return the published numbers of one of our studies; None where none are comparable.

    Returns:
      Columns `model`, `published_as`, `target`, `place`, `metric`, `mae` (the number, in the
      target's unit, or in % for `INCREASE`) and `std` (NaN where not given). `place` is the split
      of 'ood', the change of 'elements', what is exchanged in 'channels', and '' of 'modality'.
    """
    if name not in _STUDIES:
        return None
    frame = _read()
    chosen = frame[(frame.study == _STUDIES[name]) & frame.metric.isin(_METRICS)]
    chosen = chosen[chosen.target != "average"]
    place = chosen.setting.replace(_PLACES)
    if name == "modality":
        place = place.str.slice(0, 0)  # all are of random splits
    if name == "channels":
        place = place.mask(chosen.metric == "baseline_mae", NOTHING)
        place = place.mask(chosen.metric == "mean_abs_delta_mae", _EACH_CHANNEL)
    chosen = chosen.assign(place=place, metric=chosen.metric.replace(_METRICS))
    columns = ["model", "published_as", "target", "place", "metric", "value", "std"]
    return chosen[columns].rename(columns={"value": "mae"}).reset_index(drop=True)


def name_of(study: str) -> str:
    """Return the published name of one of our studies that `of_study` knows."""
    return _STUDIES[study]


def reason(number: Mapping[str, Any], verdict: str) -> str:
    """Return why one of our numbers is not the published one; 'not found' where none is known.

    Args:
      number: its `study`, by its published name, `model`, `target` and, of studies with these,
        `place` and `metric`, as `of_study` has them.
      verdict: 'lower', 'higher' or 'one seed'.
    """
    asked = {**number, "verdict": verdict}
    for line in _differences():
        if all(asked.get(name, "") == word for name, word in line.items() if name != "reason"):
            return line["reason"]
    return "not found"


def in_their_terms(name: str, frame: pd.DataFrame) -> pd.DataFrame:
    """Return a study's rows of the long table as `of_study` names what they are.

    Returns:
      The rows with `place`, and for elements and channels those of `INCREASE`. Of channels means
      alone: over models and five targets, a row a channel and seed, none where a model has fewer or
      more; and of the network that was published alone over channels, `CHANGE`, a row a target and
      seed beside its `mae`.
    """
    if name == "modality":
        return frame.assign(place="")
    if name == "ood":
        return frame.assign(place=frame.split)
    frame = frame.assign(place=frame.setting.str.split(", as published").str[0])
    each = ["training", "model", "target", "place", "seed"]
    wide = frame.pivot_table(index=each, columns="metric", values="value").reset_index()
    wide[INCREASE] = 100 * wide.mae_change / (wide.mae - wide.mae_change)
    grown = frame[frame.metric == "mae_change"].drop(columns="value")
    grown = grown.merge(wide[[*each, INCREASE]], on=each).rename(columns={INCREASE: "value"})
    grown = grown.assign(metric=INCREASE)
    if name == "elements":
        return pd.concat([frame, grown], ignore_index=True)
    grown = grown[grown.model != ALONE]
    each = grown.groupby(["model", "seed"]).target.nunique()
    if not (each == _AVERAGED).all():  # it would be another average
        grown = grown.iloc[:0]
    mean = grown.groupby(["place", "seed"], sort=False).value.transform("mean")
    once = grown.assign(value=mean, model=ALL_MODELS, target=_ALL_TARGETS, leaked_by="")
    return pd.concat([once.drop_duplicates(["place", "seed"]), _alone(frame)], ignore_index=True)


def _alone(frame: pd.DataFrame) -> pd.DataFrame:
    """Return `CHANGE`, and the error that changes, of the network published alone."""
    own = frame[frame.model == ALONE]
    change = own[(own.metric == "mae_change") & own.place.isin(CHANNELS)]
    mean = change.value.abs().groupby(change.training).transform("mean")
    change = change.assign(value=mean, place=_EACH_CHANNEL, metric=CHANGE)
    unchanged = own[(own.metric == "mae") & (own.place == NOTHING)]
    return pd.concat([unchanged, change.drop_duplicates("training")])


@functools.cache
def _differences() -> list[dict[str, str]]:
    """Return the lines of differences.csv, each with the fields that it fills."""
    lines = _table("differences.csv").astype(str).to_dict("records")
    return [{name: word for name, word in line.items() if word} for line in lines]


def _table(name: str) -> pd.DataFrame:
    """Return a table of this package, empty fields as ''."""
    package = importlib.resources.files("qc_jax.report")
    with importlib.resources.as_file(package / name) as path:
        return pd.read_csv(path, dtype={"setting": str}, keep_default_na=False)


def _read() -> pd.DataFrame:
    """Return published.csv with our names of models."""
    frame = _table("published.csv")
    for column in ("value", "std"):
        frame[column] = pd.to_numeric(frame[column])
    return frame.assign(published_as=frame.model, model=frame.model.replace(_OUR_NAMES))
