# %% [markdown]
# # A network of your own on QuantumCanvas, in 30 lines
#
# A subclass of `Architecture` is a model like those of the package: trained, scored, saved and opened the same way.
# %%
import flax.linen as nn
import jax.numpy as jnp

import qc_jax
from qc_jax.models import Architecture


class Bonds(Architecture):
    """Embeddings of both elements and radial functions of their distance, through an MLP."""

    max_atomic_number: int = 96
    outputs: int = 1
    hidden: int = 64

    @nn.compact
    def __call__(self, batch, train=False):
        elements = nn.Embed(self.max_atomic_number + 1, self.hidden)(batch.atomic_numbers)
        bond = batch.positions[:, 1] - batch.positions[:, 0]
        distance = jnp.sqrt((bond**2).sum(-1, keepdims=True))  # [B, 1] Å
        radial = jnp.exp(-((distance - jnp.linspace(0.5, 5.5, 16)) ** 2))
        pair = jnp.concatenate([elements.sum(1), elements.prod(1), radial], axis=-1)
        for _ in range(2):
            pair = nn.silu(nn.Dense(self.hidden)(pair))
        return nn.Dense(self.outputs)(pair)


qc_jax.register("bonds", Bonds)
table = qc_jax.open_table("gfn2_xtb")
task = qc_jax.prepare(table, "e_homo_ev", split="random", seed=42)
run = qc_jax.fit(qc_jax.create("bonds"), task, qc_jax.TrainConfig(epochs=30, lr=3e-3))
run.predict(["Ag_Al", "C_O"])
# %% [markdown]
# The score stands beside two baselines: the median of the training labels, and a constant an element.
# %%
score = run.score()
score.result["test"]["e_homo_ev"]
# %% [markdown]
# How the errors fell, and what a directory keeps.
# %%
import matplotlib.pyplot as plt

plt.plot([line["epoch"] for line in run.history], [line["validation_mae"]["e_homo_ev"] for line in run.history])
plt.xlabel("epoch")
plt.ylabel("validation MAE (eV)");
# %%
run.save("bonds")
qc_jax.load("bonds").predict(["Ag_Al", "C_O"])
