#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# LeNet for wse2 with every check, from the start of the program to the file: processor time,
# user and system. The aim is less than a second. second.sh BIN ROOT OUT
set -eu
bin=$1 root=$2 out=$3
mkdir -p "$out"
"$bin/wsec" --version >/dev/null # in the file cache
"$bin/wsec" "$root/examples/lenet.dsl" --machine wse2 --verify-each \
    --weights "$root/examples/weights/lenet.safetensors" -o "$out/lenet.wse"
times >"$out/lenet.times" # of this shell, then of the commands above
tail -n 1 "$out/lenet.times"
