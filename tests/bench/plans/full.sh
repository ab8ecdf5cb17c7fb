#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Layers of width 4096 on a whole wse2 fill it, no slower than 1.1 times the bound of their
# shapes: full.sh BIN ROOT SCRATCH
set -eu
bin=$1 root=$2 scratch=$3
mkdir -p "$scratch"
for layers in 8 16; do
    "$bin/wsec" "$root/tests/bench/plans/mlp.dsl" -D layers=$layers -D T=f16 --weights none --estimate -q \
        --report "$scratch/full.json"
    awk -v layers=$layers '
        /^"cores":/ { gsub(/[^0-9 ]/, ""); share = $1 / (750 * 994); cycles = $2 }
        /^"bounds":/ { sub(/.*"shapes": /, ""); shapes = $0 + 0 }
        END {
            printf "%d layers: %d cycles a sample, bound %d, %.1f %% of the cores\n", layers, cycles, shapes,
                100 * share
            exit !(shapes > 0 && cycles <= 1.1 * shapes && share > 0.9)
        }' "$scratch/full.json"
done
