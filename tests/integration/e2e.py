#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Host and client as programs: real sockets, real compositor, real encoder.

usage: e2e.py CASE BUILD_FOLDER
Exit status 0 = passed, 77 = skipped (the reason is printed), anything else = failed.
"""
import json
from math import comb, sqrt
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

BUILD = os.path.abspath(sys.argv[2])
HOST = f"{BUILD}/host/punktfunk-host"
CLIENT = f"{BUILD}/client/punktfunk-client"
CHECK = f"{BUILD}/tools/stream-check"
RELAY = f"{BUILD}/tools/udp-relay"
SLOW = 4 if "san" in BUILD else 1  # sanitizers: less is asked for


def skip(why):
    print(why)
    sys.exit(77)


def need_sway():
    if not shutil.which("sway"):
        skip("sway is not installed")


def expect(condition, what):
    if not condition:
        raise AssertionError(what)


class Host:
    """punktfunk-host serve, ended with the test."""

    running = []

    def __init__(self, work, *options, config="host", env=None):
        self.log_path = f"{work}/host-{time.monotonic_ns()}.log"
        self.report_path = f"{work}/host.json"
        self.config = f"{work}/{config}"
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PUNKTFUNK_")}
        environment.update(env or {})
        self.log_file = open(self.log_path, "wb")
        self.process = subprocess.Popen(
            [HOST, "serve", "--config-dir", self.config, "--port", "0", "--own-desktop",
             "--stage-timing", "--log-level", "debug", "--report", self.report_path, *options],
            stderr=self.log_file, env=environment)
        Host.running.append(self.process)
        self.port = int(self.wait_for(r"ready: UDP \S+ port (\d+)"))

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as f:
            return f.read()

    def wait_for(self, pattern, seconds=30):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = re.search(pattern, self.log())
            if found:
                return found.group(1) if found.groups() else found.group(0)
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        raise AssertionError(f"the host did not say {pattern!r}:\n{self.log()}")

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        rc = self.process.wait(timeout=30)
        expect(rc == 0, f"the host ended with {rc}:\n{self.log()}")
        return self.log()

    def kill(self):
        self.process.kill()
        self.process.wait()

    def report(self):
        with open(self.report_path) as f:
            return json.load(f)


def client(work, port, *options, address="127.0.0.1", config="client", expected=0):
    """Runs a client to its end and returns its report."""
    report = f"{work}/client-{time.monotonic_ns()}.json"
    p = subprocess.run([CLIENT, "--connect", f"{address}:{port}", "--quiet", "--config-dir",
                        f"{work}/{config}", "--json", report, *options],
                       capture_output=True, text=True, timeout=120)
    expect(p.returncode == expected, f"client ended with {p.returncode}: {p.stdout}{p.stderr}")
    if expected:
        return p.stderr
    with open(report) as f:
        return json.load(f)


def start_client(work, port, *options, config="client"):
    return subprocess.Popen([CLIENT, "--connect", f"127.0.0.1:{port}", "--quiet", "--config-dir",
                             f"{work}/{config}", *options], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True)


def check_stream(path, width, height, least):
    p = subprocess.run([CHECK, path, "--expect-width", str(width), "--expect-height", str(height),
                        "--min-pictures", str(least), "--expect-counter", "--patch-tolerance", "3"],
                       capture_output=True, text=True, timeout=120)
    expect(p.returncode == 0, p.stdout + p.stderr)
    print(p.stdout, end="")


def desktop_folders():
    return {f"{base}/{n}" for base in ("/run", "/tmp") for n in os.listdir(base)
            if re.fullmatch(r"punktfunk-[A-Za-z0-9]{6}", n)}


def processes_with(text):
    """PIDs whose environment or command line holds `text`."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        for name in ("environ", "cmdline"):
            try:
                with open(f"/proc/{pid}/{name}", "rb") as f:
                    if text.encode() in f.read() and int(pid) != os.getpid():
                        found.append(int(pid))
                        break
            except OSError:
                pass
    return found


def folder_of(host):
    """Runtime folder of the host's own desktop."""
    with open(f"{host.config}/desktop.json") as f:
        return json.load(f)[0]


def wait_until(condition, what, seconds=15):
    end = time.monotonic() + seconds
    while not condition():
        expect(time.monotonic() < end, what)
        time.sleep(0.05)


# --- cases ---

def case_desktop(work):
    """Two clients after each other, each with an output of its own mode; nothing stays behind."""
    need_sway()
    host = Host(work)
    folder = folder_of(host)["folder"]
    out = f"{work}/a.h264"
    a = client(work, host.port, "--mode", "1280x720@60", "--seconds", "3", "--out", out)
    expect(a["frames_lost"] == 0 and a["frames_received"] > 0, a)
    expect((a["width"], a["height"]) == (1280, 720), a)
    check_stream(out, 1280, 720, 32 // SLOW)
    stages = a["latency_us"]
    for name in ("capture_to_reassembled", "convert", "encode", "send", "network", "reassemble"):
        expect(set(stages[name]) == {"p50", "p95", "p99"}, stages)
    expect(stages["capture_to_reassembled"]["p50"] > stages["encode"]["p50"] > 0, stages)
    b = client(work, host.port, "--mode", "800x600@30", "--seconds", "2", "--out", out)
    expect((b["width"], b["height"], b["hz"]) == (800, 600, 30), b)
    expect(b["first_frame_ms"] < 1000 * SLOW, b)
    check_stream(out, 800, 600, 20 // SLOW)
    for i in range(4):  # outputs are used again
        client(work, host.port, "--mode", f"{640 + 16 * i}x480@60", "--seconds", "0.5")

    def one_output_and_off():
        outputs = json.loads(subprocess.run(
            ["swaymsg", "-s", f"{folder}/sway.sock", "-t", "get_outputs", "-r"],
            capture_output=True, check=True).stdout)
        expect(len(outputs) == 1, f"{len(outputs)} outputs after six clients")
        # sway 1.7 cannot switch a headless output off: there it is parked, small and slow.
        mode = outputs[0].get("current_mode") or {}
        return not outputs[0]["active"] or (mode["width"], mode["refresh"]) == (320, 4000)

    wait_until(one_output_and_off, "the output is still on")
    expect(host.report()["host_rss_kb"] > 0, host.report())
    host.stop()
    expect(not os.path.exists(folder), f"{folder} is still there")
    expect(not processes_with(folder), f"processes of {folder} still run")
    expect(not os.path.exists(f"{host.config}/desktop.json"), "the record is still there")


def case_synthetic(work):
    """Every byte of 300 units."""
    host = Host(work, "--source", "synthetic", "--synthetic-hz", str(120 // SLOW),
                "--synthetic-frames", "300")
    r = client(work, host.port, "--verify-synthetic")
    expect(r["frames_received"] == 300 == r["frames_expected"] and r["frames_lost"] == 0, r)
    expect(r["packets_dropped"] == 0, r)
    host.stop()
    expect(host.report()["frames_sent"] == 300, host.report())


def case_synthetic_plain(work):
    """The portable socket path, IPv6 and small shards."""
    host = Host(work, "--source", "synthetic", "--plain-udp", "--listen", "::1", "--synthetic-frames",
                "120", "--shard-bytes", "512")
    r = client(work, host.port, "--verify-synthetic", address="[::1]")
    expect(r["frames_received"] == 120 and r["frames_lost"] == 0, r)
    host.stop()
    expect(host.report()["udp_path"] == "plain", host.report())


def case_loss_is_repaired(work):
    """Every 20th datagram is left out: 20 % parity repairs all of it."""
    host = Host(work, "--source", "synthetic", "--drop-every", "20", "--fec-percent", "20",
                "--synthetic-frames", "300")
    r = client(work, host.port, "--verify-synthetic")
    expect(r["frames_received"] == 300 and r["frames_lost"] == 0, r)
    expect(r["shards_recovered"] > 300, r)
    host.stop()
    expect(host.report()["packets_dropped_for_test"] > 300, host.report())


def case_loss_beyond_repair(work):
    """Without parity units are lost, counted, and key frames asked for; the session lives."""
    host = Host(work, "--source", "synthetic", "--drop-every", "97", "--fec-percent", "0",
                "--synthetic-frames", "300")
    r = client(work, host.port, "--verify-synthetic")
    expect(r["frames_received"] < 300 and r["frames_lost"] > 20, r)
    expect(r["frames_received"] + r["frames_lost"] <= 300, r)
    expect(r["keyframe_requests"] > 0, r)
    host.stop()


def case_parity_follows_loss(work):
    """Automatic parity: about 7 % of the datagrams are left out, the start is 10 %."""
    frames = 600 // SLOW
    host = Host(work, "--source", "synthetic", "--drop-every", "14", "--synthetic-frames", str(frames),
                "--synthetic-hz", str(120 // SLOW))
    r = client(work, host.port)
    expect(r["frames_received"] >= frames - 5, r)
    host.stop()


def case_client_vanishes(work):
    """SIGKILL to a client: its output goes off, the next one is served."""
    need_sway()
    host = Host(work, "--idle-timeout", "1500")
    folder = folder_of(host)["folder"]
    c = start_client(work, host.port, "--seconds", "60")
    host.wait_for("capturing HEADLESS")
    time.sleep(0.5)
    c.kill()
    c.wait()
    host.wait_for("it vanished")
    out = f"{work}/next.h264"
    client(work, host.port, "--mode", "640x480@60", "--seconds", "2", "--out", out)
    check_stream(out, 640, 480, 20 // SLOW)
    host.stop()
    expect(not os.path.exists(folder), f"{folder} is still there")


def case_second_client_waits(work):
    """One session at a time: the second client is served when the first has gone."""
    host = Host(work, "--source", "synthetic", "--synthetic-frames", "0")
    first = start_client(work, host.port, "--seconds", "2", config="one")
    host.wait_for("asks for")
    second = start_client(work, host.port, "--seconds", "1", config="two")
    host.wait_for("it waits")
    expect(first.wait(timeout=60) == 0, first.communicate()[1])
    expect(second.wait(timeout=60) == 0, second.communicate()[1])
    host.stop()


def case_reconnect_replaces(work):
    """The same device again: its older connection ends, the new one is served."""
    host = Host(work, "--source", "synthetic", "--synthetic-frames", "0")
    first = start_client(work, host.port, "--seconds", "60")
    host.wait_for("asks for")
    time.sleep(0.5)
    client(work, host.port, "--seconds", "1")
    out, err = first.communicate(timeout=60)
    expect(first.returncode == 1, out + err)
    host.stop()


def case_host_killed(work):
    """SIGKILL: the desktop ends by itself; with its supervisor killed too, the next start cleans up."""
    need_sway()
    host = Host(work)
    folder = folder_of(host)["folder"]
    c = start_client(work, host.port, "--seconds", "60")
    host.wait_for("capturing HEADLESS")
    host.kill()
    wait_until(lambda: not os.path.exists(folder) and not processes_with(folder),
               f"{folder} outlives its host")
    c.wait(timeout=60)

    host = Host(work)
    entry = folder_of(host)
    os.kill(host.process.pid, signal.SIGSTOP)
    os.kill(entry["supervisor"]["pid"], signal.SIGKILL)
    host.kill()
    host = Host(work)
    expect("left behind" in host.log(), host.log())
    expect(not os.path.exists(entry["folder"]), f"{entry['folder']} is still there")
    expect(not processes_with(entry["folder"]), "its processes still run")
    client(work, host.port, "--seconds", "1", "--mode", "640x480@60")
    host.stop()


def case_trust(work):
    """A wrong pin and a changed host are refused; a known one is not."""
    host = Host(work, "--source", "synthetic", "--synthetic-frames", "30")
    pin = host.wait_for(r"fingerprint ([0-9a-f]{64})")
    client(work, host.port, "--pin", pin, config="pinned")
    wrong = ("0" if pin[0] != "0" else "1") + pin[1:]
    err = client(work, host.port, "--pin", wrong, config="pinned", expected=1)
    expect("trusted" in err, err)
    client(work, host.port)
    client(work, host.port)  # remembered
    port = host.port
    host.stop()
    other = Host(work, "--source", "synthetic", "--port", str(port), config="another-identity")
    err = client(work, other.port, expected=1)
    expect("another one before" in err, err)
    other.stop()


def run_refused(work, options, env=None, names=()):
    began = time.monotonic()
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PUNKTFUNK_")}
    environment.update(env or {})
    p = subprocess.run([HOST, "serve", "--port", "0", *options], capture_output=True, text=True,
                       timeout=30, env=environment)
    took = time.monotonic() - began
    lines = [line for line in p.stderr.splitlines() if line.strip()]
    expect(p.returncode not in (0, None), p.stderr)
    expect(len(lines) == 1, f"{len(lines)} lines: {p.stderr}")
    expect(took < 2 * SLOW, f"{took:.1f} s")
    for name in names:
        expect(name in lines[0], lines[0])
    print(lines[0])


def case_errors(work):
    """One line with cause and remedy, at once, for everything that can be wrong at the start."""
    good = ["--config-dir", f"{work}/config", "--source", "synthetic"]
    run_refused(work, ["--no-such-thing"], names=("no-such-thing", "--help"))
    run_refused(work, [*good, "--fec-percent", "91"], names=("fec-percent", "0 to 90"))
    run_refused(work, [*good, "--sessions"], names=("sessions",))
    run_refused(work, good, env={"PUNKTFUNK_BITRATE": "fast"}, names=("PUNKTFUNK_BITRATE", "number"))
    run_refused(work, good, env={"PUNKTFUNK_BITRAT": "5"}, names=("PUNKTFUNK_BITRAT", "--help"))
    run_refused(work, [*good, "--report", f"{work}/no/folder"], names=("report", "folder"))
    run_refused(work, [*good, "--listen", "nowhere"], names=("listen", "127.0.0.1"))
    os.makedirs(f"{work}/conf", exist_ok=True)
    with open(f"{work}/conf/host.conf", "w") as f:
        f.write("bitrate = 10000\nbitrat = 5\n")
    run_refused(work, ["--config-dir", f"{work}/conf"], names=("host.conf", "bitrat", "--help"))
    with open(f"{work}/conf/host.conf", "w") as f:
        f.write("[video]\nbitrate = 10000\n")
    run_refused(work, ["--config-dir", f"{work}/conf"], names=("host.conf", "[video]", "remove"))
    with open(f"{work}/file", "w") as f:
        f.write("in the way")
    run_refused(work, ["--config-dir", f"{work}/file/config", "--source", "synthetic"],
                names=("config",))
    host = Host(work, "--source", "synthetic")
    run_refused(work, [*good, "--port", str(host.port)], names=(str(host.port), "another"))
    host.stop()
    empty = f"{work}/empty"
    os.makedirs(empty, exist_ok=True)
    run_refused(work, ["--config-dir", f"{work}/config", "--own-desktop"], env={"PATH": empty},
                names=("sway", "install"))


def case_client_errors(work):
    """The client's mistakes and absences: one line, and a file that is there survives a failed start."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
        # Bound, but mute: only Ctrl-C ends the attempt early.
        p = start_client(work, port)
        time.sleep(1)
        p.send_signal(signal.SIGINT)
        expect("Stopped" in p.communicate(timeout=20)[1] and p.returncode == 1, "stopped while connecting")
    with open(f"{work}/old.h264", "w") as f:
        f.write("old")
    err = client(work, 9, "--out", f"{work}/old.h264", address="127.0.0.9", expected=1)
    expect("Start the host" in err and len(err.splitlines()) == 1, err)
    expect(open(f"{work}/old.h264").read() == "old", "the old file is gone")
    for options, word in ((("--mode", "1281x720@60"), "even"), (("--pin", "12"), "64 hex"),
                          (("--seconds", "nan"), "above 0"), (("--out", "-", "--json", "-"), "standard output")):
        err = client(work, port, *options, expected=2)
        expect(word in err and len(err.splitlines()) == 1, err)
    host = Host(work, "--source", "synthetic", "--synthetic-frames", "20")
    p = subprocess.run([CLIENT, "--connect", f"127.0.0.1:{host.port}", "--quiet", "--config-dir",
                        f"{work}/client", "--out", "-"], capture_output=True, timeout=60)
    expect(len(p.stdout) == 20 * 65536, f"{len(p.stdout)} bytes: the report belongs to stderr")
    host.stop()


def case_settings_precedence(work):
    """A flag wins over the environment, the environment over host.conf."""
    os.makedirs(f"{work}/host", exist_ok=True)
    with open(f"{work}/host/host.conf", "w") as f:
        f.write("; a comment\nsource = synthetic\nsynthetic-frames = 10\nsynthetic-hz = 200\n")
    host = Host(work)
    expect(client(work, host.port)["frames_received"] == 10, "host.conf")
    host.stop()
    host = Host(work, env={"PUNKTFUNK_SYNTHETIC_FRAMES": "20"})
    expect(client(work, host.port)["frames_received"] == 20, "environment")
    host.stop()
    host = Host(work, "--synthetic-frames=30", env={"PUNKTFUNK_SYNTHETIC_FRAMES": "20"})
    expect(client(work, host.port)["frames_received"] == 30, "flag")
    host.stop()


def case_relay_loss(work):
    """3 % random loss at 20 % parity: as many units are lost as the code's theory says."""
    frames = 1200 // SLOW
    # The video port must be known to the relay beforehand: take a free one.
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        data_port = s.getsockname()[1]
    host = Host(work, "--source", "synthetic", "--fec-percent", "20", "--data-port", str(data_port),
                "--synthetic-frames", str(frames), "--synthetic-hz", str(200 // SLOW), "--synthetic-bytes",
                "12000")
    summary = f"{work}/relay.json"
    relay = subprocess.Popen([RELAY, "--listen", "127.0.0.2", "--to", "127.0.0.1", "--port",
                              str(host.port), "--port", str(data_port), "--loss", "3", "--seed", "7",
                              "--direction", "down", "--only-port", str(data_port), "--json", summary],
                             stderr=subprocess.PIPE, text=True)
    Host.running.append(relay)
    expect("ready" in relay.stderr.readline(), "the relay does not start")
    r = client(work, host.port, "--verify-synthetic", address="127.0.0.2")
    host.stop()
    relay.send_signal(signal.SIGINT)
    expect(relay.wait(timeout=10) == 0, relay.stderr.read())
    # 12000 bytes are 9 data shards of 1408 and 2 of parity: lost when more than 2 of 11 are.
    p = 0.03
    theory = sum(comb(11, i) * p**i * (1 - p)**(11 - i) for i in range(3, 12))
    lost = frames - r["frames_received"]
    expected = theory * frames
    print(f"{lost} of {frames} units lost, {expected:.1f} by theory; {r['shards_recovered']} shards "
          f"repaired")
    expect(abs(lost - expected) <= 5 * sqrt(expected) + 1, "not what the theory says")
    expect(r["shards_recovered"] > frames * 9 * p / 2, r)


def case_relay_disorder(work):
    """Delay, jitter, reordering and repeats lose nothing and are no loss to the client."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        data_port = s.getsockname()[1]
    host = Host(work, "--source", "synthetic", "--fec-percent", "0", "--data-port", str(data_port),
                "--synthetic-frames", "300", "--synthetic-hz", str(100 // SLOW), "--synthetic-bytes",
                "20000")
    relay = subprocess.Popen([RELAY, "--listen", "127.0.0.3", "--to", "127.0.0.1", "--port",
                              str(host.port), "--port", str(data_port), "--delay", "5", "--jitter", "3",
                              "--reorder", "5", "--duplicate", "5"], stderr=subprocess.PIPE, text=True)
    Host.running.append(relay)
    expect("ready" in relay.stderr.readline(), "the relay does not start")
    r = client(work, host.port, "--verify-synthetic", address="127.0.0.3")
    host.stop()
    relay.send_signal(signal.SIGINT)
    relay.wait(timeout=10)
    print(relay.stderr.read())
    expect(r["frames_received"] == 300 and r["frames_lost"] == 0, r)
    expect(r["packets_dropped"] > 0, "no repeat was recognised")
    # Half the way there and back is the clock's offset; the delay one way shows.
    expect(r["latency_us"]["capture_to_reassembled"]["p50"] > 4000, r)


def case_any_address(work):
    """Listening on every address, video comes from the one that was dialled."""
    host = Host(work, "--source", "synthetic", "--synthetic-frames", "30", "--listen", "0.0.0.0")
    for address in ("127.0.0.1", "127.0.0.9"):
        r = client(work, host.port, "--verify-synthetic", address=address)
        expect(r["frames_received"] == 30 and r["frames_lost"] == 0, r)
    host.stop()


def case_two_sessions(work):
    """With two sessions allowed, two clients are served at the same time."""
    host = Host(work, "--source", "synthetic", "--synthetic-frames", "0", "--sessions", "2")
    first = start_client(work, host.port, "--verify-synthetic", "--seconds", "4", config="one")
    host.wait_for("asks for")
    second = client(work, host.port, "--verify-synthetic", "--seconds", "1", config="two")
    expect(second["frames_received"] > 10 and first.poll() is None, second)
    expect(first.wait(timeout=60) == 0, first.communicate()[1])
    expect("it waits" not in host.stop(), host.log())


def case_client_output(work):
    """Standard output holds the stream or the JSON and nothing else; a full disk is no success."""
    host = Host(work, "--source", "synthetic", "--synthetic-frames", "30", "--synthetic-bytes", "1000")
    command = [CLIENT, "--connect", f"127.0.0.1:{host.port}", "--quiet", "--config-dir", f"{work}/client"]

    def run(*options, **where):
        return subprocess.run([*command, "--verify-synthetic", *options], stderr=subprocess.PIPE,
                              timeout=60, **({"stdout": subprocess.PIPE} | where))

    p = run("--out", "-")
    expect(p.returncode == 0 and len(p.stdout) == 30 * 1000, f"{len(p.stdout)} bytes: {p.stderr}")
    p = run("--json", "-")
    expect(json.loads(p.stdout)["frames_received"] == 30, p.stdout)
    p = run("--json", "-", "--out", "-")
    expect(p.returncode == 2 and not p.stdout, p)
    with open("/dev/full", "wb") as full:
        for option in ("--out", "--json"):
            p = run(option, "-", stdout=full)
            expect(p.returncode == 1 and b"No space left" in p.stderr, p)
    host.stop()


def case_client_gives_up(work):
    """SIGINT while it dials a host that is not there: it does not wait for its time-out."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as nobody:
        nobody.bind(("127.0.0.1", 0))
        nobody.settimeout(30)
        c = start_client(work, nobody.getsockname()[1])
        nobody.recv(2048)
        began = time.monotonic()
        c.send_signal(signal.SIGINT)
        c.wait(timeout=60)
        expect(time.monotonic() - began < 5, "it waited")


def case_known_hosts(work):
    """A line without its end is no obstacle; what cannot be read is not taken for unknown."""
    host = Host(work, "--source", "synthetic", "--synthetic-frames", "5")
    os.makedirs(f"{work}/client")
    with open(f"{work}/client/known_hosts", "w") as f:
        f.write("elsewhere:9777 00")
    client(work, host.port)
    client(work, host.port)
    with open(f"{work}/client/known_hosts") as f:
        lines = f.read().splitlines()
    expect(len(lines) == 2 and lines[1].startswith(f"127.0.0.1:{host.port} "), lines)
    os.makedirs(f"{work}/broken/known_hosts")
    err = client(work, host.port, config="broken", expected=1)
    expect("cannot read" in err, err)
    host.stop()


def case_impossible_modes(work):
    """What the host cannot do ends before the stream, and the client is told why."""
    need_sway()
    host = Host(work)
    for mode, why in (("1280x720@1001", "1000 Hz"), ("4098x720@60", "4096x4096")):
        err = client(work, host.port, "--mode", mode, expected=1)
        expect("could not set up" in err and why in err, err)
    client(work, host.port, "--seconds", "1", "--mode", "640x480@60")
    log = host.stop()
    expect(log.count("no stream for") == 2, log)


def case_clients_come_and_go(work):
    """Clients killed and interrupted at any moment of their set-up leave the host as it was."""
    need_sway()
    host = Host(work, "--idle-timeout", "1000", "--sessions", "2")
    for i in range(16):
        c = start_client(work, host.port, "--mode", "640x480@60", config=f"device{i % 4}")
        time.sleep(0.02 * i)
        c.send_signal(signal.SIGKILL if i % 3 else signal.SIGINT)
        c.communicate(timeout=60)
    r = client(work, host.port, "--mode", "640x480@60", "--seconds", "2")
    expect(r["frames_received"] > 0 and (r["width"], r["height"]) == (640, 480), r)
    log = host.stop()
    expect(not re.search(r"\berror\b", log), log)


def main():
    work = tempfile.mkdtemp(prefix="punktfunk-test-")
    try:
        globals()["case_" + sys.argv[1]](work)
    finally:
        for process in Host.running:
            if process.poll() is None:
                process.terminate()
                process.wait()
        for log in sorted(n for n in os.listdir(work) if n.endswith(".log")):
            with open(f"{work}/{log}", errors="replace") as f:
                print(f"--- {log}\n{f.read()}", end="", file=sys.stderr)
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
