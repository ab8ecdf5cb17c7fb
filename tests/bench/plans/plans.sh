#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Plans networks on wse2 without weights and prints a table: plans.sh WSEC [WSEC ...]
#
# Of several compilers every cell has a figure of each, in their order. CASES picks networks
# (words of the list below), LIMIT is the CPU seconds a plan may take, OUT keeps the reports.
# The bound is the largest of compute, memory and host; that of the kernels' shapes stands beside
# it where a compiler reports one; "times" is what the slowest kernel takes of it.
# Seconds are CPU time of the whole run, memory is the peak of its resident pages, sampled.
# Behind the table: how the CPU time of the chains grows, as an exponent fitted to the logarithms.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
examples=$here/../../../examples
limit=${LIMIT:-120}
stopped=152 # by SIGXCPU
out=${OUT:-$(mktemp -d)}
mkdir -p "$out"
[ $# -gt 0 ] || { echo "usage: plans.sh WSEC [WSEC ...]" >&2; exit 2; }

all="mlp residual lenet mlp4096x4 mlp4096x8 mlp4096x16 mlp4096x32 mlp4096x64"
all="$all chain30 chain100 chain300 chain500 chain1000 chain3000"

model() {
    case $1 in
    mlp4096x*) echo "$here/mlp.dsl -D width=4096 -D layers=${1#mlp4096x}" ;;
    chain*) echo "$here/chain.dsl -D kernels=${1#chain}" ;;
    *) echo "$examples/$1.dsl" ;;
    esac
}

# watch PID: the peak memory in KB of a process that is running.
watch() {
    peak=0
    while [ -e "/proc/$1/status" ]; do
        kb=
        while read -r key value _; do
            [ "$key" != VmHWM: ] || kb=$value
        done <"/proc/$1/status"
        [ -n "$kb" ] || break
        peak=$kb
        sleep 0.05
    done 2>/dev/null
    echo "$peak"
}

# run WSEC CASE STEM: STEM.json, STEM.cost (seconds, KB, exit code). The compiler runs in a shell of
# its own, with no other children whose time would count.
run() {
    rm -f "$3.json" "$3.pid"
    (
        # shellcheck disable=SC3045
        ulimit -S -t "$limit"
        # shellcheck disable=SC2046
        "$1" -q --estimate --weights none --report "$3.json" $(model "$2") >"$3.err" 2>&1 &
        echo $! >"$3.pid"
        code=0
        wait $! || code=$?
        echo "$code" >"$3.code"
        times >"$3.times"
    ) 2>/dev/null &
    while [ ! -s "$3.pid" ]; do sleep 0.01; done
    kb=$(watch "$(cat "$3.pid")")
    wait $!
    awk -v kb="$kb" -v code="$(cat "$3.code")" 'NR == 2 {
        for (i = 1; i <= 2; i++) { split($i, t, /[ms]/); s += 60 * t[1] + t[2] }
        print s, kb, code }' "$3.times" >"$3.cost"
}

# cells STEM: one figure a line.
cells() {
    read -r seconds kb code <"$1.cost"
    if [ "$code" -eq "$stopped" ] || [ ! -s "$1.json" ]; then
        why="exit $code"
        [ "$code" -ne "$stopped" ] || why="none in $limit s"
        [ "$code" -ne "$stopped" ] || seconds="> $limit"
        printf '%s\n' - "$seconds" - "$((kb / 1024))" "$why" - - - - - -
        return
    fi
    awk -v seconds="$seconds" -v mb="$((kb / 1024))" '
    function get(key,   s) {
        if (!match($0, "\"" key "\": *\"?[^,\"}]*")) return 0
        s = substr($0, RSTART, RLENGTH)
        sub(/^"[^"]*": *"?/, "", s)
        return s
    }
    function pass(name,   s) {
        if (!match($0, "\"name\": \"" name "\", \"seconds\": [0-9.]*")) return 0
        s = substr($0, RSTART, RLENGTH)
        sub(/.*: /, "", s)
        return s + 0
    }
    /^"width"/ { all = get("width") * get("height") }
    /^"cores"/ { cores = get("cores"); cycles = get("cycles_per_sample") }
    /^"bounds"/ {
        n = split("compute memory host", kinds, " ")
        for (i = 1; i <= n; i++) if (get(kinds[i]) + 0 > bound) bound = get(kinds[i]) + 0
        shapes = get("shapes") + 0
    }
    /"kind": / {
        kernels++
        if (get("kind") == "adapter") adapters++
        if (get("cycles") + 0 > most) { most = get("cycles") + 0; slowest = get("name") }
    }
    /"hops": .*"slots"|"slots": .*"hops"/ { wire += get("hops") }
    /"words": .*"side": / { if (get("words") + 0 > hot) hot = get("words") + 0 }
    /^"passes"/ {
        size = pass("size"); place = pass("place"); route = pass("route")
        n = split($0, all_passes, "\"seconds\": ")
        for (i = 2; i <= n; i++) sum += all_passes[i]
    }
    END {
        print kernels
        print seconds
        if (sum > 0) share = 100 / sum
        printf "%d %d %d\n", size * share, place * share, route * share
        print mb
        printf "%d %s\n", most, slowest
        printf "%d %.2f\n", bound, cycles / bound
        if (shapes) printf "%d %.2f\n", shapes, cycles / shapes; else print "-"
        printf "%.1f\n", 100 * cores / all
        print adapters + 0
        print wire
        print hot
    }' "$1.json"
}

echo "| network | kernels | seconds | size place route % | MB | slowest kernel | bound, times |" \
    "shapes' bound, times | cores % | adapters | wire | hottest link |"
echo "|---|---|---|---|---|---|---|---|---|---|---|---|"
for name in ${CASES:-$all}; do
    k=0
    for wsec in "$@"; do
        k=$((k + 1))
        run "$wsec" "$name" "$out/$name.$k"
        cells "$out/$name.$k" >"$out/$name.$k.cells"
    done
    eval "paste -d '|' $(i=1; while [ $i -le $k ]; do printf '%s ' "'$out/$name.$i.cells'"; i=$((i + 1)); done)" |
        awk -v name="$name" '{ gsub(/\|/, ", "); row = row " | " $0 } END { print "| " name row " |" }'
done

k=0
for wsec in "$@"; do
    k=$((k + 1))
    for file in "$out"/chain*."$k".cells; do
        [ -e "$file" ] && sed -n '1p;2p' "$file" | paste -s -d ' '
    done | awk -v wsec="$wsec" '
        $1 > 0 && $2 > 0 { n++; x = log($1); y = log($2); sx += x; sy += y; sxx += x * x; sxy += x * y }
        END { if (n > 1 && n * sxx > sx * sx)
            printf "\n%s: seconds grow as kernels ^ %.2f (%d chains)\n", wsec,
                (n * sxy - sx * sy) / (n * sxx - sx * sx), n }'
done
