#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# One example on one machine: classify.sh BIN ROOT OUT MODEL TYPE MACHINE
#
# All test images on the fabric: the accuracy is within 0.1 percentage points of the reference
# evaluator's, f32 scores within 1e-4 relative + 1e-5. The first 20 images on the core engine:
# the same bits, the same cycles. The MLPs would spread over some ten thousand cores of a whole
# wafer; computing 10,000 images on so many takes minutes, so the accuracy is taken with 4,000
# cores, the comparison of the engines with all of them.
set -eu
bin=$1 root=$2 out=$3 model=$4 type=$5 machine=$6
name="$out/$model-$type-$machine"
reference="$out/$model-$type-reference.npy"
input=vectors
[ "$model" = lenet ] && input=images

compile() {
    "$bin/wsec" -q "$root/examples/$model.dsl" -D T="$type" --machine "$machine" \
        --weights "$root/examples/weights/$model.safetensors" -o "$name.wse" "$@"
}
compile --max-cores=4000
expected=
[ "$type" = f32 ] && expected="--expected scores=$reference --rtol 1e-4 --atol 1e-5"
# shellcheck disable=SC2086
"$bin/wse-run" "$name.wse" --input "image=$out/$input.npy" --output "scores=$name.npy" -j 2 $expected

percent() {
    "$bin/fashion" accuracy "$1" "$out/labels.npy" | sed 's/.*: \(.*\) %/\1/'
}
ours=$(percent "$name.npy")
theirs=$(percent "$reference")
echo "accuracy: fabric $ours %, reference $theirs %"
"$bin/fashion" agree "$name.npy" "$reference"
awk "BEGIN { d = $ours - $theirs; exit !(d <= 0.1 && d >= -0.1) }"

compile
for engine in core default; do
    "$bin/wse-run" "$name.wse" --input "image=$out/$input.npy" -n 20 --engine=$engine \
        --output "scores=$name-$engine.npy" --stats "$name-$engine.json"
    grep -E '"(cycles|first_result_cycles|operations|words_hopped)":' "$name-$engine.json" \
        >"$name-$engine.times"
done
cmp "$name-core.npy" "$name-default.npy"
diff "$name-core.times" "$name-default.times"
