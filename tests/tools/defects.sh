#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A wafer with dead cores computes what a perfect one does, at other times.
# defects.sh BIN ROOT SCRATCH [MAX-CORES]
#
# Per line below: a network on a machine, a map of so many dead cores of 1,000 and some dead
# links, where 50 at least lie inside of kernels. Results equal those of the perfect wafer bit for bit,
# in the core engine too, whose times are those of the times engine. The last network takes 50,000
# cores of 48 KB each, which sanitizers make gigabytes of: they give it fewer, MAX-CORES.
set -eu
bin=$1 root=$2 scratch=$3/defects most=${4:-60000}
rm -rf "$scratch"
mkdir -p "$scratch"
cd "$scratch"

cycles() { # of a run's first line
    sed -n '1s/.* \([0-9]*\) cycles .*/\1/p' "$1"
}

check() { # MODEL MACHINE WIDTH HEIGHT DEAD SAMPLES EXTENT...
    model=$1 machine=$2 width=$3 height=$4 dead=$5 samples=$6
    shift 6
    "$bin/kit" npy x.npy f32 7 "$samples" "$@"
    weights=$root/examples/weights/$model.safetensors
    "$bin/wsec" "$root/examples/$model.dsl" -m "$machine" -w "$weights" \
        --max-cores="$most" -o perfect.wse
    first=$("$bin/wse-objdump" --placement perfect.wse | awk '
        $1 == "streams" { print n; exit } # behind the kernels
        $3 ~ /^[0-9]+$/ && (n == "" || $3 < n) { n = $3 }')
    "$bin/kit" defects "$width" "$height" 5 "$dead" 20 "$first" >map.xml
    "$bin/wsec" "$root/examples/$model.dsl" -m "$machine" -w "$weights" --max-cores="$most" \
        --defects=map.xml -o dead.wse
    inside=$("$bin/wse-objdump" --machine dead.wse | sed -n 's/^of them inside kernels *//p')
    [ "$inside" -ge 50 ] || { echo "only $inside dead cores inside of kernels" >&2 && exit 1; }
    "$bin/wse-run" perfect.wse -i x.npy -o perfect.npy >perfect.txt
    "$bin/wse-run" dead.wse -i x.npy -o dead.npy >dead.txt
    "$bin/wse-run" dead.wse -i x.npy -o core.npy -e core >core.txt
    cmp perfect.npy dead.npy
    cmp perfect.npy core.npy
    p=$(cycles perfect.txt) d=$(cycles dead.txt) c=$(cycles core.txt)
    echo "$model on $machine: $inside dead cores inside of kernels, $p -> $d cycles"
    [ -n "$p" ] && [ "$p" != "$d" ] && [ "$d" = "$c" ]
}

check lenet wse2-64x64 88 64 240 3 28 28 1
check lenet wse2 774 994 240 2 28 28 1
check mlp wse2-64x64 88 64 40 3 784
check mlp wse2 774 994 20 1 784
