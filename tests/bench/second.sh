#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# LeNet for wse2 with every check takes less than a second of processor time, native code and
# start of the program included: second.sh BIN ROOT OUT
set -eu
bin=$1 root=$2 out=$3
mkdir -p "$out"
[ "$("$bin/wsec" --version >/dev/null && echo yes)" = yes ] # in the file cache
{ time -p "$bin/wsec" "$root/examples/lenet.dsl" --machine wse2 --verify-each \
    --weights "$root/examples/weights/lenet.safetensors" -o "$out/lenet.wse"; } 2>"$out/lenet.time"
cat "$out/lenet.time"
awk '$1 == "user" || $1 == "sys" { s += $2 }
    END { printf "processor time: %.2f s\n", s; exit !(s > 0 && s < 1) }' "$out/lenet.time"
