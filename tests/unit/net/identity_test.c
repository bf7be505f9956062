// SPDX-License-Identifier: MIT OR Apache-2.0
#include "core/net/identity.h"

#include "core/base/status.h"
#include "tests/unit/check.h"

#include <gnutls/x509.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

struct folder {
    char base[64], dir[96], cert[128], key[128];
    int errors;
    char last[1100];
};

static void take_log(void *opaque, enum pfk_log_level level, const char *text)
{
    struct folder *f = opaque;
    f->errors += level == PFK_LOG_ERROR;
    snprintf(f->last, sizeof(f->last), "%s", text);
}

static struct folder make_folder(void)
{
    struct folder f = {.base = "/tmp/punktfunk-identity-XXXXXX"};
    CHECK(mkdtemp(f.base) != NULL);
    snprintf(f.dir, sizeof(f.dir), "%s/a/b", f.base);
    snprintf(f.cert, sizeof(f.cert), "%s/cert.pem", f.dir);
    snprintf(f.key, sizeof(f.key), "%s/key.pem", f.dir);
    return f;
}

static void drop_folder(struct folder *f)
{
    char above[96];
    unlink(f->cert);
    unlink(f->key);
    rmdir(f->dir);
    snprintf(above, sizeof(above), "%s/a", f->base);
    rmdir(above);
    CHECK_EQ(rmdir(f->base), 0); // nothing else was left there
}

static int open_it(struct folder *f, struct pfk_identity **id)
{
    const struct pfk_log log = {take_log, f};
    return pfk_identity_open(id, PFK_IDENTITY_HOST, f->dir, &log);
}

static void it_is_made_once_with_the_right_modes(void **state)
{
    struct folder f = make_folder();
    struct pfk_identity *a, *b;
    CHECK_EQ(open_it(&f, &a), PFK_OK);
    CHECK_EQ(open_it(&f, &b), PFK_OK);
    assert_memory_equal(pfk_identity_fingerprint(a), pfk_identity_fingerprint(b), 32);
    struct stat st;
    CHECK_EQ(stat(f.key, &st), 0);
    CHECK_EQ(st.st_mode & 0777, 0600);
    CHECK_EQ(stat(f.cert, &st), 0);
    CHECK_EQ(st.st_mode & 0777, 0600);
    CHECK_EQ(stat(f.dir, &st), 0);
    CHECK_EQ(st.st_mode & 0777, 0700);
    CHECK_EQ(f.errors, 0);
    pfk_identity_destroy(a);
    pfk_identity_destroy(b);
    drop_folder(&f);
}

static void *open_in_thread(void *opaque)
{
    struct pfk_identity *id = NULL;
    return pfk_identity_open(&id, PFK_IDENTITY_CLIENT, opaque, NULL) == PFK_OK ? id : NULL;
}

static void first_starts_at_once_agree_on_one(void **state)
{
    enum { STARTS = 6 };
    struct folder f = make_folder();
    pthread_t threads[STARTS];
    struct pfk_identity *ids[STARTS];
    for (int i = 0; i < STARTS; i++) {
        CHECK_EQ(pthread_create(&threads[i], NULL, open_in_thread, f.dir), 0);
    }
    for (int i = 0; i < STARTS; i++) {
        void *id;
        CHECK_EQ(pthread_join(threads[i], &id), 0);
        ids[i] = id;
    }
    for (int i = 0; i < STARTS; i++) {
        CHECK(ids[i] != NULL);
        assert_memory_equal(pfk_identity_fingerprint(ids[0]), pfk_identity_fingerprint(ids[i]), 32);
    }
    for (int i = 0; i < STARTS; i++) {
        pfk_identity_destroy(ids[i]);
    }
    drop_folder(&f);
}

static void a_trailing_slash_changes_nothing(void **state)
{
    struct folder f = make_folder();
    char dir[128];
    snprintf(dir, sizeof(dir), "%s//", f.dir);
    struct pfk_identity *id;
    CHECK_EQ(pfk_identity_open(&id, PFK_IDENTITY_CLIENT, dir, NULL), PFK_OK);
    struct stat st;
    CHECK_EQ(stat(f.dir, &st), 0);
    CHECK_EQ(st.st_mode & 0777, 0700);
    pfk_identity_destroy(id);
    drop_folder(&f);
}

static void a_damaged_key_is_malformed(void **state)
{
    struct folder f = make_folder();
    struct pfk_identity *id = NULL;
    CHECK_EQ(open_it(&f, &id), PFK_OK);
    pfk_identity_destroy(id);
    char bytes[4096];
    FILE *in = fopen(f.key, "r");
    size_t n = fread(bytes, 1, sizeof(bytes), in);
    fclose(in);
    for (size_t cut = 0; cut < n - 40; cut += 211) {
        FILE *out = fopen(f.key, "w");
        fwrite(bytes, 1, cut, out);
        fclose(out);
        f.errors = 0;
        CHECK_EQ(open_it(&f, &id), PFK_E_MALFORMED);
        CHECK_EQ(f.errors, 1);
        CHECK(id == NULL);
    }
    drop_folder(&f);
}

static void the_certificate_is_what_the_page_wants(void **state)
{
    const struct {
        enum pfk_identity_kind kind;
        int algorithm;
        unsigned bits;
    } kinds[] = {{PFK_IDENTITY_HOST, GNUTLS_PK_RSA, 2048},
                 {PFK_IDENTITY_CLIENT, GNUTLS_PK_ECDSA, 256}};
    for (int k = 0; k < 2; k++) {
        struct pfk_identity *id;
        CHECK_EQ(pfk_identity_open(&id, kinds[k].kind, NULL, NULL), PFK_OK);
        gnutls_x509_crt_t *list;
        unsigned n;
        CHECK_EQ(gnutls_certificate_get_x509_crt(pfk_identity_credentials(id), 0, &list, &n), 0);
        CHECK_EQ(n, 1);
        CHECK_EQ(gnutls_x509_crt_get_version(list[0]), 3);
        unsigned bits;
        CHECK_EQ(gnutls_x509_crt_get_pk_algorithm(list[0], &bits), kinds[k].algorithm);
        CHECK_EQ(bits, kinds[k].bits);
        CHECK(gnutls_x509_crt_get_expiration_time(list[0]) > time(NULL) + 20L * 365 * 86400);
        unsigned result;
        CHECK_EQ(gnutls_x509_crt_verify(list[0], list, 1,
                                        GNUTLS_VERIFY_ALLOW_ANY_X509_V1_CA_CRT |
                                            GNUTLS_VERIFY_DISABLE_CA_SIGN,
                                        &result),
                 0);
        for (unsigned i = 0; i < 16; i++) { // no critical extension
            char oid[128];
            size_t oid_bytes = sizeof(oid);
            unsigned critical = 0;
            if (gnutls_x509_crt_get_extension_info(list[0], i, oid, &oid_bytes, &critical) < 0) {
                break;
            }
            CHECK_EQ(critical, 0);
        }
        gnutls_x509_crt_deinit(list[0]);
        gnutls_free(list);
        pfk_identity_destroy(id);
    }
}

static void a_damaged_or_half_pair_is_never_replaced(void **state)
{
    struct folder f = make_folder();
    struct pfk_identity *id = NULL;
    CHECK_EQ(open_it(&f, &id), PFK_OK);
    pfk_identity_destroy(id);
    char other[160];
    snprintf(other, sizeof(other), "%s.kept", f.cert);
    CHECK_EQ(rename(f.cert, other), 0);
    CHECK_EQ(open_it(&f, &id), PFK_E_IO);
    CHECK_EQ(f.errors, 1);
    CHECK(strstr(f.last, f.cert));
    CHECK(access(f.cert, F_OK) != 0);

    for (long cut = 0; cut < 2000; cut += 97) { // a truncated certificate
        FILE *in = fopen(other, "r"), *out = fopen(f.cert, "w");
        char bytes[4096];
        size_t n = fread(bytes, 1, sizeof(bytes), in);
        fwrite(bytes, 1, (size_t)cut < n ? (size_t)cut : n, out);
        fclose(in);
        fclose(out);
        if ((size_t)cut < n - 40) {
            CHECK_EQ(open_it(&f, &id), PFK_E_MALFORMED);
            CHECK(id == NULL);
        }
    }

    struct pfk_identity *stranger; // somebody else's certificate with this key
    struct folder g = make_folder();
    CHECK_EQ(open_it(&g, &stranger), PFK_OK);
    pfk_identity_destroy(stranger);
    CHECK_EQ(rename(g.cert, f.cert), 0);
    CHECK_EQ(open_it(&f, &id), PFK_E_MALFORMED);
    unlink(other);
    drop_folder(&f);
    drop_folder(&g);
}

static void an_unusable_folder_is_named(void **state)
{
    struct folder f = make_folder();
    char file[96];
    snprintf(file, sizeof(file), "%s/a", f.base);
    FILE *in_the_way = fopen(file, "w");
    fclose(in_the_way);
    struct pfk_identity *id;
    CHECK_EQ(open_it(&f, &id), PFK_E_IO);
    CHECK_EQ(f.errors, 1);
    CHECK(strstr(f.last, f.dir));
    char long_name[5000];
    memset(long_name, 'x', sizeof(long_name) - 1);
    long_name[sizeof(long_name) - 1] = 0;
    const struct pfk_log log = {take_log, &f};
    CHECK_EQ(pfk_identity_open(&id, PFK_IDENTITY_HOST, long_name, &log), PFK_E_IO);
    CHECK_EQ(f.errors, 2);
    unlink(file);
    rmdir(f.base);
}

static void fingerprints_are_parsed_and_printed(void **state)
{
    uint8_t fp[32], back[32];
    char text[65], colons[128] = "";
    for (int i = 0; i < 32; i++) {
        fp[i] = (uint8_t)(i * 37 + 5);
        snprintf(colons + strlen(colons), 4, i ? ":%02X" : "%02X", fp[i]);
    }
    pfk_fingerprint_hex(fp, text);
    CHECK_EQ(strlen(text), 64);
    CHECK_EQ(pfk_fingerprint_parse(text, back), PFK_OK);
    assert_memory_equal(back, fp, 32);
    CHECK_EQ(pfk_fingerprint_parse(colons, back), PFK_OK);
    assert_memory_equal(back, fp, 32);
    for (size_t cut = 0; cut < 64; cut++) {
        char part[65];
        memcpy(part, text, 64);
        part[cut] = 0;
        CHECK_EQ(pfk_fingerprint_parse(part, back), PFK_E_MALFORMED);
    }
    text[10] = 'g';
    CHECK_EQ(pfk_fingerprint_parse(text, back), PFK_E_MALFORMED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_made_once_with_the_right_modes),
        cmocka_unit_test(first_starts_at_once_agree_on_one),
        cmocka_unit_test(a_trailing_slash_changes_nothing),
        cmocka_unit_test(a_damaged_key_is_malformed),
        cmocka_unit_test(the_certificate_is_what_the_page_wants),
        cmocka_unit_test(a_damaged_or_half_pair_is_never_replaced),
        cmocka_unit_test(an_unusable_folder_is_named),
        cmocka_unit_test(fingerprints_are_parsed_and_printed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
