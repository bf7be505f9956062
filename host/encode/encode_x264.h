// SPDX-License-Identifier: MIT OR Apache-2.0
#ifndef HOST_ENCODE_ENCODE_X264_H
#define HOST_ENCODE_ENCODE_X264_H

#include "host/encode/encode.h"

extern const struct encode_impl encode_x264;

#endif
