#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# Installs what building, running and testing need. Debian and its children by package name; other
# systems hear the names.
set -eu

packages='build-essential meson ninja-build pkg-config python3
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

installed() {
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

missing=''
for p in $packages; do
    installed "$p" || missing="$missing $p"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" = 0 ]; then
    as_root=''
elif command -v sudo >/dev/null; then
    as_root='sudo'
else
    echo "These packages are missing, and there is no sudo here. As root:" >&2
    echo "    apt-get install --no-install-recommends$missing" >&2
    exit 1
fi
echo "Installing:$missing"
$as_root apt-get -qq update || echo "apt-get update failed; trying with the lists that are here" >&2
# shellcheck disable=SC2086
$as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get -q -y --no-install-recommends install $missing || {
    echo "apt-get could not install:$missing" >&2
    exit 1
}
