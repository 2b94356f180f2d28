"""Trained energy models as potentials: energies, forces, dynamics, vibrations."""
