"""A table as a folder that the Hugging Face hub takes: Parquet, its card, and Croissant metadata.

The rows, features and splits are those of the TFDS dataset (`datasets.features`). `datasets` is not
needed to write them: the Parquet files say in their own metadata which shapes its lists have, as
`datasets` writes it.
"""

import importlib.resources
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet

from qc_jax.data import files, hub, splits
from qc_jax.data.table import SHIPPED, PairTable
from qc_jax.data.targets import TARGETS
from qc_jax.datasets.features import examples, features
from qc_jax.datasets.quantum_canvas import SPLIT_SEED, Builder
from qc_jax.engines.published import PUBLISHED_DOI
from qc_jax.errors import InputError

CROISSANT = "croissant.json"
_ROWS = 256  # of a row group: 10 MB of canvases
_HOME = "https://arxiv.org/abs/2512.01519"
_ABOUT = importlib.resources.files("qc_jax.datasets") / "metadata" / "quantum_canvas"
# Terms of Croissant and what they stand for, as its JSON-LD wants them: those that are used here.
_TERMS = (
    *("arrayShape", "citeAs", "column", "extract", "field", "fileObject", "isArray", "recordSet"),
    "source",
)
_CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "dct": "http://purl.org/dc/terms/",
    "conformsTo": "dct:conformsTo",
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    **{term: f"cr:{term}" for term in _TERMS},
}
_LICENSES = {
    "apache-2.0": "https://www.apache.org/licenses/LICENSE-2.0",
    "cc-by-4.0": "https://creativecommons.org/licenses/by/4.0/",
}
# By the kind of NumPy's dtype; TFDS keeps text as objects.
_CROISSANT_TYPES = {"i": "sc:Integer", "f": "sc:Float", "O": "sc:Text"}


def write(table: PairTable, directory: str | os.PathLike, license_name: str = "") -> str:
    """Write data/PART-00000-of-00001.parquet, croissant.json and, at last, README.md.

    Args:
      table: the pairs, with all labels.
      directory: an empty one.
      license_name: as the hub calls it, like 'cc-by-4.0'; '' is that of a table that ships with
        the package or of the authors' file, and 'unknown' of others.

    Returns:
      The licence that the card names.

    Raises:
      InputError: the table lacks a label, or a file cannot be written.
    """
    missing = [name for name in TARGETS if name not in table.targets]
    if missing:
        raise InputError(
            f"{table.opened_as or 'the table'}: expected all labels, got no {missing[0]}"
        )
    directory = Path(directory)
    (directory / "data").mkdir()
    license_name = license_name or _license_of(table)
    sizes, written = {}, {}
    for part, rows in _parts(table).items():
        columns = _columns(table.take(rows), rows)
        name = f"data/{part}-00000-of-00001.parquet"
        with files.atomic_write(directory / name) as partial:
            parquet.write_table(_arrow(columns), partial, compression="zstd", row_group_size=_ROWS)
        sizes[part] = {
            "num_bytes": sum(int(np.asarray(column).nbytes) for column in columns.values()),
            "num_examples": len(rows),
        }
        written[part] = name
    name = table.opened_as if table.opened_as in SHIPPED else "pairs"
    described = _described(columns)
    croissant = _croissant(table, directory, written, described, license_name, name)
    files.write_json(directory / CROISSANT, croissant)
    _write_card(table, directory, sizes, described, license_name, name)
    return license_name


def _parts(table: PairTable) -> dict[str, np.ndarray]:
    """Return the rows of each part: all of a pair stand in one, as in TFDS's curves."""
    _, first, pair_of = np.unique(table.names, return_index=True, return_inverse=True)
    order = np.argsort(first)  # of the pairs, as they come in the table
    split = splits.random_split(len(order), SPLIT_SEED)
    return {
        part: np.flatnonzero(np.isin(pair_of, order[pairs]))
        for part, pairs in split.parts().items()
    }


def _license_of(table: PairTable) -> str:
    """Return the licence of a table, as the hub calls it; 'unknown' of one's own.

    The authors' file is told by the DOI that its reader gives it alone, whichever way it came.
    """
    if table.opened_as in SHIPPED:
        return "apache-2.0"
    return "cc-by-4.0" if table.provenance.get("doi") == PUBLISHED_DOI else "unknown"


def _columns(table: PairTable, rows: np.ndarray) -> dict[str, np.ndarray]:
    """Return the features of TFDS's records, [N, ...] each, and the place of each row."""
    found = list(examples(table))
    columns = {key: np.array([one[key] for one in found]) for key in found[0]}
    return columns | {"row": rows.astype(np.int32)}


def _described(columns: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Return the TFDS feature of each column, which has dtype, shape and definition."""
    known = features(curves=True)
    return {name: known[name] for name in columns}


def _arrow(columns: Mapping[str, np.ndarray]) -> pa.Table:
    described = _described(columns)
    about = {"info": {"features": {name: _kind(one) for name, one in described.items()}}}
    made = pa.table({name: _nested(column) for name, column in columns.items()})
    return made.replace_schema_metadata({"huggingface": json.dumps(about)})


def _nested(column: np.ndarray) -> pa.Array:
    """Return [N, ...] as N lists of lists."""
    found = pa.array(column.ravel())
    for size in column.shape[:0:-1]:
        ends = np.arange(0, len(found) + 1, size, dtype=np.int32)
        found = pa.ListArray.from_arrays(pa.array(ends), found)
    return found


def _dtype(feature: Any) -> str:
    found = np.dtype(feature.np_dtype)
    return "string" if found.kind == "O" else found.name


def _kind(feature: Any) -> dict[str, Any]:
    """Return a feature as the metadata of a Parquet file of `datasets` have it."""
    value = {"dtype": _dtype(feature), "_type": "Value"}
    match feature.shape:
        case ():
            return value
        case (length,):
            return {"feature": value, "length": length, "_type": "Sequence"}
        case shape:
            kind = f"Array{len(shape)}D"
            return {"shape": list(shape), "dtype": _dtype(feature), "_type": kind}


def _yaml_kind(feature: Any) -> dict[str, Any]:
    """Return a feature as the front matter of a card has it."""
    match feature.shape:
        case ():
            return {"dtype": _dtype(feature)}
        case (length,):
            return {"sequence": _dtype(feature), "length": length}
        case shape:
            about = {"shape": list(shape), "dtype": _dtype(feature)}
            return {"dtype": {f"array{len(shape)}_d": about}}


def _citation() -> str:
    return (_ABOUT / "CITATIONS.bib").read_text(encoding="utf-8").strip()


def _description(table: PairTable) -> str:
    method = table.provenance.get("method") or table.provenance.get("engine")
    return (
        f"{len(table)} two-atom quantum systems: geometry, Mulliken populations, charges, dipole, "
        f"{len(TARGETS)} labels, and the canvas, an image of ten channels drawn of them."
        + (f" Method: {method}." if method else "")
    )


def _croissant(
    table: PairTable,
    directory: Path,
    written: Mapping[str, str],
    described: Mapping[str, Any],
    license_name: str,
    name: str,
) -> dict[str, Any]:
    """Return Croissant 1.1 metadata (mlcommons.org/croissant): the files, and what is in them."""
    sets = []
    for part, path in written.items():
        fields = []
        for key, feature in described.items():
            field = {
                "@type": "cr:Field",
                "@id": f"{part}/{key}",
                "name": key,
                "description": feature.doc.desc or key,
                "dataType": _CROISSANT_TYPES[np.dtype(feature.np_dtype).kind],
                "source": {"fileObject": {"@id": path}, "extract": {"column": key}},
            }
            if feature.shape:
                field |= {"isArray": True, "arrayShape": ",".join(map(str, feature.shape))}
            fields.append(field)
        sets.append({"@type": "cr:RecordSet", "@id": part, "name": part, "field": fields})
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.1",
        "name": f"quantum_canvas_{name}",
        "description": _description(table),
        "license": _LICENSES.get(license_name, license_name),
        "url": _HOME,
        "citeAs": _citation(),
        "version": str(Builder.VERSION),
        "distribution": [
            {
                "@type": "cr:FileObject",
                "@id": path,
                "name": path,
                "contentUrl": path,
                "encodingFormat": "application/x-parquet",
                "sha256": files.sha256(directory / path),
            }
            for path in written.values()
        ],
        "recordSet": sets,
    }


def _write_card(
    table: PairTable,
    directory: Path,
    sizes: Mapping[str, Mapping[str, int]],
    described: Mapping[str, Any],
    license_name: str,
    name: str,
) -> None:
    """Write README.md: what machines read of it, then what people do."""
    paths = [path for path in (directory / "data").iterdir()]
    fields = {
        "license": license_name,
        "pretty_name": f"QuantumCanvas, {name}",
        "language": ["en"],
        "tags": ["chemistry", "physics", "quantum-chemistry", "tight-binding", "croissant"],
        "task_categories": ["tabular-regression"],
        "size_categories": [_size_category(len(table))],
        "configs": [
            {
                "config_name": name,
                "data_files": [{"split": part, "path": f"data/{part}-*"} for part in sizes],
            }
        ],
        "dataset_info": {
            "config_name": name,
            "features": [{"name": key, **_yaml_kind(one)} for key, one in described.items()],
            "splits": [{"name": part, **size} for part, size in sizes.items()],
            "download_size": sum(path.stat().st_size for path in paths),
            "dataset_size": sum(size["num_bytes"] for size in sizes.values()),
        },
    }
    hub.write_card(directory / "README.md", fields, _text(table, sizes, described, name))


def _size_category(rows: int) -> str:
    """Return the hub's word for a number of rows."""
    ends = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (10**6, "100K<n<1M"))
    return next((word for end, word in ends if rows < end), "1M<n<10M")


def _text(
    table: PairTable,
    sizes: Mapping[str, Mapping[str, int]],
    described: Mapping[str, Any],
    name: str,
) -> str:
    """Return what the card says to people."""
    inputs = [
        (f"`{key}`", " × ".join(map(str, one.shape)) or "–", _dtype(one), one.doc.desc)
        for key, one in described.items()
        if key not in TARGETS
    ]
    labels = []
    for key, target in TARGETS.items():
        undefined = int(np.isnan(table.targets[key].astype(float)).sum())
        leaks = ", ".join(target.leaked_by) or "–"
        labels.append((f"`{key}`", target.unit, target.definition, str(undefined), leaks))
    counts = ", ".join(f"{size['num_examples']} {part}" for part, size in sizes.items())
    pairs = len(set(table.names.tolist()))
    drawn = "all rows" if pairs == len(table) else f"the {pairs} pairs, each with all of its rows"
    told = [
        f"* `{key}`: {json.dumps(value, ensure_ascii=False)}"
        for key, value in table.provenance.items()
        if key not in ("left_out", "disagreements")
    ]
    left_out = [f"* {pair}: {reason}" for pair, reason in sorted(table.left_out.items())]
    gone = f"{len(left_out)} pairs are left out" if left_out else "No pair is left out"
    return f"""\
# QuantumCanvas, {name}

{_description(table)} The benchmark is [QuantumCanvas]({_HOME}); this folder was written by
`qc-jax export --format=huggingface`.

```python
from datasets import load_dataset

pairs = load_dataset("FOLDER OR REPOSITORY")["train"].with_format("numpy")
print(pairs[0]["name"], pairs[0]["e_homo_ev"], pairs[0]["canvas"].shape)
```

`{CROISSANT}` describes the same files in Croissant's terms.

## Features

Floats are float32; what is not known or not defined is NaN.

{hub.table(("feature", "shape", "dtype", "what it is"), inputs)}

## Labels

{hub.table(("label", "unit", "what it is", "undefined rows", "leaked by"), labels)}

A model that reads an input which leaks a label can compute the label in closed form: a score there
says nothing about chemistry. Positions with the elements also leak `repulsive_energy_ev`. The gap,
`i_ev`, `a_ev`, `chi_ev`, `mu_ev` and `eta_ev` are linear in HOMO and LUMO, and for a neutral pair
the three charge labels are equal.

## Splits

{counts}: the published rule, `torch.randperm` with seed {SPLIT_SEED}, of {drawn}, whether or not
a label is NaN. `row` is the place in the table.

## Where the numbers come from

{chr(10).join(told)}

Fingerprint of the table (`qc_jax.open_table(…).fingerprint()`): `{table.fingerprint()}`.
{gone} of those that were asked for{":" if left_out else "."}

{chr(10).join(left_out)}

## Citation

```bibtex
{_citation()}
```
"""
