// SPDX-License-Identifier: MIT OR Apache-2.0
// fec-check: a file of GF(2^16) parity vectors through every row this CPU runs, decode included.
//
// The file is a list of {"k", "m", "shard_bytes", "seed", "parity_sha256"}: data bytes are the
// little-endian outputs of SplitMix64 started at `seed`, shard after shard, each shard rounded up
// to 8 bytes when drawing; the hash is over the parity shards in order.
#include "core/base/status.h"
#include "core/fec/gf16.h"

#include <gnutls/crypto.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct vector {
    unsigned k, m;
    size_t shard_bytes;
    uint64_t seed;
    const char *sha256;
};

struct shards {
    uint8_t *memory, *work;
    uint8_t **data, **parity, **broken;
    bool *have;
};

static uint64_t splitmix64(uint64_t *state)
{
    uint64_t z = *state += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

static void shards_free(struct shards *s)
{
    free(s->memory);
    free(s->work);
    free(s->data);
    free(s->parity);
    free(s->broken);
    free(s->have);
}

static bool shards_make(struct shards *s, const struct vector *v)
{
    *s = (struct shards){
        .memory = malloc((size_t)(v->k + v->m) * v->shard_bytes),
        .work = malloc((size_t)v->k * v->shard_bytes),
        .data = calloc(v->k, sizeof(uint8_t *)),
        .parity = calloc(v->m, sizeof(uint8_t *)),
        .broken = calloc(v->k, sizeof(uint8_t *)),
        .have = calloc(v->k, sizeof(bool)),
    };
    if (!s->memory || !s->work || !s->data || !s->parity || !s->broken || !s->have) {
        shards_free(s);
        return false;
    }
    uint64_t state = v->seed;
    for (unsigned i = 0; i < v->k; i++) {
        s->data[i] = s->memory + i * v->shard_bytes;
        s->broken[i] = s->work + i * v->shard_bytes;
        for (size_t at = 0; at < v->shard_bytes; at += 8) {
            uint64_t word = splitmix64(&state);
            for (size_t b = 0; b < 8 && at + b < v->shard_bytes; b++) {
                s->data[i][at + b] = (uint8_t)(word >> (8 * b));
            }
        }
    }
    for (unsigned i = 0; i < v->m; i++) {
        s->parity[i] = s->memory + (v->k + i) * v->shard_bytes;
    }
    return true;
}

static bool hash_agrees(const struct shards *s, const struct vector *v)
{
    uint8_t hash[32];
    char hex[65];
    if (gnutls_hash_fast(GNUTLS_DIG_SHA256, s->parity[0], v->m * v->shard_bytes, hash) != 0) {
        return false;
    }
    for (int i = 0; i < 32; i++) {
        snprintf(hex + 2 * i, 3, "%02x", hash[i]);
    }
    return strcmp(hex, v->sha256) == 0;
}

// Loses `n_lost` of all shards, picked by a seed, and restores the data.
static bool decode_agrees(struct pfk_gf16 *fec, const struct shards *s, const struct vector *v,
                          unsigned n_lost, uint64_t seed)
{
    const uint8_t **parity = calloc(v->m, sizeof(*parity));
    bool good = parity != NULL;
    for (unsigned i = 0; i < v->k && good; i++) {
        s->have[i] = true;
        memcpy(s->broken[i], s->data[i], v->shard_bytes);
    }
    for (unsigned i = 0; i < v->m && good; i++) {
        parity[i] = s->parity[i];
    }
    for (unsigned lost = 0; good && lost < n_lost;) {
        unsigned i = (unsigned)(splitmix64(&seed) % (v->k + v->m));
        if (i < v->k && s->have[i]) {
            s->have[i] = false;
            memset(s->broken[i], 0xEE, v->shard_bytes);
            lost++;
        } else if (i >= v->k && parity[i - v->k]) {
            parity[i - v->k] = NULL;
            lost++;
        }
    }
    good = good &&
           pfk_gf16_decode(fec, v->k, v->m, v->shard_bytes, s->broken, s->have, parity) == PFK_OK &&
           memcmp(s->work, s->memory, (size_t)v->k * v->shard_bytes) == 0;
    free(parity);
    return good;
}

static bool check(const struct vector *v, const char *row)
{
    struct shards s;
    struct pfk_gf16 *fec;
    if (pfk_gf16_create(&fec, row) != PFK_OK) {
        fprintf(stderr, "fec-check: row %s cannot be made\n", row);
        return false;
    }
    if (!shards_make(&s, v)) {
        fprintf(stderr, "fec-check: out of memory\n");
        pfk_gf16_destroy(fec);
        return false;
    }
    bool encoded = pfk_gf16_encode(fec, v->k, v->m, v->shard_bytes, (const uint8_t *const *)s.data,
                                   s.parity) == PFK_OK &&
                   hash_agrees(&s, v);
    const unsigned losses[] = {1, v->m / 2 ? v->m / 2 : 1, v->m};
    unsigned n_decoded = 0;
    const unsigned n = sizeof(losses) / sizeof(losses[0]);
    for (unsigned i = 0; encoded && i < n; i++) {
        n_decoded += decode_agrees(fec, &s, v, losses[i], v->seed + i);
    }
    printf("k=%-5u m=%-5u shard_bytes=%-5zu %-5s encode %s, decode %u of %u\n", v->k, v->m,
           v->shard_bytes, row, encoded ? "ok" : "WRONG", n_decoded, n);
    shards_free(&s);
    pfk_gf16_destroy(fec);
    return encoded && n_decoded == n;
}

static bool read_vector(const json_t *j, struct vector *v)
{
    json_int_t k = json_integer_value(json_object_get(j, "k"));
    json_int_t m = json_integer_value(json_object_get(j, "m"));
    json_int_t bytes = json_integer_value(json_object_get(j, "shard_bytes"));
    const json_t *seed = json_object_get(j, "seed");
    const char *sha256 = json_string_value(json_object_get(j, "parity_sha256"));
    if (k < 1 || m < 1 || k + m > PFK_GF16_MAX_SHARDS || bytes < 2 || bytes > 65536 || bytes % 2 ||
        !json_is_integer(seed) || !sha256 || strlen(sha256) != 64) {
        return false;
    }
    *v = (struct vector){(unsigned)k, (unsigned)m, (size_t)bytes,
                         (uint64_t)json_integer_value(seed), sha256};
    return true;
}

int main(int argc, char **argv)
{
    if (argc != 2 || strcmp(argv[1], "--help") == 0) {
        fputs("Usage: fec-check FILE.json\n"
              "\n"
              "Checks GF(2^16) parity vectors against every implementation this CPU runs: encodes, "
              "compares\n"
              "the hash, then loses 1, m/2 and m shards and restores them. A line each; exit "
              "status 1 on\n"
              "any mismatch. Example: fec-check tests/vectors/fec-gf16.json\n",
              argc == 2 ? stdout : stderr);
        return argc == 2 ? 0 : 2;
    }
    json_error_t error;
    json_t *file = json_load_file(argv[1], 0, &error);
    const json_t *list = json_is_object(file) ? json_object_get(file, "vectors") : file;
    if (!json_is_array(list) || json_array_size(list) == 0) {
        fprintf(stderr, "fec-check: %s: %s\n", argv[1],
                file ? "not a list of vectors" : error.text);
        json_decref(file);
        return 1;
    }
    unsigned n_failed = 0, n = 0;
    size_t i;
    json_t *j;
    json_array_foreach(list, i, j)
    {
        struct vector v;
        if (!read_vector(j, &v)) {
            fprintf(stderr, "fec-check: %s: vector %zu lacks a field or is out of range\n", argv[1],
                    i);
            n_failed++;
            continue;
        }
        const char *row;
        for (unsigned r = 0; (row = pfk_gf16_row_at(r)); r++, n++) {
            n_failed += !check(&v, row);
        }
    }
    json_decref(file);
    printf("%u checks, %u failed\n", n, n_failed);
    return n_failed ? 1 : 0;
}
