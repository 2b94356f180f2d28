#!/usr/bin/env bash
# Measures a machine with a GPU in a few minutes and leaves JSON, logs and a profile in OUT.
#
#   experiments/launch/h200.sh OUT [MINUTES]
#
# MINUTES (13) is all that it may take: steps that do not fit any more are left out and said so, and
# the benchmark is asked to stop (SIGTERM), which it does between epochs; the same command with the
# same OUT goes on. Without network, put the wheels that are missing into WHEELS=DIR
# (`pip download -d DIR 'jax[cuda12]' -e .` on a machine that has one). SMALL=1 takes sizes for a
# CPU, to try the script.
set -uo pipefail
out="${1:?usage: h200.sh OUT [MINUTES]}"
minutes="${2:-13}"
mkdir -p "$out"
out="$(cd "$out" && pwd)"
cd "$(dirname "$0")/../.."
end=$((SECONDS + 60 * minutes))

if ! python3 -c 'import qc_jax, jax, orbax.checkpoint' 2>/dev/null; then
    python3 -m venv "$out/venv" && . "$out/venv/bin/activate" || exit 1
    pip install -q ${WHEELS:+--no-index --find-links "$WHEELS"} -e '.[cuda]' || exit 1
fi

if [ -n "${SMALL:-}" ]; then
    stacks=1,2 batches=64,128 models=schnet
    benchmark=(--models=schnet --targets=e_g_ev --seeds=42 --epochs=2)
    train=(--config.epochs=2)
else
    stacks=1,8,60 batches=4096,32768 models=schnet,egnn,vit
    benchmark=() train=()
fi

# step NAME MOST_SECONDS COMMAND…: runs it for as long as there is time, keeps its output.
step() {
    local name="$1" most="$2" left=$((end - SECONDS))
    shift 2
    if [ "$left" -lt 20 ]; then
        echo "$name: left out, no time" | tee -a "$out/steps.txt"
        return
    fi
    local start=$SECONDS
    timeout --signal=TERM --kill-after=60 "$((most < left ? most : left))" "$@" >"$out/$name.log" 2>&1
    echo "$name: exit $?, $((SECONDS - start)) s" | tee -a "$out/steps.txt"
    tail -n 15 "$out/$name.log"
}

rm -f "$out"/*.json
step devices 60 python3 -c 'import jax; print(jax.__version__, jax.devices())'
command -v nvidia-smi >/dev/null && nvidia-smi >"$out/nvidia-smi.txt"
step canvas 60 python3 -m experiments.speed --what=canvas --batch="$batches" --out="$out/canvas.json"
step densities 90 python3 -m experiments.speed --what=densities --batch="$batches" --out="$out/densities.json"
step grid 180 python3 -m experiments.speed --what=grid --models="$models" --stack="$stacks" --rounds=3 \
    --out="$out/grid.json"
step profile 60 python3 -m experiments.speed --what=grid --models=schnet --stack=1 --rounds=1 --profile="$out/profile"
for precision in float32 tf32 bfloat16; do
    step "train_$precision" 60 python3 -m experiments.train --config=egnn --workdir="$out/egnn_$precision" \
        --config.precision="$precision" ${train[@]+"${train[@]}"}
done
step benchmark 600 python3 -m experiments.benchmark --preset=published --workdir="$out/benchmark" \
    ${benchmark[@]+"${benchmark[@]}"}
cat "$out/steps.txt"
