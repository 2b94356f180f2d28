"""The numbers that the authors of QuantumCanvas reported, to stand beside ours.

`published.csv`, a number a row: `benchmark` is the abstract of arXiv 2512.01519 and the README of
its repository; `modality_comparison`, `element_ablation`, `ood_split`, `channel_permutation` and
`inference_timing` are the two result pages of that repository, of 2026-01-28. Values are in the
targets' units; `std` is over seeds, empty where none was given.

They are of the authors' data, DFTB+ with the PTBP parameters, and `ptbp` is the same computed here:
numbers on other data are of another dataset. In `element_ablation` the authors' baselines were
evaluated on all rows, training included.
Softness and electrophilicity errors are dominated by pairs with a gap near zero.
"""

import importlib.resources

import pandas as pd

DATA = ("ptbp", "published")  # tables, and configurations of TFDS's quantum_canvas
START = "init torch"  # the setting of trainings whose weights start as PyTorch's
HEADLINES = "benchmark"  # the study of the abstract's numbers
# The authors' 'egnn' reads no positions: it is what is called gcn here.
_OUR_NAMES = {"egnn": "gcn"}


def is_their_data(data: str) -> bool:
    """Whether `config.data` names the authors' data, or the same recomputed."""
    name = data.removeprefix("tfds:quantum_canvas/")
    return data.startswith("published:") or name in DATA


def scores() -> pd.DataFrame:
    """Return the published test errors on random splits.

    Returns:
      Columns `model`, `published_as`, `target`, `mae`, `std` (NaN where not given), `study`.
    """
    package = importlib.resources.files("qc_jax.report")
    with importlib.resources.as_file(package / "published.csv") as path:
        frame = pd.read_csv(path, dtype={"setting": str}, keep_default_na=False)
    for column in ("value", "std"):
        frame[column] = pd.to_numeric(frame[column])
    frame = frame.assign(published_as=frame.model, model=frame.model.replace(_OUR_NAMES))
    chosen = frame[(frame.metric == "test_mae") & (frame.target != "average")]
    chosen = chosen[chosen.setting == "random"].rename(columns={"value": "mae"})
    columns = ["model", "published_as", "target", "mae", "std", "study"]
    return chosen[columns].reset_index(drop=True)
