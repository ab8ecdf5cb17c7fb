#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Compiling depends on the network, not on the wafer: the MLP for 32 x 32 and for 750 x 994 cores,
# both with --max-cores=900. Instructions (callgrind) and bytes of the image must stay below 1.5
# times: grid.sh BIN ROOT OUT
set -eu
bin=$1 root=$2 out=$3
mkdir -p "$out"

# What callgrind counted; the image is left in $out/NAME.wse.
work() {
    valgrind --tool=callgrind --callgrind-out-file="$out/$1.callgrind" "$bin/wsec" \
        "$root/examples/mlp.dsl" --weights "$root/examples/weights/mlp.safetensors" \
        --max-cores=900 --machine "$2" -o "$out/$1.wse" 2>"$out/$1.log" ||
        { cat "$out/$1.log" >&2; exit 1; }
    sed -n 's/^.*Collected : *\([0-9]*\).*$/\1/p' "$out/$1.log"
}
small=$(work small "$root/tests/bench/wse2-32x32.xml")
large=$(work large wse2)
small_bytes=$(wc -c <"$out/small.wse")
large_bytes=$(wc -c <"$out/large.wse")
awk -v a="$small" -v b="$large" -v c="$small_bytes" -v d="$large_bytes" 'BEGIN {
    printf "32 x 32:   %12d instructions, image of %d bytes\n", a, c
    printf "750 x 994: %12d instructions, image of %d bytes\n", b, d
    printf "ratio:     %12.3f               %9.3f\n", b / a, d / c
    exit !(a > 0 && c > 0 && b < 1.5 * a && d < 1.5 * c && a < 1.5 * b && c < 1.5 * d)
}'
