#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Streams a desktop for a long time and watches the host: memory, descriptors, threads, outputs.

usage: soak.py BUILD MINUTES [MODE]
Fails when something grows after the first minute, when a frame is lost, or when something is left.
"""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

build, minutes = sys.argv[1], float(sys.argv[2])
mode = sys.argv[3] if len(sys.argv) > 3 else "1920x1080@60"


def sample(pid, sway_socket):
    status = open(f"/proc/{pid}/status").read()
    field = lambda name: int(re.search(rf"{name}:\s+(\d+)", status).group(1))
    outputs = json.loads(subprocess.check_output(["swaymsg", "-s", sway_socket, "-t", "get_outputs", "-r"]))
    return {"rss_kb": field("VmRSS"), "fds": len(os.listdir(f"/proc/{pid}/fd")),
            "threads": field("Threads"), "outputs": len(outputs)}


work = tempfile.mkdtemp(prefix="punktfunk-soak-")
host = None
try:
    log = open(f"{work}/log", "w")
    host = subprocess.Popen([f"{build}/host/punktfunk-host", "serve", "--config-dir", f"{work}/host",
                             "--port", "0", "--own-desktop", "--report", f"{work}/host.json"], stderr=log)
    while not (found := re.search(r"port (\d+)", open(f"{work}/log").read())):
        if host.poll() is not None:
            sys.exit(open(f"{work}/log").read())
        time.sleep(0.1)
    desktop = json.load(open(f"{work}/host/desktop.json"))[0]
    socket = f"{desktop['folder']}/sway.sock"
    client = subprocess.Popen([f"{build}/client/punktfunk-client", "--connect", f"127.0.0.1:{found.group(1)}",
                               "--quiet", "--mode", mode, "--seconds", str(minutes * 60), "--config-dir",
                               f"{work}/client", "--json", f"{work}/client.json"],
                              stdout=subprocess.DEVNULL)
    began, samples = time.monotonic(), []
    while client.poll() is None:
        time.sleep(10)
        if client.poll() is None:
            samples.append(sample(host.pid, socket))
            print(f"{time.monotonic() - began:6.0f} s  {samples[-1]}", flush=True)
    report = json.load(open(f"{work}/client.json"))
    host.terminate()
    host.wait()
    settled = samples[min(6, len(samples) // 2):]
    failures = []
    for name, allowed in (("rss_kb", 1024), ("fds", 0), ("threads", 0), ("outputs", 0)):
        growth = settled[-1][name] - settled[0][name]
        print(f"{name}: {settled[0][name]} to {settled[-1][name]}")
        if growth > allowed:
            failures.append(f"{name} grew by {growth}")
    if report["frames_lost"] or client.returncode:
        failures.append(f"{report['frames_lost']} frames lost, client ended with {client.returncode}")
    if os.path.exists(desktop["folder"]):
        failures.append(f"{desktop['folder']} is left")
    print(f"{report['frames_received']} frames in {report['seconds']:.0f} s, {report['frames_lost']} lost")
    print("\n".join(failures) or "nothing grew, nothing is left")
    sys.exit(1 if failures else 0)
finally:
    if host and host.poll() is None:
        host.kill()
        host.wait()
    shutil.rmtree(work)
