#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# Who may include whom (docs/architecture.md). Each line: folder, then what its files may include of
# this tree.
set -u
status=0

check() {
    folder=$1
    allowed=$2
    found=$(grep -rnE '^#include "' --include='*.[ch]' "$folder" |
        grep -vE "#include \"($allowed)" | grep -vE '#include "[a-z0-9_-]+-client-protocol\.h"')
    if [ -n "$found" ]; then
        echo "include not allowed in $folder:"
        echo "$found"
        status=1
    fi
}

check core/base 'core/base/'
check core/fec 'core/base/|core/fec/'
check core/wire 'core/base/|core/wire/'
check core/media 'core/base/|core/fec/|core/wire/|core/media/'
check core/net 'core/base/|core/net/'
check core/session 'core/|punktfunk_core\.h'
check host/settings 'core/base/|host/settings/'
check host/display 'core/base/|host/display/'
check host/capture 'core/base/|host/capture/'
check host/encode 'core/base/|host/encode/|host/capture/frame\.h'
check host/session 'core/base/|host/session/|host/display/display\.h|host/capture/capture\.h|host/encode/encode\.h'
check host/native 'core/|host/native/|host/session/|host/settings/|host/display/display\.h'
check host/desktop 'host/desktop/'
check client 'punktfunk_core\.h|[a-z_]+\.h'

# Pure parts: no system calls, clocks, threads or randomness.
impure=$(grep -rnE '#include <(time|unistd|pthread|fcntl|poll|sys/|netinet/|stdatomic)' core/fec core/wire core/media)
if [ -n "$impure" ]; then
    echo "core/fec, core/wire and core/media are pure:"
    echo "$impure"
    status=1
fi
exit $status
