// SPDX-License-Identifier: MIT OR Apache-2.0
#include "core/wire/control.h"

#include "core/base/status.h"
#include "core/base/utf8.h"

static const uint8_t magic[4] = {'P', 'K', 'F', 'c'};

enum { HEAD_BYTES = 5, SPAKE_BYTES = 33, CONFIRMATION_BYTES = 32, PROBE_RESULT_SHORT = 21 };

// Exact length of a message with fixed size; 0 = it varies and is judged by its parser.
static size_t exact_bytes(uint8_t type)
{
    switch (type) {
    case PFK_CTL_RECONFIGURE:
        return 17;
    case PFK_CTL_RECONFIGURED:
        return 18;
    case PFK_CTL_REQUEST_KEYFRAME:
        return 5;
    case PFK_CTL_LOSS_REPORT:
    case PFK_CTL_SET_BITRATE:
    case PFK_CTL_BITRATE_CHANGED:
        return 9;
    case PFK_CTL_RFI_REQUEST:
    case PFK_CTL_PROBE_REQUEST:
    case PFK_CTL_CLOCK_PROBE:
        return 13;
    case PFK_CTL_PAIR_CHALLENGE:
        return 72;
    case PFK_CTL_PAIR_PROOF:
        return 37;
    case PFK_CTL_PAIR_RESULT:
        return 6;
    case PFK_CTL_CLOCK_ECHO:
        return 29;
    default:
        return 0;
    }
}

static void read_mode(struct pfk_reader *r, struct pfk_mode *mode)
{
    mode->width_px = pfk_read_u32le(r);
    mode->height_px = pfk_read_u32le(r);
    mode->hz = pfk_read_u32le(r);
}

static void write_mode(struct pfk_writer *w, const struct pfk_mode *mode)
{
    pfk_write_u32le(w, mode->width_px);
    pfk_write_u32le(w, mode->height_px);
    pfk_write_u32le(w, mode->hz);
}

// Short input leaves `out` as it is; the reader remembers.
static void read_into(struct pfk_reader *r, uint8_t *out, size_t n)
{
    const uint8_t *p = pfk_read_bytes(r, n);
    if (p) {
        memcpy(out, p, n);
    }
}

// A u16 length that must be `want`, and the bytes.
static void read_sized(struct pfk_reader *r, uint8_t *out, size_t want)
{
    if (pfk_read_u16le(r) != want) {
        r->bad = true;
    }
    read_into(r, out, want);
}

static void write_sized(struct pfk_writer *w, const uint8_t *bytes, size_t n)
{
    pfk_write_u16le(w, (uint16_t)n);
    pfk_write_bytes(w, bytes, n);
}

static void read_pair_request(struct pfk_reader *r, struct pfk_control *m)
{
    size_t n = pfk_read_u8(r);
    const uint8_t *name = pfk_read_bytes(r, n);
    m->pair_request.name[0] = 0;
    if (name && n <= PFK_NAME_MAX && pfk_utf8_valid(name, n)) {
        memcpy(m->pair_request.name, name, n);
        m->pair_request.name[n] = 0;
    }
    read_sized(r, m->pair_request.message, SPAKE_BYTES);
    if (pfk_reader_left(r) != 0) {
        r->bad = true;
    }
}

static void read_probe_result(struct pfk_reader *r, struct pfk_control *m, size_t n)
{
    memset(&m->probe_result, 0, sizeof(m->probe_result));
    m->probe_result.bytes = pfk_read_u64le(r);
    m->probe_result.n_units = pfk_read_u32le(r);
    m->probe_result.ms = pfk_read_u32le(r);
    if (n >= PROBE_RESULT_SHORT + 8) {
        m->probe_result.packets = pfk_read_u32le(r);
        m->probe_result.dropped = pfk_read_u32le(r);
    }
}

// Fields from offset 5. False: the type is unknown.
static bool read_fields(struct pfk_reader *r, struct pfk_control *m, size_t n)
{
    switch (m->type) {
    case PFK_CTL_RECONFIGURE:
        read_mode(r, &m->reconfigure);
        return true;
    case PFK_CTL_RECONFIGURED:
        m->reconfigured.accepted = pfk_read_u8(r);
        read_mode(r, &m->reconfigured.mode);
        return true;
    case PFK_CTL_REQUEST_KEYFRAME:
        return true;
    case PFK_CTL_LOSS_REPORT:
        m->loss_ppm = pfk_read_u32le(r);
        return true;
    case PFK_CTL_SET_BITRATE:
    case PFK_CTL_BITRATE_CHANGED:
        m->bitrate_kbps = pfk_read_u32le(r);
        return true;
    case PFK_CTL_RFI_REQUEST:
        m->rfi.first = pfk_read_u32le(r);
        m->rfi.last = pfk_read_u32le(r);
        return true;
    case PFK_CTL_PAIR_REQUEST:
        read_pair_request(r, m);
        return true;
    case PFK_CTL_PAIR_CHALLENGE:
        read_sized(r, m->pair_challenge.message, SPAKE_BYTES);
        read_into(r, m->pair_challenge.confirmation, CONFIRMATION_BYTES);
        return true;
    case PFK_CTL_PAIR_PROOF:
        read_into(r, m->pair_proof, CONFIRMATION_BYTES);
        return true;
    case PFK_CTL_PAIR_RESULT:
        m->pair_ok = pfk_read_u8(r);
        return true;
    case PFK_CTL_PROBE_REQUEST:
        m->probe_request.rate_kbps = pfk_read_u32le(r);
        m->probe_request.duration_ms = pfk_read_u32le(r);
        return true;
    case PFK_CTL_PROBE_RESULT:
        read_probe_result(r, m, n);
        return true;
    case PFK_CTL_CLOCK_PROBE:
        m->clock_probe_t1 = pfk_read_u64le(r);
        return true;
    case PFK_CTL_CLOCK_ECHO:
        m->clock_echo.t1 = pfk_read_u64le(r);
        m->clock_echo.t2 = pfk_read_u64le(r);
        m->clock_echo.t3 = pfk_read_u64le(r);
        return true;
    }
    return false;
}

bool pfk_control_is_typed(const uint8_t *body, size_t n)
{
    return n >= sizeof(magic) && memcmp(body, magic, sizeof(magic)) == 0;
}

int pfk_control_parse(struct pfk_control *m, const uint8_t *body, size_t n)
{
    if (n < HEAD_BYTES || memcmp(body, magic, sizeof(magic)) != 0) {
        return PFK_E_MALFORMED;
    }
    size_t want = exact_bytes(body[4]);
    if (want && n != want) {
        return PFK_E_MALFORMED;
    }
    struct pfk_reader r = pfk_reader_init(body + HEAD_BYTES, n - HEAD_BYTES);
    m->type = body[4];
    if (!read_fields(&r, m, n)) {
        return PFK_E_UNSUPPORTED;
    }
    return r.bad ? PFK_E_MALFORMED : 0;
}

void pfk_control_emit(const struct pfk_control *m, struct pfk_writer *w)
{
    pfk_write_bytes(w, magic, sizeof(magic));
    pfk_write_u8(w, (uint8_t)m->type);
    switch (m->type) {
    case PFK_CTL_RECONFIGURE:
        write_mode(w, &m->reconfigure);
        break;
    case PFK_CTL_RECONFIGURED:
        pfk_write_u8(w, m->reconfigured.accepted);
        write_mode(w, &m->reconfigured.mode);
        break;
    case PFK_CTL_REQUEST_KEYFRAME:
        break;
    case PFK_CTL_LOSS_REPORT:
        pfk_write_u32le(w, m->loss_ppm);
        break;
    case PFK_CTL_SET_BITRATE:
    case PFK_CTL_BITRATE_CHANGED:
        pfk_write_u32le(w, m->bitrate_kbps);
        break;
    case PFK_CTL_RFI_REQUEST:
        pfk_write_u32le(w, m->rfi.first);
        pfk_write_u32le(w, m->rfi.last);
        break;
    case PFK_CTL_PAIR_REQUEST: {
        const char *name = m->pair_request.name;
        size_t n =
            pfk_utf8_cut((const uint8_t *)name, strnlen(name, PFK_NAME_MAX + 1), PFK_NAME_MAX);
        pfk_write_u8(w, (uint8_t)n);
        pfk_write_bytes(w, name, n);
        write_sized(w, m->pair_request.message, SPAKE_BYTES);
        break;
    }
    case PFK_CTL_PAIR_CHALLENGE:
        write_sized(w, m->pair_challenge.message, SPAKE_BYTES);
        pfk_write_bytes(w, m->pair_challenge.confirmation, CONFIRMATION_BYTES);
        break;
    case PFK_CTL_PAIR_PROOF:
        pfk_write_bytes(w, m->pair_proof, CONFIRMATION_BYTES);
        break;
    case PFK_CTL_PAIR_RESULT:
        pfk_write_u8(w, m->pair_ok);
        break;
    case PFK_CTL_PROBE_REQUEST:
        pfk_write_u32le(w, m->probe_request.rate_kbps);
        pfk_write_u32le(w, m->probe_request.duration_ms);
        break;
    case PFK_CTL_PROBE_RESULT:
        pfk_write_u64le(w, m->probe_result.bytes);
        pfk_write_u32le(w, m->probe_result.n_units);
        pfk_write_u32le(w, m->probe_result.ms);
        pfk_write_u32le(w, m->probe_result.packets);
        pfk_write_u32le(w, m->probe_result.dropped);
        break;
    case PFK_CTL_CLOCK_PROBE:
        pfk_write_u64le(w, m->clock_probe_t1);
        break;
    case PFK_CTL_CLOCK_ECHO:
        pfk_write_u64le(w, m->clock_echo.t1);
        pfk_write_u64le(w, m->clock_echo.t2);
        pfk_write_u64le(w, m->clock_echo.t3);
        break;
    }
}

const char *pfk_close_text(uint64_t code)
{
    if (code >= PFK_CLOSE_PROFILE_FIRST && code <= PFK_CLOSE_PROFILE_LAST) {
        return "The host has no profile or seat for this device; its log has the cause.";
    }
    switch (code) {
    case PFK_CLOSE_NORMAL:
        return "The host ended the session.";
    case PFK_CLOSE_ERROR:
        return "The host ended the session because of an error; its log has the cause.";
    case PFK_CLOSE_BUSY:
        return "The host is busy with another client.";
    case PFK_CLOSE_USER_STOP:
        return "The user stopped the session.";
    case PFK_CLOSE_APP_EXITED:
        return "The application on the host has exited.";
    case PFK_CLOSE_PAIR_NOT_ARMED:
        return "The host is not waiting for a device to pair; arm pairing on the host first.";
    case PFK_CLOSE_PAIR_OTHER_DEVICE:
        return "The host is waiting to pair with another device.";
    case PFK_CLOSE_PAIR_COOLDOWN:
        return "The host just had a pairing attempt; wait a few seconds and try again.";
    case PFK_CLOSE_CERTIFICATE_NEEDED:
        return "The host wants to know this device: connect with an identity.";
    case PFK_CLOSE_DENIED:
        return "The host's operator denied access.";
    case PFK_CLOSE_APPROVAL_TIMEOUT:
        return "Nobody on the host decided about this device in time; try again.";
    case PFK_CLOSE_REPLACED:
        return "A newer connection of this device has taken over.";
    case PFK_CLOSE_VERSION:
        return "The host speaks another protocol version; update the older side.";
    case PFK_CLOSE_SETUP_FAILED:
        return "The host could not set up the session.";
    case PFK_CLOSE_ACCESS_EXPIRED:
        return "This device's access to the host has expired.";
    case PFK_CLOSE_LAUNCH_DENIED:
        return "This device may not start that application.";
    case PFK_CLOSE_POWER_OFF:
        return "The host is shutting down.";
    default:
        return "The host ended the session for a reason that this version does not know.";
    }
}
