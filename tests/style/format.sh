#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Sources are as clang-format 14 writes them (.clang-format); tables in *.def are not. Other
# versions differ in details: without version 14 nothing is checked. Usage: format.sh ROOT
set -eu
cd "$1"
format=$(command -v clang-format-14 || command -v clang-format || true)
if [ -z "$format" ] || ! "$format" --version | grep -q 'version 14\.'; then
    echo "clang-format 14 is not installed: not checked"
    exit 77
fi
find ir runtime frontend backend passes examples tests -name '*.[ch]' -exec "$format" --dry-run -Werror {} +
