#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# run.sh BUILD MODE SECONDS BITRATE PORT: a host on its own headless desktop, the reference client on
# loopback, and what came out of it in demo/.
set -eu
build=$1 mode=$2 seconds=$3 bitrate=$4 port=$5

case $mode in
*x*@*) ;;
*)
    echo "MODE=$mode is not WIDTHxHEIGHT@HZ, such as 1280x720@60" >&2
    exit 2
    ;;
esac
width=${mode%%x*}
hz=${mode##*@}
rest=${mode#*x}
height=${rest%@*}

mkdir -p demo
rm -f demo/stream.h264 demo/frame.png demo/report.json
work=$(mktemp -d "${TMPDIR:-/tmp}/punktfunk-run.XXXXXX")
host_pid=
finish() {
    [ -z "$host_pid" ] || kill -INT "$host_pid" 2>/dev/null || true
    [ -z "$host_pid" ] || wait "$host_pid" || true
    rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM

echo "Starting the host with an own headless desktop ..."
env -u PUNKTFUNK_SOURCE "$build/host/punktfunk-host" serve --config-dir "$work/host" --port "$port" \
    --own-desktop --stage-timing --report "$work/host.json" 2>"$work/host.log" &
host_pid=$!
tries=0
until grep -q 'ready: UDP' "$work/host.log"; do
    tries=$((tries + 1))
    if [ $tries -gt 100 ] || ! kill -0 "$host_pid" 2>/dev/null; then
        cat "$work/host.log" >&2
        exit 1
    fi
    sleep 0.1
done
pin=$(sed -n 's/.*fingerprint //p' "$work/host.log")

echo "Streaming $mode for $seconds s ..."
"$build/client/punktfunk-client" --connect "127.0.0.1:$port" --pin "$pin" --mode "$mode" \
    --seconds "$seconds" --bitrate "$bitrate" --config-dir "$work/client" --out demo/stream.h264 \
    --json "$work/client.json" || {
    cat "$work/host.log" >&2
    exit 1
}
kill -INT "$host_pid"
wait "$host_pid" || true
host_pid=

echo "Checking what came out ..."
# At least 95 % of the pictures, every one another one, colours within 3 of 255.
least=$(python3 -c "print(int($hz * $seconds * 0.95))")
status=0
"$build/tools/stream-check" demo/stream.h264 --png demo/frame.png --json "$work/check.json" \
    --expect-width "$width" --expect-height "$height" --min-pictures "$least" --expect-counter \
    --patch-tolerance 3 || status=1

python3 - "$work" <<'PY'
import json, sys
work = sys.argv[1]
client, host, check = (json.load(open(f"{work}/{n}.json")) for n in ("client", "host", "check"))
report = {k: client[k] for k in ("width", "height", "hz", "seconds")}
report["frames_sent"] = host["frames_sent"]
report |= {k: client[k] for k in ("frames_received", "frames_lost", "shards_recovered",
                                  "first_frame_ms", "bitrate_kbps")}
report |= {k: host[k] for k in ("host_rss_kb", "host_cpu_seconds", "pictures_captured",
                                "frames_repeated", "udp_path")}
report["pictures_distinct"] = check["distinct"]
report["patch_error"] = check["patch_error"]
report["latency_us"] = client["latency_us"]
json.dump(report, open("demo/report.json", "w"), indent=2)
PY

echo
echo "demo/stream.h264  the stream, playable with ffplay or mpv"
echo "demo/frame.png    its last picture"
echo "demo/report.json  the numbers"
exit $status
