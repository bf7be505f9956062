#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# run.sh BUILD MODE SECONDS BITRATE PORT: a host on its own headless desktop, the reference client on
# loopback, and what came out of it in demo/.
set -eu
build=$1 mode=$2 seconds=$3 bitrate=$4 port=$5

refuse() {
    echo "$1" >&2
    exit 2
}
is() { # is PATTERN TEXT, the pattern an extended regular expression for all of the text
    printf '%s\n' "$2" | grep -qxE "$1"
}
is '[0-9]+x[0-9]+@[0-9]+' "$mode" || refuse "MODE=$mode is not WIDTHxHEIGHT@HZ, such as 1280x720@60"
is '[0-9]+(\.[0-9]+)?' "$seconds" || refuse "SECONDS=$seconds is not a number, such as 10"
is '[0-9]+' "$bitrate" || refuse "BITRATE=$bitrate is not a number of kbit/s, such as 20000"
is '[1-9][0-9]{0,4}' "$port" || refuse "PORT=$port is not a UDP port, such as 19777"
width=${mode%%x*}
hz=${mode##*@}
rest=${mode#*x}
height=${rest%@*}

work= new= host_pid=
finish() {
    trap '' INT TERM HUP
    [ -z "$host_pid" ] || kill -INT "$host_pid" 2>/dev/null || true
    [ -z "$host_pid" ] || wait "$host_pid" || true
    rm -rf ${work:+"$work"} ${new:+"$new"}
}
trap finish EXIT
trap 'exit 130' INT TERM HUP
work=$(mktemp -d "${TMPDIR:-/tmp}/punktfunk-run.XXXXXX")
# What an interrupted or a second run writes never mixes with the results that are there.
mkdir -p demo && new=$(mktemp -d demo/.run.XXXXXX) || {
    echo "make run writes to $(pwd)/demo: run it in a folder that you may write to" >&2
    exit 1
}

echo "Starting the host with an own headless desktop ..."
# The user's own settings stay out of it.
for name in $(env | sed -n 's/^\(PUNKTFUNK_[A-Z_]*\)=.*/\1/p'); do
    unset "$name"
done
: >"$work/host.log"
"$build/host/punktfunk-host" serve --config-dir "$work/host" --port "$port" \
    --own-desktop --stage-timing --report "$work/host.json" 2>"$work/host.log" &
host_pid=$!
tries=0
until grep -q 'ready: UDP' "$work/host.log"; do
    tries=$((tries + 1))
    if [ $tries -gt 100 ] || ! kill -0 "$host_pid" 2>/dev/null; then
        cat "$work/host.log" >&2
        if grep -q 'in use' "$work/host.log"; then
            echo "Is another \`make run\` at work? \`make run PORT=$((port + 1))\` takes another port." >&2
        fi
        exit 1
    fi
    sleep 0.1
done
pin=$(sed -n 's/.*fingerprint //p' "$work/host.log")

echo "Streaming $mode for $seconds s ..."
"$build/client/punktfunk-client" --connect "127.0.0.1:$port" --pin "$pin" --mode "$mode" \
    --seconds "$seconds" --bitrate "$bitrate" --config-dir "$work/client" --out "$new/stream.h264" \
    --json "$work/client.json" || {
    status=$?
    [ $status = 2 ] || cat "$work/host.log" >&2 # 2: what was asked for is impossible
    exit $status
}
kill -INT "$host_pid"
wait "$host_pid" || true
host_pid=

echo "Checking what came out ..."
# At least 95 % of the pictures, every one another one, colours within 3 of 255.
least=$(awk "BEGIN { print int($hz * $seconds * 0.95) }")
if awk "BEGIN { exit $seconds >= 10 }"; then
    echo "(SECONDS=$seconds is too short to judge how many pictures come)"
    least=1
fi
status=0
"$build/tools/stream-check" "$new/stream.h264" --png "$new/frame.png" --json "$work/check.json" \
    --expect-width "$width" --expect-height "$height" --min-pictures "$least" --expect-counter \
    --patch-tolerance 3 || status=1

python3 - "$work" "$new/report.json" <<'PY'
import json, sys
work, out = sys.argv[1:]
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
with open(out, "w") as f:
    json.dump(report, f, indent=2)
    f.write("\n")
PY
for name in stream.h264 frame.png report.json; do
    mv -f "$new/$name" "demo/$name"
done

echo
echo "demo/stream.h264  the stream, playable with ffplay or mpv"
echo "demo/frame.png    its last picture"
echo "demo/report.json  the numbers"
exit $status
