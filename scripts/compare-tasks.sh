#!/bin/sh
# What pre-training is worth: every task from a run, from scratch, and blind (from the run, pictures hidden), three seeds.
# usage: compare-tasks.sh RUN OUT [STEPS]; then `cargo xtask mean OUT`
set -eu
run=$1
out=$2
steps=${3:-150}
vlp=${VLP:-cargo run -q -p vlp --}
for seed in 1 2 3; do
    for task in vqa nlvr2 snli-ve retrieval caption detection; do
        tune() { $vlp finetune $task --from "$run" --steps "$steps" --seed $seed "$@"; }
        tune --out "$out/$task-run-$seed"
        tune --out "$out/$task-scratch-$seed" --scratch
        tune --out "$out/$task-blind-$seed" --set data.blind=true
    done
done
