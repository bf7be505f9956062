// SPDX-License-Identifier: MIT OR Apache-2.0
// Additive FFT over the Cantor basis. In that basis the subspace polynomial of the points 0..2^r-1
// maps the point with symbol v to the point v >> r, is monic and has derivative 1: a butterfly of
// distance 2^r at point v multiplies by the symbol v >> r.
//
// Transforms run two layers at a time and depth first: a block is finished while it is in the
// first-level cache, and shards are read and parity is written where the recursion ends.
#include "core/fec/gf16_internal.h"

#include <string.h>

struct transform {
    struct pfk_gf16 *fec;
    const struct pfk_gf16_column *col;
    uint8_t *work;
    unsigned first; // point of slot 0
    unsigned n;     // only the first n values are there, or are wanted
    // inverse
    const uint8_t *const *data;
    // forward
    pfk_gf16_take_fn take;
    void *ctx;
    unsigned first_row; // row of slot 0
};

static uint8_t *slot_at(const struct transform *f, unsigned at)
{
    return f->work + at * f->col->stride;
}

// Butterflies of the block of 1 << shift points from slot `at` on, in its two outermost layers.
static struct pfk_gf16_twiddles twiddles(const struct transform *f, unsigned at, unsigned shift)
{
    unsigned v = (f->first + at) >> (shift - 2);
    return (struct pfk_gf16_twiddles){
        .far = pfk_gf16_times(f->fec, v >> 1),
        .near = {pfk_gf16_times(f->fec, v), pfk_gf16_times(f->fec, v + 2)},
    };
}

static void load_slot(const struct transform *f, unsigned at)
{
    if (at < f->n && f->data[at]) {
        pfk_gf16_load(f->fec, slot_at(f, at), f->data[at], f->col);
    } else {
        memset(slot_at(f, at), 0, f->col->padded);
    }
}

// The innermost four: loaded and transformed in one go where all are there.
static void load_four(const struct transform *f, unsigned at, const struct pfk_gf16_twiddles *t)
{
    const struct pfk_gf16_row *row = f->fec->row;
    const struct pfk_gf16_column *col = f->col;
    const uint8_t *from[4];
    bool all = at + 4 <= f->n;
    for (unsigned i = 0; all && i < 4; i++) {
        all = f->data[at + i] != NULL;
        from[i] = all ? f->data[at + i] + col->at : NULL;
    }
    if (!all) {
        for (unsigned i = 0; i < 4; i++) {
            load_slot(f, at + i);
        }
        row->ifft4(slot_at(f, at), col->stride, t, col->padded);
        return;
    }
    size_t whole = col->bytes / PFK_GF16_CHUNK * PFK_GF16_CHUNK;
    row->ifft4_load(slot_at(f, at), col->stride, from, &f->fec->convert, t, whole);
    if (whole < col->bytes) {
        uint8_t tails[4][PFK_GF16_CHUNK];
        for (unsigned i = 0; i < 4; i++) {
            pfk_gf16_spread(tails[i], from[i] + whole, col->bytes - whole);
            from[i] = tails[i];
        }
        row->ifft4_load(slot_at(f, at) + whole, col->stride, from, &f->fec->convert, t,
                        PFK_GF16_CHUNK);
    }
}

static void clear(const struct transform *f, unsigned at, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        memset(slot_at(f, at + i), 0, f->col->padded);
    }
}

// Values of the 1 << shift points from slot `at` on, read from the shards, to coefficients.
static void ifft(const struct transform *f, unsigned at, unsigned shift)
{
    const struct pfk_gf16_row *row = f->fec->row;
    const struct pfk_gf16_column *col = f->col;
    if (at >= f->n) {
        clear(f, at, 1u << shift);
        return;
    }
    if (shift < 2) {
        load_slot(f, at);
        if (shift == 1) {
            load_slot(f, at + 1);
            row->ifft2(slot_at(f, at), slot_at(f, at + 1), pfk_gf16_times(f->fec, f->first + at),
                       col->padded);
        }
        return;
    }
    struct pfk_gf16_twiddles t = twiddles(f, at, shift);
    if (shift == 2) {
        load_four(f, at, &t);
        return;
    }
    unsigned quarter = 1u << (shift - 2);
    for (unsigned i = 0; i < 4; i++) {
        ifft(f, at + i * quarter, shift - 2);
    }
    for (unsigned i = 0; i < quarter; i++) {
        row->ifft4(slot_at(f, at + i), quarter * col->stride, &t, col->padded);
    }
}

// The same for all 1 << shift slots, added to those at `sum`: the last pass does both.
static void ifft_add(const struct transform *f, unsigned shift, uint8_t *sum)
{
    const struct pfk_gf16_row *row = f->fec->row;
    const struct pfk_gf16_column *col = f->col;
    if (shift <= 2) {
        ifft(f, 0, shift);
        for (unsigned i = 0; i < 1u << shift; i++) {
            row->add(sum + i * col->stride, slot_at(f, i), col->padded);
        }
        return;
    }
    unsigned quarter = 1u << (shift - 2);
    for (unsigned i = 0; i < 4; i++) {
        ifft(f, i * quarter, shift - 2);
    }
    struct pfk_gf16_twiddles t = twiddles(f, 0, shift);
    for (unsigned i = 0; i < quarter; i++) {
        row->ifft4_add(sum + i * col->stride, slot_at(f, i), quarter * col->stride, &t,
                       col->padded);
    }
}

// Coefficients to values at the 1 << shift points from slot `at` on, each wanted one taken.
static void fft(const struct transform *f, unsigned at, unsigned shift)
{
    const struct pfk_gf16_row *row = f->fec->row;
    const struct pfk_gf16_column *col = f->col;
    if (at >= f->n) {
        return;
    }
    if (shift == 0) {
        f->take(f->ctx, f->first_row + at, slot_at(f, at), col);
        return;
    }
    if (shift == 1) {
        row->fft2(slot_at(f, at), slot_at(f, at + 1), pfk_gf16_times(f->fec, f->first + at),
                  col->padded);
        fft(f, at, 0);
        fft(f, at + 1, 0);
        return;
    }
    unsigned quarter = 1u << (shift - 2);
    struct pfk_gf16_twiddles t = twiddles(f, at, shift);
    for (unsigned i = 0; i < quarter; i++) {
        row->fft4(slot_at(f, at + i), quarter * col->stride, &t, col->padded);
    }
    for (unsigned i = 0; i < 4; i++) {
        fft(f, at + i * quarter, shift - 2);
    }
}

static unsigned at_most(unsigned n, unsigned limit)
{
    return n < limit ? n : limit;
}

void pfk_gf16_encode_column(struct pfk_gf16 *fec, const struct pfk_gf16_layout *l,
                            const uint8_t *const data[], unsigned n_rows,
                            const struct pfk_gf16_column *col, pfk_gf16_take_fn take, void *ctx)
{
    uint8_t *sum = fec->work, *other = fec->work + l->c * col->stride;
    struct transform f = {fec, col, sum, .take = take, .ctx = ctx};
    for (unsigned base = 0; base < l->k; base += l->c) {
        f.first = pfk_gf16_data_point(l, base);
        f.n = at_most(l->k - base, l->c);
        f.data = data + base;
        if (base == 0) {
            ifft(&f, 0, l->shift);
        } else {
            f.work = other;
            ifft_add(&f, l->shift, sum);
        }
    }
    for (unsigned base = 0; base < n_rows; base += l->c) {
        f.first = pfk_gf16_parity_point(l, base);
        f.n = at_most(n_rows - base, l->c);
        f.first_row = base;
        f.work = sum;
        if (n_rows - base > l->c) { // the coefficients are needed again
            memcpy(other, sum, l->c * col->stride);
            f.work = other;
        }
        fft(&f, 0, l->shift);
    }
}
