// SPDX-License-Identifier: MIT OR Apache-2.0
#include "core/net/identity.h"

#include "core/base/status.h"

#include <errno.h>
#include <fcntl.h>
#include <gnutls/crypto.h>
#include <gnutls/x509.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { PEM_MAX_BYTES = 16384, HOST_RSA_BITS = 2048, SERIAL_BYTES = 16, VALID_YEARS = 25 };

struct pfk_identity {
    gnutls_certificate_credentials_t credentials;
    uint8_t fingerprint[PFK_FINGERPRINT_BYTES];
};

void pfk_identity_destroy(struct pfk_identity *id)
{
    if (id) {
        if (id->credentials) {
            gnutls_certificate_free_credentials(id->credentials);
        }
        free(id);
    }
}

const uint8_t *pfk_identity_fingerprint(const struct pfk_identity *id)
{
    return id->fingerprint;
}

gnutls_certificate_credentials_t pfk_identity_credentials(const struct pfk_identity *id)
{
    return id->credentials;
}

void pfk_fingerprint_hex(const uint8_t fp[PFK_FINGERPRINT_BYTES], char text[65])
{
    static const char digits[] = "0123456789abcdef";
    for (int i = 0; i < PFK_FINGERPRINT_BYTES; i++) {
        text[2 * i] = digits[fp[i] >> 4];
        text[2 * i + 1] = digits[fp[i] & 15];
    }
    text[64] = 0;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int pfk_fingerprint_parse(const char *text, uint8_t fp[PFK_FINGERPRINT_BYTES])
{
    uint8_t parsed[PFK_FINGERPRINT_BYTES];
    for (int i = 0; i < PFK_FINGERPRINT_BYTES; i++) {
        if (i > 0 && *text == ':') {
            text++;
        }
        int high = hex_digit(text[0]);
        int low = high < 0 ? -1 : hex_digit(text[1]);
        if (low < 0) {
            return PFK_E_MALFORMED;
        }
        parsed[i] = (uint8_t)(high << 4 | low);
        text += 2;
    }
    if (*text) {
        return PFK_E_MALFORMED;
    }
    memcpy(fp, parsed, sizeof(parsed));
    return PFK_OK;
}

static int make_certificate(gnutls_x509_crt_t crt, gnutls_x509_privkey_t key)
{
    uint8_t serial[SERIAL_BYTES];
    if (gnutls_rnd(GNUTLS_RND_NONCE, serial, sizeof(serial)) < 0) {
        return -1;
    }
    serial[0] = (uint8_t)((serial[0] & 0x7F) | 0x40); // positive and of full length
    time_t now = time(NULL);
    const time_t day = 86400;
    static const char name[] = "punktfunk";
    bool ok = gnutls_x509_crt_set_version(crt, 3) >= 0 &&
              gnutls_x509_crt_set_serial(crt, serial, sizeof(serial)) >= 0 &&
              gnutls_x509_crt_set_activation_time(crt, now - day) >= 0 &&
              gnutls_x509_crt_set_expiration_time(crt, now + VALID_YEARS * 365 * day) >= 0 &&
              gnutls_x509_crt_set_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0, name,
                                            (unsigned)strlen(name)) >= 0 &&
              gnutls_x509_crt_set_key(crt, key) >= 0 &&
              gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_DNSNAME, name,
                                                   (unsigned)strlen(name), GNUTLS_FSAN_SET) >= 0 &&
              gnutls_x509_crt_sign2(crt, crt, key, GNUTLS_DIG_SHA256, 0) >= 0;
    return ok ? 0 : -1;
}

// A fresh pair in PEM; free both with gnutls_free().
static int make_pair(enum pfk_identity_kind kind, gnutls_datum_t *cert_pem, gnutls_datum_t *key_pem)
{
    gnutls_x509_privkey_t key = NULL;
    gnutls_x509_crt_t crt = NULL;
    int err = PFK_E_NOMEM;
    if (gnutls_x509_privkey_init(&key) < 0 || gnutls_x509_crt_init(&crt) < 0) {
        goto done;
    }
    int made = kind == PFK_IDENTITY_HOST
                   ? gnutls_x509_privkey_generate(key, GNUTLS_PK_RSA, HOST_RSA_BITS, 0)
                   : gnutls_x509_privkey_generate(
                         key, GNUTLS_PK_ECDSA,
                         (unsigned)GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0);
    if (made < 0 || make_certificate(crt, key) != 0 ||
        gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_PEM, cert_pem) < 0 ||
        gnutls_x509_privkey_export2(key, GNUTLS_X509_FMT_PEM, key_pem) < 0) {
        goto done;
    }
    err = PFK_OK;
done:
    gnutls_x509_crt_deinit(crt);
    gnutls_x509_privkey_deinit(key);
    return err;
}

static int take_pair(struct pfk_identity *id, const gnutls_datum_t *cert_pem,
                     const gnutls_datum_t *key_pem)
{
    gnutls_x509_crt_t crt = NULL;
    size_t n = sizeof(id->fingerprint);
    if (gnutls_certificate_allocate_credentials(&id->credentials) < 0 ||
        gnutls_x509_crt_init(&crt) < 0) {
        return PFK_E_NOMEM;
    }
    int rc = gnutls_x509_crt_import(crt, cert_pem, GNUTLS_X509_FMT_PEM);
    if (rc >= 0) {
        rc = gnutls_x509_crt_get_fingerprint(crt, GNUTLS_DIG_SHA256, id->fingerprint, &n);
    }
    gnutls_x509_crt_deinit(crt);
    if (rc >= 0) { // refuses a key that is not the certificate's
        rc = gnutls_certificate_set_x509_key_mem2(id->credentials, cert_pem, key_pem,
                                                  GNUTLS_X509_FMT_PEM, NULL, 0);
    }
    return rc >= 0 ? PFK_OK : PFK_E_MALFORMED;
}

// Makes a directory and its parents, the last one for its owner only.
static int make_dir(const char *dir)
{
    char path[PATH_MAX];
    if (snprintf(path, sizeof(path), "%s", dir) >= (int)sizeof(path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    for (char *p = path + 1; *p; p++) {
        if (*p == '/') {
            *p = 0;
            if (mkdir(path, 0755) != 0 && errno != EEXIST) {
                return -1;
            }
            *p = '/';
        }
    }
    return mkdir(path, 0700) != 0 && errno != EEXIST ? -1 : 0;
}

// 1 and the bytes, 0 when there is no such file, -1 with errno.
static int read_file(const char *path, gnutls_datum_t *out)
{
    FILE *f = fopen(path, "re");
    if (!f) {
        return errno == ENOENT ? 0 : -1;
    }
    out->data = gnutls_malloc(PEM_MAX_BYTES);
    if (!out->data) {
        fclose(f);
        errno = ENOMEM;
        return -1;
    }
    out->size = (unsigned)fread(out->data, 1, PEM_MAX_BYTES, f);
    bool failed = ferror(f) != 0;
    fclose(f);
    if (failed) {
        errno = EIO;
        return -1;
    }
    return 1;
}

static int write_file(const char *path, const gnutls_datum_t *bytes)
{
    char temp[PATH_MAX];
    if (snprintf(temp, sizeof(temp), "%s.XXXXXX", path) >= (int)sizeof(temp)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    int fd = mkostemp(temp, O_CLOEXEC); // mode 0600
    if (fd < 0) {
        return -1;
    }
    bool ok = write(fd, bytes->data, bytes->size) == (ssize_t)bytes->size && fsync(fd) == 0;
    ok = close(fd) == 0 && ok;
    if (ok && rename(temp, path) == 0) {
        return 0;
    }
    int saved = errno ? errno : EIO;
    unlink(temp);
    errno = saved;
    return -1;
}

struct paths {
    char cert[PATH_MAX], key[PATH_MAX];
};

static int load_or_make(enum pfk_identity_kind kind, const char *dir, const struct paths *at,
                        gnutls_datum_t *cert_pem, gnutls_datum_t *key_pem,
                        const struct pfk_log *log)
{
    int has_cert = read_file(at->cert, cert_pem);
    int has_key = has_cert < 0 ? -1 : read_file(at->key, key_pem);
    if (has_cert < 0 || has_key < 0) {
        pfk_logf(log, PFK_LOG_ERROR, "cannot read %s: %s; check who owns the folder %s",
                 has_cert < 0 ? at->cert : at->key, strerror(errno), dir);
        return PFK_E_IO;
    }
    if (has_cert && has_key) {
        return PFK_OK;
    }
    if (has_cert != has_key) {
        pfk_logf(log, PFK_LOG_ERROR,
                 "%s is there but %s is missing; restore it, or move both away for a new identity",
                 has_cert ? at->cert : at->key, has_cert ? at->key : at->cert);
        return PFK_E_IO;
    }
    if (make_dir(dir) != 0) {
        pfk_logf(log, PFK_LOG_ERROR, "cannot make the folder %s: %s; choose another one", dir,
                 strerror(errno));
        return PFK_E_IO;
    }
    int err = make_pair(kind, cert_pem, key_pem);
    if (err) {
        return err;
    }
    if (write_file(at->key, key_pem) != 0 || write_file(at->cert, cert_pem) != 0) {
        pfk_logf(log, PFK_LOG_ERROR, "cannot write to the folder %s: %s; choose another one", dir,
                 strerror(errno));
        unlink(at->key); // ours, made a moment ago: a key alone would be refused next time
        return PFK_E_IO;
    }
    return PFK_OK;
}

int pfk_identity_open(struct pfk_identity **out, enum pfk_identity_kind kind, const char *dir,
                      const struct pfk_log *log)
{
    *out = NULL;
    gnutls_datum_t cert_pem = {NULL, 0}, key_pem = {NULL, 0};
    struct pfk_identity *id = calloc(1, sizeof(*id));
    if (!id) {
        return PFK_E_NOMEM;
    }
    int err;
    if (dir) {
        struct paths at;
        if (snprintf(at.cert, PATH_MAX, "%s/cert.pem", dir) >= PATH_MAX ||
            snprintf(at.key, PATH_MAX, "%s/key.pem", dir) >= PATH_MAX) {
            err = PFK_E_SIZE;
        } else {
            err = load_or_make(kind, dir, &at, &cert_pem, &key_pem, log);
        }
    } else {
        err = make_pair(kind, &cert_pem, &key_pem);
    }
    if (!err) {
        err = take_pair(id, &cert_pem, &key_pem);
        if (err == PFK_E_MALFORMED) {
            pfk_logf(log, PFK_LOG_ERROR,
                     "%s/cert.pem and key.pem are damaged or do not belong together; restore them, "
                     "or move both away for a new identity",
                     dir ? dir : "");
        }
    }
    if (key_pem.data) {
        gnutls_memset(key_pem.data, 0, key_pem.size);
    }
    gnutls_free(key_pem.data);
    gnutls_free(cert_pem.data);
    if (err) {
        pfk_identity_destroy(id);
        return err;
    }
    *out = id;
    return PFK_OK;
}
