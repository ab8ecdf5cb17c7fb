#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Same model, same options: same bytes. reproducible.sh places|threads|builds BIN ROOT SCRATCH TYPE
#
# places   from another folder, by another path; and no path is in the image
# threads  with 1 and 2 threads of the compiler
# builds   from a compiler of another build type (TYPE is that of BIN), which is built for it
set -eu
what=$1 bin=$2 root=$3 scratch=$4/reproducible-$1 type=$5
rm -rf "$scratch/a" "$scratch/b"
mkdir -p "$scratch/a" "$scratch/b/deeper"
other=$bin/wsec
if [ "$what" = builds ]; then
    opposite=Debug
    [ "$type" = Debug ] && opposite=Release
    cmake -S "$root" -B "$scratch/build" -G Ninja -DCMAKE_BUILD_TYPE=$opposite -DWSEC_TESTS=OFF
    cmake --build "$scratch/build" --target wsec
    other=$scratch/build/bin/wsec
fi

for model in mlp residual lenet; do
    weights=$root/examples/weights/$model.safetensors
    (cd "$scratch/a" && "$bin/wsec" "$root/examples/$model.dsl" -w "$weights")
    case $what in
    places)
        cp "$root/examples/$model.dsl" "$weights" "$scratch/b/deeper"
        (cd "$scratch/b" && "$bin/wsec" "deeper/$model.dsl" -w "deeper/$model.safetensors" \
            -o "other-$model.wse")
        mv "$scratch/b/other-$model.wse" "$scratch/b/$model.wse"
        if grep -qaF -e "$root" -e "$scratch" -e deeper/ "$scratch/a/$model.wse" \
            "$scratch/b/$model.wse"; then
            echo "$model.wse holds a path" >&2
            exit 1
        fi
        ;;
    threads)
        (cd "$scratch/b" && "$bin/wsec" "$root/examples/$model.dsl" -w "$weights" -j 2)
        ;;
    builds)
        (cd "$scratch/b" && "$other" "$root/examples/$model.dsl" -w "$weights")
        ;;
    esac
    cmp "$scratch/a/$model.wse" "$scratch/b/$model.wse"
    echo "$model: $(wc -c <"$scratch/a/$model.wse") equal bytes"
done
