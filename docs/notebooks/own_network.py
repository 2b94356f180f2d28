# %% [markdown]
# # A network of your own on QuantumCanvas, in 30 lines
#
# A subclass of `Architecture` is a model like those of the package: trained, scored, saved and opened the same way.
# %%
import flax.linen as nn
import jax.numpy as jnp

import qc_jax
from qc_jax.models import Architecture, pair


class Bonds(Architecture):
    """Embeddings of both elements and radial functions of their distance, through an MLP."""

    max_atomic_number: int = 96
    outputs: int = 1
    hidden: int = 64
    as_pairs = True  # an atom alone among pairs is an error

    @nn.compact
    def __call__(self, batch, train=False):
        numbers, distance = pair(batch)  # [B, 2], [B, 1] Å; of other structures an error
        embed = nn.Embed(self.max_atomic_number + 1, self.hidden, name="elements")
        elements = embed(numbers)  # [B, 2, H]
        radial = jnp.exp(-((distance - jnp.linspace(0.5, 5.5, 16)) ** 2))
        x = jnp.concatenate([elements.sum(1), elements.prod(1), radial], axis=-1)
        for _ in range(2):
            x = nn.silu(nn.Dense(self.hidden)(x))
        return nn.Dense(self.outputs)(x)


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
