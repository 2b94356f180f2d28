"""Importing this registers the dataset `crysmtm` with TFDS."""

from data_builders.crysmtm.crysmtm_dataset_builder import Builder

__all__ = ["Builder"]
