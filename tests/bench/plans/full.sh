#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Layers of width 4096 on a whole wse2 fill it, whatever else is asked for: each line has how much
# slower than the bound of their shapes they may be, and none is faster: full.sh BIN ROOT SCRATCH
set -eu
bin=$1 root=$2 scratch=$3
mkdir -p "$scratch"

# check TIMES SHARE MODEL OPTION...: so much slower than the bound at most, on so many of the cores
check() {
    times=$1 least=$2 model=$3
    shift 3
    "$bin/wsec" "$root/tests/bench/plans/$model.dsl" "$@" --weights none --estimate -q \
        --report "$scratch/full.json"
    awk -v least="$least" -v times="$times" -v what="$model $*" '
        /^"cores":/ { gsub(/[^0-9 ]/, ""); share = $1 / (750 * 994); cycles = $2 }
        /^"bounds":/ { sub(/.*"shapes": /, ""); shapes = $0 + 0 }
        END {
            printf "%s: %d cycles a sample, bound %d, %.1f %% of the cores\n", what,
                cycles, shapes, 100 * share
            exit !(shapes > 0 && cycles <= times * shapes && cycles >= shapes && share > least)
        }' "$scratch/full.json"
}

# plan TIMES LAYERS OPTION...
plan() {
    times=$1 layers=$2
    shift 2
    check "$times" 0.7 mlp -D layers="$layers" -D T=f16 "$@"
}

# constrain NAME ELEMENT
constrain() {
    echo "<constraints>$2</constraints>" >"$scratch/$1.xml"
}

constrain corner '<keep-out name="corner" x="0" y="0" w="100" h="100"/>'
constrain middle '<keep-out name="middle" x="325" y="447" w="100" h="100"/>'
constrain pin '<pin kernel="fc7" x="100" y="300"/>'
constrain area '<area kernel="fc5" max-cores="40000"/>'

# What both a skip and the next kernel take is sent once; the bound knows.
constrain row '<pin kernel="b0.in" x="30" y="400" w="171" h="128"/>
    <pin kernel="b0.out" x="202" y="400" w="171" h="128"/>
    <pin kernel="b1.in" x="373" y="400" w="171" h="128"/>
    <pin kernel="b1.out" x="544" y="400" w="171" h="128"/>'

check 1.1 0.7 mlp -D layers=6
check 1.08 0.9 mlp -D layers=9
check 1.06 0.9 mlp -D layers=25
plan 1.1 8
plan 1.1 16
plan 1.1 16 --objective=latency
plan 1.1 16 --constraints "$scratch/area.xml"
plan 1.2 16 --constraints "$scratch/corner.xml"
plan 1.25 16 --constraints "$scratch/middle.xml"
plan 1.3 16 --constraints "$scratch/pin.xml"
check 1.05 0.2 residual -D blocks=2
check 1.02 0.4 residual -D blocks=4
check 1.1 0.6 residual -D blocks=6
check 1.1 0.8 residual -D blocks=8
check 1.25 0.8 residual -D blocks=16
check 1.02 0.8 residual -D blocks=8 -D width=4096
check 1.1 0.1 residual -D blocks=2 --constraints "$scratch/row.xml"
