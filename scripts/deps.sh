#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# Installs what building, running and testing need. Debian and its children by package name; other
# systems hear the names.
set -eu

packages='build-essential meson ninja-build pkg-config clang libclang-rt-dev python3
libgnutls28-dev nettle-dev libngtcp2-dev libngtcp2-crypto-gnutls-dev libisal-dev libjansson-dev
libinih-dev libwayland-dev libwayland-bin wayland-protocols libx264-dev libavcodec-dev libavformat-dev
libavutil-dev libswscale-dev libcmocka-dev sway ffmpeg iproute2 procps'

if ! command -v dpkg-query >/dev/null; then
    for tool in meson ninja cc pkg-config; do
        command -v "$tool" >/dev/null || missing=yes
    done
    pkg-config --exists gnutls libngtcp2 libngtcp2_crypto_gnutls libisal jansson inih wayland-client \
        wayland-protocols x264 libavcodec libavformat libswscale cmocka 2>/dev/null || missing=yes
    if [ "${missing:-no}" = yes ]; then
        echo "This is not Debian. Please install what these Debian packages hold:" >&2
        echo "$packages" >&2
        exit 1
    fi
    exit 0
fi

# Packages whose name differs between releases: the first one that exists.
resolve() {
    case $1 in
    libclang-rt-dev) echo "libclang-rt-dev libclang-rt-14-dev" ;;
    *) echo "$1" ;;
    esac
}

installed() {
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

missing=''
for p in $packages; do
    found=no
    for name in $(resolve "$p"); do
        if installed "$name"; then
            found=yes
        fi
    done
    [ $found = yes ] || missing="$missing $p"
done
[ -n "$missing" ] || exit 0

# The name that this release has for each.
names=''
resolve_all() {
    names=''
    for p in $missing; do
        for name in $(resolve "$p"); do
            if apt-cache show "$name" >/dev/null 2>&1; then
                names="$names $name"
                break
            fi
        done
    done
}

if [ "$(id -u)" = 0 ]; then
    as_root=''
elif command -v sudo >/dev/null; then
    as_root='sudo'
else
    resolve_all
    echo "These packages are missing, and there is no sudo here. As root:" >&2
    echo "    apt-get install --no-install-recommends${names:-$missing}" >&2
    exit 1
fi
echo "Installing:$missing"
$as_root apt-get -qq update || echo "apt-get update failed; trying with the lists that are here" >&2
resolve_all
# shellcheck disable=SC2086
$as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get -q -y --no-install-recommends install $names || {
    echo "apt-get could not install:$names" >&2
    exit 1
}
