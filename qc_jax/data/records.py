"""A dataset that TFDS has prepared, read back into arrays, in the order of the table."""

import re
from collections.abc import Collection
from typing import Any

import numpy as np

from qc_jax.data.table import PairTable
from qc_jax.data.targets import TARGETS
from qc_jax.errors import InputError, choose

_INPUTS = ("atomic_numbers", "positions", "populations", "charges", "dipole")
_ALWAYS = ("name", "row", *_INPUTS, *TARGETS)  # what records of pairs have, and a canvas


def read_table(name: str, data_dir: str | None = None) -> PairTable:
    """Return every row of a registered TFDS dataset of pairs, which is built on first use.

    The rows are sorted by the feature `row`, which is the order of the table that the records were
    made from. TensorFlow is not needed.

    Args:
      name: like 'quantum_canvas/gfn2_xtb', as in `tfds.builder`; its builder must have been
        imported, since this package knows none.
      data_dir: where TFDS keeps its datasets; None means TFDS's own choice (`TFDS_DATA_DIR`, else
        ~/tensorflow_datasets).

    Returns:
      A table whose floats are float32; its provenance is that of the first table, and under 'tfds'
      the dataset with configuration and version. It holds the canvases where populations are not
      known, forces where the dataset has them, and as extras the numbers that are no targets.

    Raises:
      InputError: the dataset or its configuration is unknown, is not one of pairs, cannot be
        built, or what stands in `data_dir` is damaged.
    """
    builder = _builder(name, data_dir)
    features = builder.info.features
    forces = ["forces"] if "forces" in features else []
    extras = [
        key
        for key, feature in features.items()
        if key not in _ALWAYS and feature.shape == () and feature.np_dtype in (np.float32, np.int32)
    ]
    columns = _columns(builder, (*_ALWAYS, *forces, *extras))
    inputs: dict[str, Any] = {field: columns[field] for field in (*_INPUTS, *forces)}
    if np.isnan(columns["populations"]).any():
        inputs["canvases"] = _columns(builder, ("row", "canvas"))["canvas"]
    metadata = builder.info.metadata
    if "provenance" not in metadata.keys():  # noqa: SIM118 (TFDS reads the file in keys())
        raise _damaged(builder, "metadata.json is missing or has no provenance")
    return PairTable(
        names=np.array([name.decode() for name in columns["name"]]),
        targets={target: columns[target] for target in TARGETS},
        extras={key: columns[key] for key in extras},
        provenance=metadata["provenance"] | {"tfds": builder.info.full_name},
        **inputs,
    )


def read_canvases(name: str, data_dir: str | None = None) -> np.ndarray:
    """Return the canvases [N, 32, 32, 10] float32 of the rows of `read_table`, in its order.

    Args:
      name: as in `read_table`.
      data_dir: as in `read_table`.

    Raises:
      InputError: as in `read_table`.
    """
    return _columns(_builder(name, data_dir), ("row", "canvas"))["canvas"]


def _builder(name: str, data_dir: str | None) -> Any:
    """Return the prepared builder, or one line that says why there is none."""
    try:
        import tensorflow_datasets as tfds
        from google.protobuf import json_format
    except ImportError as error:
        raise InputError(f"data tfds:{name}: TFDS cannot be imported: {error}") from error
    parts = re.fullmatch(r"(\w+)(?:/([\w.-]+))?(?::[\d.*]+)?", name)
    if parts is None:
        raise InputError(
            f"TFDS dataset {name!r}: expected dataset[/config][:version], "
            "like quantum_canvas/gfn2_xtb"
        )
    dataset, config = parts.groups()
    try:
        configs = tfds.builder_cls(dataset).builder_configs
    except tfds.core.registered.DatasetNotFoundError as error:
        raise InputError(
            f"unknown TFDS dataset {dataset!r}; expected one whose builder is imported, like "
            "quantum_canvas"
        ) from error
    if config is not None:
        choose(f"configuration of {dataset}", config, configs)
    where = f"TFDS dataset {name!r} in {data_dir or 'the default data_dir'}"
    try:
        builder = tfds.builder(name, data_dir=data_dir)
    except (ValueError, AssertionError, OSError, json_format.Error) as error:
        raise InputError(f"{where} cannot be opened: {error}") from error
    missing = [key for key in (*_ALWAYS, "canvas") if key not in builder.info.features]
    if missing:
        raise InputError(
            f"TFDS dataset {name!r} is not one of pairs: it has no feature {missing[0]!r}"
        )
    try:
        builder.download_and_prepare()
    except (AssertionError, OSError) as error:  # no manual download; the disk
        if not builder.is_prepared():
            raise InputError(f"{where} cannot be built: {error}") from error
    # Another process may have prepared it since `builder` looked.
    return tfds.builder(name, data_dir=data_dir)


def _columns(builder: Any, wanted: Collection[str]) -> dict[str, np.ndarray]:
    """Return the wanted features of all splits, [N, ...] each, sorted by the feature `row`."""
    import tensorflow_datasets as tfds
    from google.protobuf.message import DecodeError

    expected = builder.info.splits.total_num_examples
    if not expected:
        raise _damaged(builder, "dataset_info.json is missing or lists no rows")
    features = builder.info.features
    skip = {key: tfds.decode.SkipDecoding() for key in features if key not in wanted}
    rows: dict[str, list] = {key: [] for key in wanted}
    try:
        for source in builder.as_data_source(decoders=skip).values():
            for example in source:
                for key in wanted:
                    rows[key].append(example[key])
    except NotImplementedError as error:
        raise InputError(
            f"{builder.data_dir}: prepared as {builder.info.file_format.value}, which cannot be "
            "read at random; delete that folder, or choose another data_dir"
        ) from error
    except (ValueError, RuntimeError, OSError, LookupError, DecodeError) as error:
        raise _damaged(builder, str(error)) from error
    numbers = np.array(rows["row"])
    if len(numbers) != expected:
        raise _damaged(builder, f"expected {expected} rows, got {len(numbers)}")
    order = np.argsort(numbers)
    twice = numbers[order][1:] == numbers[order][:-1]
    if twice.any():
        raise _damaged(builder, f"row {numbers[order][1:][twice][0]} stands there twice")
    return {
        key: np.array(values, dtype=features[key].np_dtype)[order] for key, values in rows.items()
    }


def _damaged(builder: Any, why: str) -> InputError:
    return InputError(
        f"{builder.data_dir}: the prepared dataset is damaged ({why}); delete that folder to have "
        "it built again"
    )
