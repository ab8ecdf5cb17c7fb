#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Includes point one way: each folder may include only the folders listed for it (README.md
# draws the diagram). Also: every source begins with its licence, no file-scope state, no
# forbidden words. Usage: layers.sh ROOT
set -eu
cd "$1"
status=0

# folder: what its files may include, as prefixes
check() {
    folder=$1
    shift
    allowed=$(printf '%s|' "$@")
    allowed=${allowed%|}
    bad=$(grep -rnE '^#include "' "$folder" --include='*.[chly]' |
        grep -vE "#include \"($allowed)" | grep -vE "$except" || true)
    if [ -n "$bad" ]; then
        echo "$folder must not include:"
        echo "$bad"
        status=1
    fi
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
check frontend ir/ frontend/ runtime/format/

llvm=$(grep -rln 'llvm-c/' --include='*.[ch]' . | grep -v '^./build' | grep -v '^./backend/native/' || true)
if [ -n "$llvm" ]; then
    echo "only backend/native may include LLVM:"
    echo "$llvm"
    status=1
fi

for file in $(git ls-files '*.[chly]' '*.sh' '*.def' '*CMakeLists.txt' 2>/dev/null); do
    if ! head -3 "$file" | grep -q 'SPDX-License-Identifier: Apache-2.0'; then
        echo "$file: no SPDX line"
        status=1
    fi
done
exit $status
