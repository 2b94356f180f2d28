# %% [markdown]
# # Fine-tuning and dynamics
#
# A network trained on pairs is fine-tuned on frames of a molecule, here water, with energies and forces by
# GFN2-xTB; then the atoms move on what it learned.
# %%
import ase.io
import matplotlib.pyplot as plt
import numpy as np
from ase import units
from ase.build import molecule
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import thermalize_momenta
from ase.md.verlet import VelocityVerlet
from tblite.ase import TBLite

import qc_jax

atoms = molecule("H2O")
atoms.calc = TBLite(method="GFN2-xTB", verbosity=0)
rng = np.random.default_rng(0)
thermalize_momenta(atoms, temperature_K=600, rng=rng)
teacher = Langevin(atoms, 0.5 * units.fs, temperature_K=600, friction=0.02 / units.fs, rng=rng, fixcm=False)
frames = []
for _ in range(200):
    teacher.run(5)
    frames.append(atoms.copy())
    frames[-1].info["REF_energy"] = atoms.get_potential_energy()
    frames[-1].arrays["REF_forces"] = atoms.get_forces()
ase.io.write("water.xyz", frames, format="extxyz")
# %% [markdown]
# First pairs, then water. Weights are taken over by name and shape; energies lose an offset, which the saved run
# keeps and gives back.
# %%
pairs = qc_jax.prepare(qc_jax.open_table("gfn2_xtb"), "total_energy_ev", seed=42)
model = qc_jax.create("schnet", hidden=32, filters=32, gaussians=32)
pretrained = qc_jax.fit(model, pairs, qc_jax.TrainConfig(epochs=5))

data = qc_jax.open_data("extxyz:water.xyz?energy=REF_energy&forces=REF_forces")
task = qc_jax.prepare(data, "total_energy_ev", seed=42)
config = qc_jax.TrainConfig(epochs=60, lr=2e-3, batch_size=16, force_weight=1.0, early_stopping_patience=60)
run = qc_jax.fit(model, task, config, initial=pretrained.variables)
held_out = [frames[int(name.split("_")[-1])] for name in run.split["test"]]
energies = np.array([frame.info["REF_energy"] for frame in held_out])
error = run.predict(held_out)[:, 0] - energies
print(f"{len(held_out)} test frames: MAE {1000 * np.abs(error).mean():.1f} meV, labels' std {1000 * energies.std():.1f} meV")
# %% [markdown]
# Any ASE code runs on it. Total energy is conserved as well as the network is smooth.
# %%
water = frames[0].copy()
water.calc = qc_jax.Calculator(run)
thermalize_momenta(water, temperature_K=300, rng=rng)
dynamics = VelocityVerlet(water, 0.25 * units.fs)
total = []
for _ in range(100):
    dynamics.run(1)
    total.append(water.get_total_energy())
plt.plot(0.25 * np.arange(100), 1000 * (np.array(total) - total[0]))
plt.xlabel("time (fs)")
plt.ylabel("change of the total energy (meV)")
print(f"energy of the first frame: {run.predict([frames[0]])[0, 0]:.3f} eV; by GFN2-xTB {frames[0].info['REF_energy']:.3f} eV")
