# %% [markdown]
# # From a pair to its canvas and levels
#
# One pair of the shipped table: its labels, its canvas, and its levels by tight binding.
# %%
import matplotlib.pyplot as plt
import numpy as np

import qc_jax

table = qc_jax.open_table("gfn2_xtb")
row = table.row("C_O")
print(len(table), "pairs; C_O at", round(float(table.targets["distance_ang"][row]), 3), "Å")
for target in ("e_homo_ev", "e_lumo_ev", "e_g_ev", "total_energy_ev"):
    print(f"{target:16s} {table.targets[target][row]:9.3f}")
# %% [markdown]
# A canvas is a fixed basis times 13 numbers of the pair: populations, charges and dipole. Rendering is one
# matrix product, on any device and at any size.
# %%
features = qc_jax.features(table)[row : row + 1]
image = np.asarray(qc_jax.render(features, size=64))[0]  # [64, 64, 10]
figure, axes = plt.subplots(2, 5, figsize=(10, 4.4))
for channel, axis in enumerate(axes.flat):
    axis.imshow(image[..., channel])
    axis.set_title(qc_jax.canvas.CHANNELS[channel], fontsize=8)
    axis.axis("off")
figure.tight_layout()
# %% [markdown]
# The levels come from a matrix. Tight binding builds it from three numbers an element, and fills it with electrons.
# %%
solution = qc_jax.dftb.solve(["C", "O"], 1.13, relax=True)
print("bond", round(solution.distance_ang, 3), "Å; total energy", round(solution.total_energy_ev, 3), "eV")
print("charges", np.round(solution.charges_e, 3), "e; dipole", np.round(solution.dipole_d, 3), "D")
for level, electrons in zip(np.ravel(solution.levels_ev), np.ravel(solution.occupations)):
    print(f"{level:9.3f} eV  {'•' * round(electrons)}")
