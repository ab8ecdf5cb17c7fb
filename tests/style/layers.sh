#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Includes point one way: each folder may include only the folders listed for it (README.md
# draws the diagram). Also: libraries of others stay where they are wrapped, nothing mutable at
# file scope but the flags of signal handlers (volatile), every source begins with its licence.
# Usage: layers.sh ROOT
set -eu
cd "$1"
status=0
layers='ir runtime frontend backend passes'

# fails TEXT LINES: complains with TEXT if there are any lines
fails() {
    if [ -n "$2" ]; then
        echo "$1:"
        echo "$2"
        status=1
    fi
}

# check FOLDER PREFIX...: what the files of the folder may include. $except: lines left out.
check() {
    folder=$1
    shift
    allowed=$(printf '%s|' "$@")
    lines=$(grep -rnE '^ *# *include *"' "$folder" --include='*.[chly]')
    [ -n "$lines" ] || fails "$folder" "includes nothing: wrong folder?"
    fails "$folder must not include" "$(echo "$lines" |
        grep -vE "include *\"(${allowed%|})" | grep -vE "$except" || true)"
}

except='^$'
check ir/support ir/support/
check runtime/format ir/support/ runtime/format/
check runtime ir/support/ runtime/
check backend/native ir/support/ runtime/format/ runtime/native_abi.h backend/native/
check backend/kernels ir/ runtime/format/ backend/kernels/
check passes ir/ runtime/format/ backend/kernels/ passes/
except='^ir/support/'
check ir ir/ runtime/format/
# The driver stands on top; generated headers of flex and bison have no folder.
except='^frontend/driver/|"(grammar|lexer)\.h"'
check frontend ir/ frontend/
fails "only the driver may include the driver" "$(grep -rn 'include "frontend/driver/' $layers \
    --include='*.[chly]' | grep -v '^frontend/driver/' || true)"

# only FOLDER PATTERN: headers of others that one folder wraps
only() {
    fails "only $1 may include $2" "$(grep -rnE "^ *# *include *[<\"]$2" $layers \
        --include='*.[chly]' | grep -v "^$1" || true)"
}
only backend/native/ llvm-c/
only passes/ libxml/
only runtime/sandbox.c seccomp

name='[A-Za-z_][A-Za-z0-9_]*'
fails "mutable at file scope" "$(grep -rnE "^(static )?$name[A-Za-z0-9_ *]*$name(\[[^]]*\])* *[=;]" \
    $layers --include='*.[cly]' |
    grep -vE ':[0-9]+:(typedef|extern|return|enum|struct|union|__extension__ typedef) |[^a-z](const|volatile)[^a-z]' || true)"

fails "no SPDX line" "$(find . -name '*.[chly]' -o -name '*.sh' -o -name '*.def' -o -name CMakeLists.txt |
    grep -v '^./build' | xargs grep -LF 'SPDX-License-Identifier: Apache-2.0' || true)"
exit $status
