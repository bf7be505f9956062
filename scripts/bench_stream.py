#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Host and client over loopback: a gigabit for ten seconds, and a desktop at 720p and 1080p.

usage: bench_stream.py BUILD CORE_JSON OUT_JSON
"""
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time

build, core_json, out_json = sys.argv[1:4]
results = json.load(open(core_json))


def result(name, value, unit, of):
    print(f"{name:<36} {value:12.2f} {unit:<8} {of}", flush=True)
    results.append({"name": name, "value": value, "unit": unit, "of": of})


def stream(host_options, client_options):
    """Runs one session; returns the client's and the host's report."""
    work = tempfile.mkdtemp(prefix="punktfunk-bench-")
    host = None
    try:
        log = open(f"{work}/log", "w")
        host = subprocess.Popen([f"{build}/host/punktfunk-host", "serve", "--config-dir",
                                 f"{work}/host", "--port", "0", "--own-desktop", "--stage-timing",
                                 "--report", f"{work}/host.json", *host_options], stderr=log)
        port = None
        while port is None:
            found = re.search(r"port (\d+)", open(f"{work}/log").read())
            port = found and found.group(1)
            if host.poll() is not None:
                sys.exit(open(f"{work}/log").read())
            time.sleep(0.05)
        subprocess.run([f"{build}/client/punktfunk-client", "--connect", f"127.0.0.1:{port}", "--quiet",
                        "--config-dir", f"{work}/client", "--json", f"{work}/client.json",
                        *client_options], check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
        host.terminate()
        host.wait()
        return json.load(open(f"{work}/client.json")), json.load(open(f"{work}/host.json"))
    finally:
        if host and host.poll() is None:
            host.kill()
            host.wait()
        shutil.rmtree(work)


# 10 s of units whose datagrams make a gigabit: 505000 bytes at 240 Hz, headers included.
client, host = stream(["--source", "synthetic", "--synthetic-bytes", "505000", "--synthetic-hz", "240",
                       "--synthetic-frames", "2400", "--fec-percent", "0"], [])
seconds = 2400 / 240
result("gigabit_wire_mbit_s", host["wire_bytes"] * 8e-6 / seconds, "Mbit/s", "UDP payload, 10 s")
result("gigabit_frames_lost", 2400 - client["frames_received"], "frames", "of 2400; wanted: 0")
result("gigabit_host_cpu", 100 * host["host_cpu_seconds"] / seconds, "%", "of one processor")
result("gigabit_client_cpu", 100 * client["client_cpu_seconds"] / seconds, "%", "of one processor")

if shutil.which("sway"):
    for name, mode in (("720p60", "1280x720@60"), ("1080p60", "1920x1080@60")):
        client, host = stream([], ["--mode", mode, "--seconds", "10"])
        result(f"desktop_{name}_frames", client["frames_received"], "frames", "in 10 s; test card")
        result(f"desktop_{name}_lost", client["frames_lost"], "frames", "")
        for stage in ("capture_to_reassembled", "convert", "encode", "send", "network", "reassemble"):
            result(f"desktop_{name}_{stage}_p50_us", client["latency_us"][stage]["p50"], "us", "")
        result(f"desktop_{name}_first_frame_ms", client["first_frame_ms"], "ms", "from Start")
        result(f"desktop_{name}_host_rss_mb", host["host_rss_kb"] / 1024, "MB",
               "peak; wanted: below 150")
json.dump(results, open(out_json, "w"), indent=1)
print(f"\n{out_json}")
