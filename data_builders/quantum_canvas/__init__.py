"""Importing this registers the dataset `quantum_canvas` with TFDS."""

from data_builders.quantum_canvas.quantum_canvas_dataset_builder import Builder

__all__ = ["Builder"]
