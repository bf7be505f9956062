// SPDX-License-Identifier: MIT OR Apache-2.0
#include "core/fec/gf16_field.h"

#include <string.h>

enum { POLYNOMIAL = 0x1002D, B = 256, B_SQUARED_PLUS_B = 1 << 7 };

// b_0 .. b_15 of section 5.4: a Cantor basis, b_i = b_(i+1)^2 + b_(i+1).
static const uint16_t basis[16] = {0x0001, 0xACCA, 0x3C0E, 0x163E, 0xC582, 0xED2E, 0x914C, 0x4012,
                                   0x6C98, 0x10D8, 0x6A72, 0xB900, 0xFDB8, 0xFB34, 0xFF38, 0x991E};

void pfk_gf16_field_init(struct pfk_gf16_field *f)
{
    // First the powers of x in the polynomial basis, parked in exp's upper half as element -> log.
    uint16_t *element_log = f->exp + 65536;
    uint32_t element = 1;
    for (uint32_t i = 0; i < PFK_GF16_ORDER; i++) {
        element_log[element] = (uint16_t)i;
        element <<= 1;
        if (element & 0x10000) {
            element ^= POLYNOMIAL;
        }
    }
    // Then renumbered: a symbol's element is its predecessor's without the lowest set bit, plus one
    // basis element.
    uint16_t *symbol_element = f->exp;
    symbol_element[0] = 0;
    f->log[0] = 0;
    for (uint32_t v = 1; v < 65536; v++) {
        symbol_element[v] = symbol_element[v & (v - 1)] ^ basis[__builtin_ctz(v)];
        f->log[v] = element_log[symbol_element[v]];
    }
    for (uint32_t v = 1; v < 65536; v++) {
        f->exp[f->log[v]] = (uint16_t)v;
    }
    f->exp[PFK_GF16_ORDER] = f->exp[0];
    memcpy(f->exp + PFK_GF16_ORDER, f->exp, PFK_GF16_ORDER * sizeof(*f->exp));
    f->exp[2 * 65536 - 2] = f->exp[0];
    f->exp[2 * 65536 - 1] = f->exp[1];
}

// Linear in the nibble's bits: four products, the other values are sums.
static void nibbles_init(struct pfk_gf16_nibbles *t, const uint8_t products[8])
{
    t->lower[0] = t->upper[0] = 0;
    for (unsigned v = 1; v < 16; v++) {
        unsigned rest = v & (v - 1), bit = (unsigned)__builtin_ctz(v);
        t->lower[v] = t->lower[rest] ^ products[bit];
        t->upper[v] = t->upper[rest] ^ products[4 + bit];
    }
}

static void product_init(struct pfk_gf16_nibbles *t, const struct pfk_gf16_field *f,
                         uint16_t constant)
{
    uint8_t products[8];
    for (unsigned bit = 0; bit < 8; bit++) {
        products[bit] = (uint8_t)pfk_gf16_mul(f, constant, (uint16_t)(1u << bit));
    }
    nibbles_init(t, products);
}

// The part below 256 of high * B, whose other part is `high` itself (see pfk_gf16_convert_init).
static uint8_t below_b(const struct pfk_gf16_field *f, unsigned high)
{
    return (uint8_t)pfk_gf16_mul(f, (uint16_t)high, B);
}

void pfk_gf16_table_init(struct pfk_gf16_table *t, const struct pfk_gf16_field *f,
                         uint16_t constant)
{
    unsigned high = constant >> 8;
    uint16_t low = (uint8_t)constant ^ below_b(f, high);
    t->kind = !constant ? PFK_GF16_ZERO : high ? PFK_GF16_PAIRS : PFK_GF16_BYTES;
    product_init(&t->p, f, low);
    product_init(&t->q, f, pfk_gf16_mul(f, (uint16_t)high, B_SQUARED_PLUS_B));
    product_init(&t->r, f, (uint16_t)(low ^ high));
}

// x^256 + x maps B to 1 and b_(8+j) to b_j, and is linear over GF(2^8): so high * B and the symbol
// 256 * high differ by an element of GF(2^8).
void pfk_gf16_convert_init(struct pfk_gf16_nibbles *t, const struct pfk_gf16_field *f)
{
    uint8_t products[8];
    for (unsigned bit = 0; bit < 8; bit++) {
        products[bit] = below_b(f, 1u << bit);
    }
    nibbles_init(t, products);
}
