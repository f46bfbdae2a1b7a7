#!/bin/sh
# SOHO in miniature with its dictionary and masked visual modelling against neither: same steps, three seeds.
# usage: ablate-dictionary.sh OUT [STEPS]; then `cargo xtask mean OUT`
set -eu
out=$1
steps=${2:-600}
for seed in 1 2 3; do
    run() { ${VLP:-cargo run -q -p vlp --} pretrain --preset soho-tiny --steps "$steps" --seed "$seed" "$@"; }
    run --out "$out/with-$seed"
    run --out "$out/without-$seed" --set model.quantizer=off --set objectives.mvm=off
done
