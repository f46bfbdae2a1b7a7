#!/bin/sh
# What pre-training is worth: every task from a run, from scratch, and blind (from the run, images hidden), three seeds.
# usage: [TASKS="vqa nlvr2"] compare-tasks.sh RUN OUT [STEPS]; then `cargo xtask mean OUT`
set -eu
run=$1
out=$2
steps=${3:-150}
vlp=${VLP:-cargo run -q -p vlp --}
tasks=${TASKS:-vqa nlvr2 snli-ve retrieval caption detection}
for seed in 1 2 3; do
    for task in $tasks; do
        tune() { $vlp finetune $task --from "$run" --steps "$steps" --seed $seed "$@"; }
        tune --out "$out/$task-run-$seed"
        tune --out "$out/$task-scratch-$seed" --from-scratch
        tune --out "$out/$task-blind-$seed" --set data.hide_images=true
    done
done
