// SPDX-License-Identifier: MIT OR Apache-2.0
#include "core/net/identity.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    char *text = malloc(n + 1), back[65];
    uint8_t fp[PFK_FINGERPRINT_BYTES], again[PFK_FINGERPRINT_BYTES];
    if (!text) {
        return 0;
    }
    if (n) {
        memcpy(text, bytes, n);
    }
    text[n] = 0;
    if (pfk_fingerprint_parse(text, fp) == 0) {
        pfk_fingerprint_hex(fp, back);
        if (pfk_fingerprint_parse(back, again) != 0 || memcmp(fp, again, sizeof(fp)) != 0) {
            abort();
        }
    }
    free(text);
    return 0;
}
