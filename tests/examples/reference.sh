#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The reference evaluator on all test images: reference.sh BIN ROOT OUT MODEL TYPE
set -eu
bin=$1 root=$2 out=$3 model=$4 type=$5
input=vectors
[ "$model" = lenet ] && input=images
"$bin/wsec" "$root/examples/$model.dsl" -D T="$type" -j 2 --interpret \
    --weights "$root/examples/weights/$model.safetensors" \
    --input "image=$out/$input.npy" --result "scores=$out/$model-$type-reference.npy"
"$bin/fashion" accuracy "$out/$model-$type-reference.npy" "$out/labels.npy"
