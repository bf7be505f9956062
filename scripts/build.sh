#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# build.sh FOLDER [meson options]: configure once, then build.
set -eu
dir=$1
shift
if [ ! -f "$dir/build.ninja" ]; then
    werror=--werror # instrumented code makes GCC warn wrongly
    case "$*" in *b_sanitize*) werror= ;; esac
    meson setup "$dir" $werror "$@" >"$dir.log" 2>&1 || {
        cat "$dir.log" >&2
        rm -f "$dir.log"
        exit 1
    }
    rm -f "$dir.log"
fi
ninja -C "$dir" --quiet
