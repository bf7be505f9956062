// SPDX-License-Identifier: MIT OR Apache-2.0
#ifndef HOST_DISPLAY_SWAY_H
#define HOST_DISPLAY_SWAY_H

#include "host/display/display.h"

/** sway: the running session this host was started from, or an own headless one. */
extern const struct display_impl display_sway;

#endif
