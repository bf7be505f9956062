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
#include <sys/file.h>
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
    int n = snprintf(path, sizeof(path), "%s", dir);
    if (n >= (int)sizeof(path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    while (n > 1 && path[n - 1] == '/') {
        path[--n] = 0; // or the last one would be made as a parent
    }
    for (int i = 1; i < n; i++) {
        if (path[i] == '/') {
            path[i] = 0;
            if (mkdir(path, 0755) != 0 && errno != EEXIST) {
                return -1;
            }
            path[i] = '/';
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

struct paths {
    char dir[PATH_MAX], cert[PATH_MAX], key[PATH_MAX];
};

static int write_all(int fd, const gnutls_datum_t *bytes)
{
    for (size_t done = 0; done < bytes->size;) {
        ssize_t n = write(fd, bytes->data + done, bytes->size - done);
        if (n < 0 && errno != EINTR) {
            return -1;
        }
        done += n > 0 ? (size_t)n : 0;
    }
    return fsync(fd);
}

// The bytes on disk under a temporary name, mode 0600.
static int write_temp(const char *path, char temp[PATH_MAX], const gnutls_datum_t *bytes)
{
    temp[0] = 0;
    char name[PATH_MAX];
    if (snprintf(name, sizeof(name), "%s.XXXXXX", path) >= (int)sizeof(name)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    int fd = mkostemp(name, O_CLOEXEC);
    if (fd < 0) {
        return -1;
    }
    memcpy(temp, name, sizeof(name));
    int rc = write_all(fd, bytes);
    int saved = errno;
    if (close(fd) != 0 && rc == 0) {
        return -1;
    }
    errno = saved;
    return rc;
}

// Both or none, but for a crash between the two renames.
static int write_pair(const struct paths *at, int dir_fd, const gnutls_datum_t *cert_pem,
                      const gnutls_datum_t *key_pem)
{
    char cert_temp[PATH_MAX] = "", key_temp[PATH_MAX] = "";
    bool key_placed = false;
    if (write_temp(at->key, key_temp, key_pem) != 0 ||
        write_temp(at->cert, cert_temp, cert_pem) != 0 || rename(key_temp, at->key) != 0) {
        goto fail;
    }
    key_placed = true;
    if (rename(cert_temp, at->cert) != 0) {
        goto fail;
    }
    (void)fsync(dir_fd); // the names too; some file systems cannot
    return 0;
fail:;
    int saved = errno;
    if (cert_temp[0]) {
        unlink(cert_temp);
    }
    if (key_placed) {
        unlink(at->key); // a key alone would be refused next time
    } else if (key_temp[0]) {
        unlink(key_temp);
    }
    errno = saved;
    return -1;
}

// PFK_OK with both; 1 when neither is there.
static int load_pair(const struct paths *at, gnutls_datum_t *cert_pem, gnutls_datum_t *key_pem,
                     const struct pfk_log *log)
{
    int has_cert = read_file(at->cert, cert_pem);
    int has_key = has_cert < 0 ? -1 : read_file(at->key, key_pem);
    if (has_cert < 0 || has_key < 0) {
        pfk_logf(log, PFK_LOG_ERROR, "cannot read %s: %s; check who owns the folder %s",
                 has_cert < 0 ? at->cert : at->key, strerror(errno), at->dir);
        return PFK_E_IO;
    }
    if (has_cert != has_key) {
        pfk_logf(log, PFK_LOG_ERROR,
                 "%s is there but %s is missing; restore it, or move both away for a new identity",
                 has_cert ? at->cert : at->key, has_cert ? at->key : at->cert);
        return PFK_E_IO;
    }
    return has_cert ? PFK_OK : 1;
}

static int cannot_write(const struct paths *at, const struct pfk_log *log)
{
    pfk_logf(log, PFK_LOG_ERROR,
             "cannot keep the identity in the folder %s: %s; make it writable or choose another",
             at->dir, strerror(errno));
    return PFK_E_IO;
}

static int load_or_make(enum pfk_identity_kind kind, const struct paths *at,
                        gnutls_datum_t *cert_pem, gnutls_datum_t *key_pem,
                        const struct pfk_log *log)
{
    // The common case first: it needs no right to write.
    if (access(at->cert, F_OK) == 0 && access(at->key, F_OK) == 0) {
        return load_pair(at, cert_pem, key_pem, log);
    }
    if (make_dir(at->dir) != 0) {
        return cannot_write(at, log);
    }
    int dir_fd = open(at->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir_fd < 0) {
        return cannot_write(at, log);
    }
    // Of two first starts at once, one makes the pair and the other finds it. Without locks (some
    // network file systems) that is left to luck.
    (void)flock(dir_fd, LOCK_EX);
    int err = load_pair(at, cert_pem, key_pem, log);
    if (err > 0) {
        err = make_pair(kind, cert_pem, key_pem);
        if (!err && write_pair(at, dir_fd, cert_pem, key_pem) != 0) {
            err = cannot_write(at, log);
        }
    }
    close(dir_fd);
    return err;
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
        if (snprintf(at.dir, PATH_MAX, "%s", *dir ? dir : ".") >= PATH_MAX ||
            snprintf(at.cert, PATH_MAX, "%s/cert.pem", at.dir) >= PATH_MAX ||
            snprintf(at.key, PATH_MAX, "%s/key.pem", at.dir) >= PATH_MAX) {
            pfk_logf(log, PFK_LOG_ERROR, "the folder name %.100s... is too long", dir);
            err = PFK_E_IO;
        } else {
            err = load_or_make(kind, &at, &cert_pem, &key_pem, log);
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
