#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Installs the library to a scratch folder, builds external.c with what pkg-config says (as C and as
C++) and the example of the docs, and runs all against a host.

usage: external.py BUILD_FOLDER EXTERNAL_C EXAMPLE_C
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

build, source, example = os.path.abspath(sys.argv[1]), sys.argv[2], sys.argv[3]
work = tempfile.mkdtemp(prefix="punktfunk-external-")


def run(*args, **kw):
    return subprocess.run(args, check=True, text=True, stdout=subprocess.PIPE, **kw).stdout


try:
    run("meson", "install", "-C", build, "--no-rebuild", "--quiet", "--destdir", f"{work}/root")
    pc = subprocess.check_output(["find", f"{work}/root", "-name", "punktfunk-core.pc"], text=True).strip()
    libdir = os.path.dirname(os.path.dirname(pc))
    headers = subprocess.check_output(["find", f"{work}/root", "-name", "*.h"], text=True).split()
    assert [os.path.basename(h) for h in headers] == ["punktfunk_core.h"], headers
    env = dict(os.environ, PKG_CONFIG_PATH=os.path.dirname(pc), PKG_CONFIG_SYSROOT_DIR=f"{work}/root",
               LD_LIBRARY_PATH=libdir)
    flags = run("pkg-config", "--cflags", "--libs", "punktfunk-core", env=env).split()
    for name, compiler in (("c", ["cc", "-std=c99", "-pedantic"]), ("c++", ["c++", "-x", "c++"])):
        run(*compiler, "-Wall", "-Wextra", "-Werror", source, "-o", f"{work}/{name}", *flags)
    run("cc", "-Wall", "-Wextra", "-Werror", example, "-o", f"{work}/example", *flags)
    log = open(f"{work}/log", "w+b")
    host = subprocess.Popen([f"{build}/host/punktfunk-host", "serve", "--config-dir", f"{work}/config",
                             "--port", "0", "--source", "synthetic", "--synthetic-frames", "30"],
                            stderr=log)
    try:
        port = None
        for _ in range(200):
            found = re.search(r"port (\d+)", open(f"{work}/log").read())
            if found:
                port = found.group(1)
                break
            time.sleep(0.05)
        assert port, open(f"{work}/log").read()
        for name in ("c", "c++"):
            print(name, run(f"{work}/{name}", port, env=env, timeout=60).strip())
        received = subprocess.run([f"{work}/example", "127.0.0.1", port], env=env, timeout=60, check=True,
                                  stdout=subprocess.PIPE).stdout
        assert len(received) == 30 * 65536, len(received)
        print("example", len(received))
    finally:
        host.terminate()
        host.wait()
finally:
    shutil.rmtree(work)
