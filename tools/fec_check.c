// SPDX-License-Identifier: MIT OR Apache-2.0
// fec-check: runs a file of GF(2^16) parity vectors through every row this CPU runs, both ways.
#include "core/base/status.h"
#include "core/fec/gf16.h"

#include <gnutls/crypto.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_VECTORS = 10000, N_LOSSES = 4, MAX_SHARD_BYTES = 65536 };

struct vector {
    unsigned k, m;
    size_t shard_bytes;
    uint64_t seed;
    uint8_t sha256[32];
};

// The shards of one vector, each an allocation of its own: an overrun does not hit its neighbour.
struct block {
    const struct vector *v;
    uint8_t **data, **parity, **original; // k, m, k
    const uint8_t **arrived;              // m, NULL = lost
    bool *have, *lost;                    // k, k + m
};

static void usage(FILE *to)
{
    fputs(
        "Usage: fec-check FILE.json\n"
        "\n"
        "Encodes every vector of FILE with every GF(2^16) row this CPU runs and compares the\n"
        "parity's SHA-256, then loses shards and checks that decoding restores them.\n"
        "One line for each vector and row.\n"
        "\n"
        "FILE is a list of {\"k\", \"m\", \"shard_bytes\", \"seed\", \"parity_sha256\"}. The data "
        "are "
        "the\n"
        "little-endian outputs of SplitMix64 started at `seed`, shard after shard; a shard draws\n"
        "whole outputs. The hash runs over the parity shards in order.\n"
        "\n"
        "Exit status: 0 all good, 1 a mismatch, 2 FILE cannot be used.\n"
        "Example: fec-check tests/vectors/fec-gf16.json\n",
        to);
}

static uint64_t splitmix64(uint64_t *state)
{
    uint64_t z = *state += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

static bool parse_sha256(const char *hex, uint8_t out[32])
{
    size_t n = 32;
    const gnutls_datum_t text = {(unsigned char *)(uintptr_t)hex, (unsigned)strlen(hex)};
    return text.size == 64 && gnutls_hex_decode(&text, out, &n) == 0 && n == 32;
}

static bool parse_vector(struct vector *v, json_t *json, const char *file, size_t index)
{
    json_error_t error;
    json_int_t k, m, shard_bytes, seed;
    const char *sha256;
    if (json_unpack_ex(json, &error, JSON_STRICT, "{s:I, s:I, s:I, s:I, s:s}", "k", &k, "m", &m,
                       "shard_bytes", &shard_bytes, "seed", &seed, "parity_sha256", &sha256) != 0) {
        fprintf(stderr, "fec-check: %s: vector %zu: %s\n", file, index, error.text);
        return false;
    }
    const char *wrong = NULL;
    if (k < 1 || m < 1 || k > PFK_GF16_MAX_SHARDS || m > PFK_GF16_MAX_SHARDS - k) {
        wrong = "k and m must be at least 1 and together at most 65535";
    } else if (shard_bytes < 2 || shard_bytes > MAX_SHARD_BYTES || shard_bytes % 2 != 0) {
        wrong = "shard_bytes must be even, from 2 to 65536";
    } else if (!parse_sha256(sha256, v->sha256)) {
        wrong = "parity_sha256 must be 64 hex digits";
    }
    if (wrong) {
        fprintf(stderr, "fec-check: %s: vector %zu: %s\n", file, index, wrong);
        return false;
    }
    v->k = (unsigned)k;
    v->m = (unsigned)m;
    v->shard_bytes = (size_t)shard_bytes;
    v->seed = (uint64_t)seed;
    return true;
}

// The file's vectors, or NULL with the reason printed. Free with free().
static struct vector *load(const char *file, size_t *n)
{
    json_error_t error;
    json_t *root = json_load_file(file, JSON_REJECT_DUPLICATES, &error);
    if (!root) {
        // jansson numbers lines from 1 once it has read something.
        if (error.line > 0) {
            fprintf(stderr, "fec-check: %s:%d: %s\n", file, error.line, error.text);
        } else {
            fprintf(stderr, "fec-check: %s\n", error.text);
        }
        return NULL;
    }
    struct vector *vectors = NULL;
    *n = json_array_size(root);
    if (*n == 0 || *n > MAX_VECTORS) {
        fprintf(stderr, "fec-check: %s: must be a list of 1 to %d vectors\n", file, MAX_VECTORS);
    } else {
        vectors = calloc(*n, sizeof(*vectors));
    }
    for (size_t i = 0; vectors && i < *n; i++) {
        if (!parse_vector(&vectors[i], json_array_get(root, i), file, i)) {
            free(vectors);
            vectors = NULL;
        }
    }
    json_decref(root);
    return vectors;
}

// A tool that runs out of memory has nothing better to do than to say so.
static void *need(void *memory)
{
    if (!memory) {
        fputs("fec-check: out of memory\n", stderr);
        exit(2);
    }
    return memory;
}

static uint8_t **shards_new(unsigned n, size_t bytes)
{
    uint8_t **shards = need(calloc(n, sizeof(*shards)));
    for (unsigned i = 0; i < n; i++) {
        shards[i] = need(calloc(1, bytes));
    }
    return shards;
}

static void shards_free(uint8_t **shards, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        free(shards[i]);
    }
    free(shards);
}

static struct block block_new(const struct vector *v)
{
    struct block b = {
        .v = v,
        .data = shards_new(v->k, v->shard_bytes),
        .parity = shards_new(v->m, v->shard_bytes),
        .original = shards_new(v->k, v->shard_bytes),
        .arrived = need(calloc(v->m, sizeof(*b.arrived))),
        .have = need(calloc(v->k, sizeof(*b.have))),
        .lost = need(calloc(v->k + v->m, sizeof(*b.lost))),
    };
    uint64_t state = v->seed;
    for (unsigned i = 0; i < v->k; i++) {
        for (size_t at = 0; at < v->shard_bytes; at += 8) {
            uint64_t drawn = splitmix64(&state);
            for (size_t n = 0; n < 8 && at + n < v->shard_bytes; n++) {
                b.data[i][at + n] = (uint8_t)(drawn >> 8 * n);
            }
        }
        memcpy(b.original[i], b.data[i], v->shard_bytes);
    }
    return b;
}

static void block_free(struct block *b)
{
    shards_free(b->data, b->v->k);
    shards_free(b->parity, b->v->m);
    shards_free(b->original, b->v->k);
    free(b->arrived);
    free(b->have);
    free(b->lost);
}

static const char *check_encode(struct pfk_gf16 *fec, struct block *b)
{
    const struct vector *v = b->v;
    int err = pfk_gf16_encode(fec, v->k, v->m, v->shard_bytes, (const uint8_t *const *)b->data,
                              b->parity);
    if (err != 0) {
        return pfk_strstatus(err);
    }
    gnutls_hash_hd_t hash;
    uint8_t digest[32];
    if (gnutls_hash_init(&hash, GNUTLS_DIG_SHA256) != 0) {
        return "no SHA-256 in this GnuTLS";
    }
    for (unsigned j = 0; j < v->m; j++) {
        gnutls_hash(hash, b->parity[j], v->shard_bytes);
    }
    gnutls_hash_deinit(hash, digest);
    return memcmp(digest, v->sha256, sizeof(digest)) == 0 ? NULL : "parity differs";
}

static const char *check_decode(struct pfk_gf16 *fec, struct block *b, unsigned n_lost,
                                uint64_t *seed)
{
    const struct vector *v = b->v;
    memset(b->lost, 0, (v->k + v->m) * sizeof(*b->lost));
    // The first loss is always a data shard, so that there is something to restore.
    for (unsigned n = 0; n < n_lost;) {
        unsigned at = (unsigned)(splitmix64(seed) % (n == 0 ? v->k : v->k + v->m));
        n += !b->lost[at];
        b->lost[at] = true;
    }
    for (unsigned i = 0; i < v->k; i++) {
        b->have[i] = !b->lost[i];
        if (b->lost[i]) {
            memset(b->data[i], 0xA5, v->shard_bytes);
        }
    }
    for (unsigned j = 0; j < v->m; j++) {
        b->arrived[j] = b->lost[v->k + j] ? NULL : b->parity[j];
    }
    int err = pfk_gf16_decode(fec, v->k, v->m, v->shard_bytes, b->data, b->have, b->arrived);
    if (err != 0) {
        return pfk_strstatus(err);
    }
    for (unsigned i = 0; i < v->k; i++) {
        if (memcmp(b->data[i], b->original[i], v->shard_bytes) != 0) {
            return "restored data differ";
        }
    }
    return NULL;
}

// One line; false on any mismatch.
static bool check(struct pfk_gf16 *fec, const struct vector *v)
{
    struct block b = block_new(v);
    uint64_t seed = v->seed;
    const unsigned losses[N_LOSSES] = {1, 1 + v->m / 4, 1 + v->m / 2, v->m};
    unsigned n_lost = 0;
    const char *wrong = check_encode(fec, &b);
    printf("%-6s k=%-5u m=%-5u shard_bytes=%-5zu ", pfk_gf16_row(fec), v->k, v->m, v->shard_bytes);
    if (wrong) {
        printf("FAILED: encode: %s\n", wrong);
    }
    for (unsigned i = 0; i < N_LOSSES && !wrong; i++) {
        n_lost = losses[i] < v->m ? losses[i] : v->m;
        wrong = check_decode(fec, &b, n_lost, &seed);
        if (wrong) {
            printf("FAILED: decode with %u lost: %s\n", n_lost, wrong);
        }
    }
    if (!wrong) {
        printf("ok, up to %u lost\n", n_lost);
    }
    block_free(&b);
    return !wrong;
}

int main(int argc, char **argv)
{
    if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        usage(stdout);
        return 0;
    }
    if (argc != 2 || argv[1][0] == '-') {
        usage(stderr);
        return 2;
    }
    size_t n_vectors;
    struct vector *vectors = load(argv[1], &n_vectors);
    if (!vectors) {
        return 2;
    }
    size_t n_run = 0, n_failed = 0;
    for (unsigned row = 0; pfk_gf16_row_at(row); row++) {
        struct pfk_gf16 *fec;
        int err = pfk_gf16_create(&fec, pfk_gf16_row_at(row));
        if (err != 0) {
            fprintf(stderr, "fec-check: row %s: %s\n", pfk_gf16_row_at(row), pfk_strstatus(err));
            n_failed++;
            continue;
        }
        for (size_t i = 0; i < n_vectors; i++) {
            n_failed += !check(fec, &vectors[i]);
            n_run++;
        }
        pfk_gf16_destroy(fec);
    }
    free(vectors);
    printf("%zu checks, %zu failed\n", n_run, n_failed);
    return n_failed ? 1 : 0;
}
