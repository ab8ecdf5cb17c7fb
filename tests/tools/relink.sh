#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# wsec --relink: a finished image goes on a wafer with holes, without its model, and computes the
# same. relink.sh BIN ROOT SCRATCH
set -eu
bin=$1 root=$2 scratch=$3/relink
rm -rf "$scratch"
mkdir -p "$scratch"
cd "$scratch"

fail() {
    echo "$*" >&2
    exit 1
}

place() { # IMAGE KERNEL: x y w h
    "$bin/wse-objdump" --placement "$1" | awk -v k="$2" '$1 == k { print $3, $4, $5, $6; exit }'
}

timing() { # IMAGE: cycles in all, a sample and of the first
    "$bin/wse-run" "$1" -e times -n 5 | head -n 2
}

relink() { # IMAGE NAME: by NAME.xml to NAME.wse, with the same results
    "$bin/wsec" --relink "$1" --defects="$2.xml" -o "$2.wse" >"$2.txt"
    "$bin/wse-run" "$2.wse" -i x.npy -o "$2.npy" >/dev/null
    "$bin/wse-run" "$2.wse" -e core -i x.npy -o core.npy >/dev/null
    cmp y.npy "$2.npy"
    cmp y.npy core.npy
    "$bin/wsec" --check-native "$2.wse" >/dev/null
    [ "$(timing "$2.wse")" != "$(timing "$1")" ] || fail "$2: times did not change"
    echo "$2: $(cat "$2.txt")"
}

"$bin/kit" npy x.npy f32 7 3 28 28 1
"$bin/wsec" "$root/examples/lenet.dsl" -m wse2-64x64 \
    -w "$root/examples/weights/lenet.safetensors" -o model.wse
"$bin/wse-run" model.wse -i x.npy -o y.npy >/dev/null

# What the spares make up for moves nothing.
"$bin/kit" defects 88 64 3 60 10 0 >spares.xml
relink model.wse spares
grep -q "all cores that the image uses are there$" spares.txt || fail "spares: kernels moved"

# A hole in the middle of the largest kernel: it moves, others do not need to.
hole() { # IMAGE NAME
    set -- $(place "$1" conv2) "$2"
    cat >"$5.xml" <<XML
<defects>
  <hole x="$(($1 + $3 / 2 - 3))" y="$(($2 + $4 / 2 - 1))" w="7" h="3"/>
  <core x="60" y="60"/>
</defects>
XML
}
hole model.wse hole
relink model.wse hole
grep -q "^  conv2 from" hole.txt || fail "hole: conv2 did not move"
[ "$(grep -c " from " hole.txt)" -le 2 ] || fail "hole: more moved than had to"

# Pictures and dumps of what was written; where nothing moves, the ways are those of the compile.
"$bin/wsec" "$root/examples/lenet.dsl" -m wse2-64x64 --estimate -q \
    -w "$root/examples/weights/lenet.safetensors" --dump-routing before.xml
echo '<defects/>' >none.xml
"$bin/wsec" --relink model.wse --defects=none.xml -o none.wse --placed-svg none.svg \
    --routed-svg heat.svg --dump-placement placement.xml --dump-routing after.xml >/dev/null
cmp before.xml after.xml
"$bin/wsec" --relink model.wse --defects=hole.xml -o hole.wse --placed-svg hole.svg >/dev/null
grep -q "hole of" hole.svg || fail "hole.svg: no hole in it"
grep -q "conv2 -&gt; fc1" none.svg || fail "none.svg: no streams in it"
"$bin/wsec" "$root/examples/lenet.dsl" -m wse2-64x64 --estimate -q \
    -w "$root/examples/weights/lenet.safetensors" --from-placement placement.xml

# The rows of the ports: everything at the west edge goes.
echo '<defects><hole x="0" y="0" w="6" h="40"/></defects>' >edge.xml
relink model.wse edge
"$bin/wse-objdump" --placement edge.wse | awk '$3 ~ /^[0-9]+$/ && $2 ~ /^[a-z]+$/ && NF > 8 &&
    $3 < 6 && $4 < 40 { bad = 1 } END { exit bad }' || fail "edge: a kernel stands in the hole"

# Moved on from there; the same bytes again.
hole edge.wse later
relink edge.wse later
"$bin/wsec" --relink edge.wse --defects=later.xml -o again.wse >/dev/null
cmp later.wse again.wse

# Nearly all is gone.
echo '<defects><hole x="0" y="0" w="88" h="62"/></defects>' >gone.xml
code=0
"$bin/wsec" --relink model.wse --defects=gone.xml -o gone.wse 2>gone.txt || code=$?
[ "$code" = 3 ] || fail "gone: exit code $code"
[ ! -e gone.wse ] || fail "gone: an image was written"
grep -q "kernel 'conv2' of .* stands on: hole of 64 x 62 dead cores" gone.txt || fail "gone: $(cat gone.txt)"

# The same sweep from any number of threads; every wafer counts.
"$bin/wsec" --yield-sweep=12 model.wse --seed 5 --defect-rate 0.08 >one.txt
"$bin/wsec" --yield-sweep=12 model.wse --seed 5 --defect-rate 0.08 -j 2 >two.txt
cmp one.txt two.txt
awk 'NR > 1 && NR < 5 { n += $1 } END { exit n != 12 }' one.txt || fail "$(cat one.txt)"
sed 's/^/yield: /' one.txt
