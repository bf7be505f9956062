#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# test.sh BUILD: every test in three builds - as released, with ASan and UBSan, with TSan - and one
# closing line. Tests that need root say so and are skipped without it.
set -u
build=$1
status=0

run() {
    dir=$1
    shift
    echo "== $dir"
    rm -f "$dir/meson-logs/testlog.junit.xml" # a build that fails must not count with old results
    scripts/build.sh "$dir" "$@" || return 1
    # Two at a time: streaming tests share the processors with their compositor.
    meson test -C "$dir" --no-rebuild --num-processes 2 --print-errorlogs --quiet >"$dir/test.out" 2>&1 ||
        { status=1; grep -v '^$' "$dir/test.out" | tail -n 200; }
}

debug='-Dbuildtype=debugoptimized -Db_lto=false -Db_lundef=false'
run "$build" || status=1
# shellcheck disable=SC2086
run "$build-asan" $debug -Db_sanitize=address,undefined || status=1
# shellcheck disable=SC2086
run "$build-tsan" $debug -Db_sanitize=thread || status=1
includes=0
scripts/check-includes.sh || includes=1

python3 - $includes "$build" "$build-asan" "$build-tsan" <<'PY' || status=1
import sys, os, xml.etree.ElementTree as ET
passed = skipped = 0
failed = int(sys.argv[1])  # scripts/check-includes.sh, which has said what is wrong
reasons = {}
for d in sys.argv[2:]:
    path = os.path.join(d, "meson-logs", "testlog.junit.xml")
    if not os.path.exists(path):
        print(f"failed: {d}: no test ran")
        failed += 1
        continue
    for suite in ET.parse(path).getroot():
        cases = suite.findall("testcase")
        for case in cases:
            if case.find("failure") is not None or case.find("error") is not None:
                failed += 1
                print(f"failed: {d}: {suite.get('name')}: {case.get('name')}")
            elif case.find("skipped") is not None:
                skipped += 1
                text = case.find("skipped").get("message") or ""
                reasons.setdefault(f"{suite.get('name')}: {case.get('name')}" + (f": {text}" if text else ""), []).append(d)
            else:
                passed += 1
for what, where in reasons.items():
    print(f"skipped: {what} ({', '.join(where)})")
print(f"{passed} passed, {failed} failed, {skipped} skipped")
sys.exit(1 if failed else 0)
PY
exit $status
