"""What is said of datasets that TFDS cannot prepare."""

import pathlib
import types

import pytest
import tensorflow_datasets as tfds
from tensorflow_datasets.core.download.download_manager import NonMatchingChecksumError

from qc_jax.datasets.array_record import prepared_builder
from qc_jax.errors import InputError


def _builder(error, prepared):
    """A builder's class; preparing raises, where it is done by then or not."""

    def fail(download_config):
        raise error

    def make(data_dir):
        return types.SimpleNamespace(
            name="gold",
            data_dir=data_dir,
            download_and_prepare=fail,
            is_prepared=lambda: prepared,
        )

    return make


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (FileExistsError(17, "File exists"), "File exists"),
        (tfds.download.DownloadError("Failed to get url\nHTTP 503"), "Failed to get url HTTP 503"),
        (NonMatchingChecksumError("Artifact x:\n* Expected: 1"), r"Artifact x: \* Expected: 1"),
    ],
)
def test_what_fails_is_one_line(error, message, tmp_path):
    with pytest.raises(InputError, match=f"gold: cannot be prepared: .*{message}$"):
        prepared_builder(_builder(error, prepared=False), str(tmp_path), "", [])


def test_another_process_may_be_first(tmp_path):
    """TFDS renames its folder at the end, which fails where the dataset is there by then."""
    error = FileExistsError(17, "File exists")
    found = prepared_builder(_builder(error, prepared=True), str(tmp_path), "", [])
    assert pathlib.Path(found.data_dir) == tmp_path
