"""A trained model as a folder that the Hugging Face hub takes: the packed model and its card."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qc_jax.data import hub
from qc_jax.data.table import SHIPPED
from qc_jax.data.targets import target
from qc_jax.evaluate import metrics
from qc_jax.report.tables import imported_words, number
from qc_jax.runs import packed
from qc_jax.runs.saved import SavedRun

MODEL = "model.npz"
_ASIDE = ("sweep", "data", "data_dir")  # fields that say nothing, or where files were
_HUB_METRICS = {"regression": ("mae", "rmse"), "classification": ("accuracy",)}
# What the card tells; of classes the error rate is 1 less the accuracy.
_TOLD = {
    "regression": metrics.REGRESSION,
    "classification": tuple(one for one in metrics.CLASSIFICATION if one != "mae"),
}


def write(run: SavedRun, directory: str | os.PathLike, license_name: str = "") -> str:
    """Write model.npz, which `qc_jax.load` opens, and README.md.

    Args:
      run: a trained model.
      directory: an empty one.
      license_name: as the hub calls it, like 'mit'; '' is 'unknown'.

    Returns:
      The licence that the card names.

    Raises:
      InputError: a file cannot be written, or the run has no scores and its data are gone.
    """
    directory = Path(directory)
    run.pack(directory / MODEL)
    result = dict(packed.read(directory / MODEL).result)
    # JSON sorted them; what is no output, forces, comes last.
    names = [*run.targets, *(name for name in result["test"] if name not in run.targets)]
    result["test"] = {name: result["test"][name] for name in names}
    result["dataset"] = result["dataset"] if result["dataset"] in SHIPPED else "own data"
    fields: dict[str, Any] = {
        "license": license_name or "unknown",
        "library_name": "qc_jax",
        "tags": ["chemistry", "quantum-chemistry", "jax", run.config.model.name],
        "pipeline_tag": _task(run.targets[0]),
    }
    if "imported" not in result:  # else nobody knows whether the model has seen its test rows
        fields["model-index"] = [{"name": run.config.model.name, "results": _results(result)}]
    hub.write_card(directory / "README.md", fields, _text(run, result))
    return fields["license"]


def _results(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the test errors in the hub's terms, one result a target that is not leaked."""
    return [
        {
            "task": {"type": _task(name), "name": _with_unit(name, name)},
            "dataset": {
                "type": f"quantum_canvas/{result['dataset'].replace(' ', '_')}",
                "name": f"QuantumCanvas, {result['dataset']}",
                "split": f"test of {result['split']}",
            },
            "metrics": [
                {
                    "type": metric,
                    "name": _with_unit(metrics.WORDS[metric], name),
                    "value": errors[metric],
                }
                for metric in _HUB_METRICS[target(name).kind]
            ],
        }
        for name, errors in result["test"].items()
        if not result["leaked_by"][name]
    ]


def _task(name: str) -> str:
    return "tabular-classification" if target(name).is_class else "tabular-regression"


def _with_unit(words: str, name: str) -> str:
    unit = target(name).unit
    return f"{words} ({unit})" if unit else words


def _text(run: SavedRun, result: Mapping[str, Any]) -> str:
    """Return what the card says to people."""
    name, sizes = run.config.model.name, result["split_sizes"]
    additive = next(rule for rule in result["baselines"] if rule != "training_median")
    tables = []
    for kind, told in _TOLD.items():
        first = metrics.WORDS[told[0]]
        rows = [
            (
                f"`{one}`",
                *(number(errors[metric]) for metric in told),
                *(
                    number(result["baselines"][rule][one][told[0]])
                    for rule in ("training_median", additive)
                ),
                *(target(one).unit or "–", ", ".join(result["leaked_by"][one]) or "–"),
            )
            for one, errors in result["test"].items()
            if target(one).kind == kind
        ]
        words = (metrics.WORDS[metric] for metric in told)
        heads = ("target", *words, f"{first} of training median")
        heads += (f"{first} of {additive.replace('_', ' ')}", "unit", "leaked by")
        tables += [hub.table(heads, rows)] if rows else []
    known = run.domain
    symbols = "" if known is None else ", ".join(known.elements)
    elements = symbols and f"Elements of its training rows: {symbols}."
    imported = result.get("imported")
    if imported:
        origin = f"{imported_words(imported)}.\nThat file's SHA-256 is `{imported['sha256']}`."
        ended = ""
    else:
        origin = f"trained on {sizes['train']} and chosen by {sizes['validation']} rows."
        ended = f" Best epoch {result['best_epoch']} of {result['epochs']}."
    pairs = result["dataset"] in SHIPPED
    example = 'model.predict(["Ag_Al", "C_O"])' if pairs else "model.predict(atoms)  # ase.Atoms"
    settings = {key: value for key, value in run.config.to_dict().items() if key not in _ASIDE}
    versions = "; ".join(f"{package} {value}" for package, value in result["versions"].items())
    definitions = "\n".join(f"* `{one}`: {target(one).definition}" for one in run.targets)
    return f"""\
# {name} on {result["dataset"]}

A model of [qc_jax](https://arxiv.org/abs/2512.01519) (QuantumCanvas in JAX) with
{result["parameters"]:,} parameters, {origin}
Split {result["split"]}: {result["split_description"]}.

```python
import qc_jax

model = qc_jax.load("{MODEL}")
print(model.targets, {example})
```

It predicts, in this order and in the units below:

{definitions}

## Errors on {sizes["test"]} test rows

{(chr(10) * 2).join(tables)}

A target that the model's inputs leak can be computed in closed form: a score there says nothing.
Reads: {", ".join(run.config.inputs)}.

## What it is good for

{elements} Outside of the elements and distances of its training rows it warns, and its numbers are
not tested.

## How it was made

Data: {result["dataset"]}, fingerprint `{result["data_fingerprint"]}`.{ended}
{versions}.

```json
{json.dumps(settings, indent=1, ensure_ascii=False)}
```
"""
