"""Importing this registers the dataset `md17` with TFDS."""

from data_builders.md17.md17_dataset_builder import Builder

__all__ = ["Builder"]
