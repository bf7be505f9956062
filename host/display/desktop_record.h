// SPDX-License-Identifier: MIT OR Apache-2.0
// state_dir/desktop.json: which desktops hosts have started, so that a later host can end what a
// killed one left. Written to a temporary name and renamed, under a lock.
#ifndef HOST_DISPLAY_DESKTOP_RECORD_H
#define HOST_DISPLAY_DESKTOP_RECORD_H

#include "host/display/desktop.h"

/** Add this desktop. 0 or PFK_E_IO (errno is set, nothing logged). */
int desktop_record_add(const struct desktop *d);

void desktop_record_remove(const struct desktop *d);

#endif
