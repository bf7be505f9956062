#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# bench.sh BUILD: micro-benchmarks, a gigabit over loopback, the streaming pipeline; BUILD/bench.json.
set -eu
build=$1
"$build/tools/bench" "$build/bench-core.json"
python3 scripts/bench_stream.py "$build" "$build/bench-core.json" "$build/bench.json"
