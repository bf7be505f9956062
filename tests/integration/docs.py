#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Help, man pages and completion name the same options, and host.conf's example is understood.

usage: docs.py SOURCE_FOLDER BUILD_FOLDER
"""
import re
import subprocess
import sys

source, build = sys.argv[1:3]
failures = []


def options(text):
    return set(re.findall(r"--([a-z][a-z-]*)", text))


def compare(what, got, want):
    if got != want:
        failures.append(f"{what}: missing {sorted(want - got)}, unknown {sorted(got - want)}")


for program, arguments, where in (("punktfunk-host", ["serve"], "host"), ("punktfunk-client", [], "client")):
    text = subprocess.run([f"{build}/{where}/{program}", *arguments, "--help"], capture_output=True,
                          text=True, check=True).stdout
    want = set(re.findall(r"^  --([a-z][a-z-]*)", text, re.M)) | {"help"}
    if program == "punktfunk-client":
        want.add("version")
    man = open(f"{source}/docs/man/{program}.1").read().replace("\\-", "-")
    body = man[man.index(".SH OPTIONS"):man.index(".SH FILES")]
    compare(f"{program}.1", options("\n".join(re.findall(r"^\.B.*--.*$", body, re.M))) | {"help"}, want)
    completion = open(f"{source}/packaging/completions/punktfunk.bash").read()
    function = completion[completion.index(f"_{program.replace('-', '_')}()"):]
    function = function[:function.index("\n}\n")]
    compare(f"completion of {program}", options(function) - ({"version"} if where == "host" else set()),
            want)

readme = open(f"{source}/README.md").read()
for path in re.findall(r"\]\(((?!http)[^)#]+)", readme) + re.findall(r"`((?:host|core|client|tools|docs|include)/[\w./-]+\.\w+)`", readme):
    try:
        open(f"{source}/{path}").close()
    except OSError:
        failures.append(f"README.md names {path}, which is not there")

print("\n".join(failures) or "help, man pages, completion and README agree")
sys.exit(1 if failures else 0)
