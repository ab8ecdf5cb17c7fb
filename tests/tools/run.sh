#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Plays a transcript: run.sh BIN ROOT SCRATCH CASE [--update]
#
# A case is a text file. "# ..." is a remark. "$ COMMAND" is run by sh in a fresh folder in which
# 'examples' and 'data' lead to those of the project; "@ COMMAND" too, but nothing it prints
# counts, and it must succeed. Below a command stands what is expected of it: standard output
# as lines "> ...", then standard error as "! ...", then the exit code as "= N" unless it is 0.
# The folder's and the project's paths are printed as SCRATCH and ROOT. With --update the
# expectations are written into the case; look at them before they go in.
set -eu
bin=$1 root=$2 scratch=$3/$(basename "$4" .case) case=$4 update=${5-}
got=$scratch.got
PATH=$bin:$PATH
export PATH
unset NO_COLOR
rm -rf "$scratch"
mkdir -p "$scratch"
ln -s "$root/examples" "$scratch/examples"
ln -s "$root/tests/tools/data" "$scratch/data"
: >"$got"
while IFS= read -r line || [ -n "$line" ]; do
    case $line in
    '$ '*)
        printf '%s\n' "$line" >>"$got"
        code=0
        (cd "$scratch" && eval "${line#??}") >"$scratch.out" 2>"$scratch.err" </dev/null || code=$?
        sed -e "s|$scratch|SCRATCH|g" -e "s|$root|ROOT|g" -e 's/^/> /' -e 's/ *$//' \
            <"$scratch.out" >>"$got"
        sed -e "s|$scratch|SCRATCH|g" -e "s|$root|ROOT|g" -e 's/^/! /' -e 's/ *$//' \
            <"$scratch.err" >>"$got"
        [ "$code" -eq 0 ] || echo "= $code" >>"$got"
        ;;
    '@ '*)
        printf '%s\n' "$line" >>"$got"
        if ! (cd "$scratch" && eval "${line#??}") >"$scratch.out" 2>&1 </dev/null; then
            echo "failed: $line" >&2
            cat "$scratch.out" >&2
            exit 1
        fi
        ;;
    '>'* | '!'* | '='*) ;;
    *) printf '%s\n' "$line" >>"$got" ;;
    esac
done <"$case"
if [ "$update" = --update ]; then
    cmp -s "$got" "$case" || cp "$got" "$case"
    exit 0
fi
diff -u "$case" "$got"
rm -rf "$scratch" "$scratch.out" "$scratch.err" "$got"
