#!/usr/bin/env bash
# One machine with any number of GPUs, after `pip install -e '.[cuda]'`.
set -euo pipefail
cd "$(dirname "$0")/../.."

python -m experiments.train \
    --config=experiments/configs/egnn.py \
    --workdir="${1:?usage: gpu.sh WORKDIR}" \
    --config.sweep.target=all --config.sweep.seed=42,123,456
