#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Compares the library's ABI with the checked-in snapshot.

usage: snapshot.py ABI_PRINT LIBRARY HEADER SNAPSHOT [--update]

Appending to a struct or adding a function is fine: raise PUNKTFUNK_ABI_VERSION and run with --update.
Anything else breaks programs in the field: raise the soname too.
"""
import difflib
import re
import subprocess
import sys

printer, library, header, snapshot = sys.argv[1:5]
text = subprocess.run([printer], capture_output=True, text=True, check=True).stdout
symbols = subprocess.run(["nm", "-D", "--defined-only", library], capture_output=True, text=True,
                         check=True).stdout.splitlines()
exported = sorted(s.split()[-1] for s in symbols if s.split()[-2] not in "wW")
text += "".join(f"symbol {s}\n" for s in exported)
soname = subprocess.run(["readelf", "-d", library], capture_output=True, text=True, check=True).stdout
text += "soname " + re.search(r"soname: \[(.*?)\]", soname).group(1) + "\n"

# Every field of every struct in the header must be in the printer, or it could move unseen.
source = open(header).read()
for body, name in re.findall(r"typedef struct \w+ \{(.*?)\} (\w+);", source, re.S):
    body = re.sub(r"/\*.*?\*/", "", body, flags=re.S)
    for declaration in filter(None, (d.strip() for d in body.split(";"))):
        for field in declaration.split(","):
            field = re.sub(r"\[.*?\]", "", field).split()[-1].lstrip("*")
            if f"  {name}.{field} " not in text:
                sys.exit(f"{name}.{field} is in the header but not in abi_print.c")
declared = sorted(set(re.findall(r"PUNKTFUNK_API[^;]*?(punktfunk_\w+)\(", source, re.S)))
if declared != exported:
    sys.exit(f"declared and exported functions differ: {set(declared) ^ set(exported)}")

if "--update" in sys.argv:
    open(snapshot, "w").write(text)
    sys.exit(0)
want = open(snapshot).read()
if text != want:
    sys.stdout.writelines(difflib.unified_diff(want.splitlines(True), text.splitlines(True),
                                               "snapshot", "this build"))
    sys.exit(1)
