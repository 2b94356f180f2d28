#!/usr/bin/env bash
# Several machines under Slurm: sbatch experiments/launch/slurm.sh WORKDIR
#SBATCH --job-name=qc_jax
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=8
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=8
#SBATCH --time=04:00:00
#SBATCH --signal=TERM@120
#SBATCH --requeue
# SIGTERM comes two minutes before the time is over; a requeued job goes on where this one stopped.
# JAX gives task i of a machine its GPU i: a task for each, all of which see all GPUs of the machine.
set -euo pipefail
cd "${SLURM_SUBMIT_DIR:?started by sbatch, from the repository}"
# shellcheck disable=SC1091
. .venv/bin/activate

srun --gpu-bind=none --kill-on-bad-exit=1 python -m experiments.train --distributed \
    --config=egnn \
    --workdir="${1:?usage: sbatch slurm.sh WORKDIR}" \
    --config.checkpoint_minutes=5 \
    --config.sweep.target=all --config.sweep.seed=42,123,456
