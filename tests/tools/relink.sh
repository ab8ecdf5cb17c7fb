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

outputs=scores
results() { # IMAGE FILE ENGINE: what comes of x.npy, all outputs one after the other
    options=
    files=
    for o in $outputs; do
        options="$options -o $o=$o.npy"
        files="$files $o.npy"
    done
    # shellcheck disable=SC2086
    "$bin/wse-run" "$1" -e "$3" -i x.npy $options >/dev/null
    # shellcheck disable=SC2086
    cat $files >"$2"
}

relink() { # IMAGE NAME: by NAME.xml to NAME.wse, with the same results
    "$bin/wsec" --relink "$1" --defects="$2.xml" -o "$2.wse" >"$2.txt"
    results "$2.wse" values.out values
    results "$2.wse" core.out core
    cmp y.out values.out
    cmp y.out core.out
    "$bin/wsec" --check-native "$2.wse" >/dev/null
    [ "$(timing "$2.wse")" != "$(timing "$1")" ] || fail "$2: times did not change"
    echo "$2: $(cat "$2.txt")"
}

"$bin/kit" npy x.npy f32 7 3 28 28 1
"$bin/wsec" "$root/examples/lenet.dsl" -m wse2-64x64 \
    -w "$root/examples/weights/lenet.safetensors" -o model.wse
results model.wse y.out core

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

# One stream to three kernels that stand apart, by routers that send it two ways. From where it
# was moved to its ways are to be found again, and it moves on.
cat >fork.dsl <<DSL
model fork(image: f32[16]) -> (one: f32[10], two: f32[6], three: f32[8]) {
    x = relu(linear(image, 2, name = "stem"))
    one = linear(x, 10, name = "a")
    two = linear(x, 6, name = "b")
    three = linear(x, 8, name = "c")
}
DSL
cat >fork.xml <<XML
<constraints>
  <pin kernel="a" x="30" y="4"/>
  <pin kernel="b" x="30" y="56"/>
  <pin kernel="c" x="4" y="30"/>
  <pin kernel="stem" x="50" y="30"/>
</constraints>
XML
outputs="one two three"
"$bin/kit" npy x.npy f32 7 3 16
"$bin/wsec" fork.dsl -m wse2-64x64 -w random:3 --constraints fork.xml -q -o fork.wse \
    --dump-routing forks.xml
[ "$(grep -c ' forks="' forks.xml)" = 2 ] || fail "fork: it does not"
results fork.wse y.out core
n=0
for at in "28 0 8 8" "25 53 9 6" "0 28 9 5" "46 30 10 9" "20 19 21 6" "40 20 3 30"; do
    set -- $at
    n=$((n + 1))
    echo "<defects><hole x=\"$1\" y=\"$2\" w=\"$3\" h=\"$4\"/></defects>" >"fork$n.xml"
    relink fork.wse "fork$n"
    "$bin/wsec" --relink "fork$n.wse" --defects="fork$n.xml" -o none.wse \
        --dump-routing after.xml >/dev/null
    grep -q ' forks="' after.xml || fail "fork$n: no forks in it"
done
echo '<defects><hole x="0" y="24" w="30" h="6"/></defects>' >on.xml
relink fork6.wse on

# Residual blocks: a branch goes on behind the consumer of its trunk. With this map a hole is in
# front of where the first of the two would stand best.
outputs=scores
"$bin/kit" npy x.npy f32 7 3 784
"$bin/wsec" "$root/examples/residual.dsl" -D blocks=2 -D width=48 --max-cores=900 -w random:3 \
    -m wse2-64x64 -q -o blocks.wse --dump-routing blocks.xml
[ "$(grep -c ' trunk="' blocks.xml)" = 2 ] || fail "blocks: no branches"
results blocks.wse y.out core
echo '<defects><hole x="47" y="37" w="5" h="6"/><hole x="1" y="10" w="8" h="6"/></defects>' >front.xml
relink blocks.wse front

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
