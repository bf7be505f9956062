/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/**
 * libpunktfunk-core: receive a punktfunk/1 stream from any program.
 *
 * Rules for every function
 * - Returns 0 or a negative PUNKTFUNK_E_* unless it says otherwise. After a failure every `out` is NULL
 *   or unchanged and nothing needs freeing.
 * - Structs that begin with `struct_size` are filled by the caller: zero the struct, then set struct_size
 *   to its sizeof. Later versions append fields and take older sizes; zero always means "default".
 * - Handles are opaque. There is no global state: any number of connections live side by side.
 * - Pulls (punktfunk_next_*) block at most timeout_ms, one thread for each kind of pull.
 *   punktfunk_disconnect() may be called from any thread and makes them return PUNKTFUNK_E_CLOSED;
 *   punktfunk_connection_free() only after every other call on the handle has returned.
 */
#ifndef PUNKTFUNK_CORE_H
#define PUNKTFUNK_CORE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define PUNKTFUNK_API __attribute__((visibility("default")))
#else
#define PUNKTFUNK_API
#endif

/** Raised when something is added; a change that breaks callers raises the soname instead. */
#define PUNKTFUNK_ABI_VERSION 1

enum {
    PUNKTFUNK_OK = 0,
    PUNKTFUNK_E_INVALID = -1,     /* an argument is out of its documented range */
    PUNKTFUNK_E_NOMEM = -2,       /* out of memory */
    PUNKTFUNK_E_MALFORMED = -3,   /* bytes from the network or a file do not parse */
    PUNKTFUNK_E_AGAIN = -4,       /* nothing to do right now */
    PUNKTFUNK_E_SIZE = -5,        /* a buffer is too small or an input too large */
    PUNKTFUNK_E_TIMEOUT = -6,     /* the deadline passed */
    PUNKTFUNK_E_CLOSED = -7,      /* the connection has ended: see punktfunk_get_end() */
    PUNKTFUNK_E_IO = -8,          /* the operating system refused; the log has the cause */
    PUNKTFUNK_E_AUTH = -9,        /* the host is not the pinned one, or does not know us */
    PUNKTFUNK_E_UNSUPPORTED = -10,/* not available here */
    PUNKTFUNK_E_BUSY = -11,       /* somebody else has it */
    PUNKTFUNK_E_PROTOCOL = -12    /* the host broke the protocol */
};

/** Bits of PunktfunkConnectConfig.codecs and the value of PunktfunkStreamInfo.codec. */
enum { PUNKTFUNK_CODEC_H264 = 1, PUNKTFUNK_CODEC_HEVC = 2, PUNKTFUNK_CODEC_AV1 = 4 };

/** Bits of PunktfunkUnit.flags. */
enum {
    PUNKTFUNK_UNIT_VIDEO = 0x01,
    PUNKTFUNK_UNIT_KEYFRAME = 0x04,       /* decoding can start here */
    PUNKTFUNK_UNIT_RECOVERY_POINT = 0x10, /* end of an intra refresh */
    PUNKTFUNK_UNIT_RECOVERY_ANCHOR = 0x20 /* clean again after a reference invalidation */
};

enum { PUNKTFUNK_LOG_ERROR = 0, PUNKTFUNK_LOG_WARN = 1, PUNKTFUNK_LOG_INFO = 2, PUNKTFUNK_LOG_DEBUG = 3 };

#define PUNKTFUNK_FINGERPRINT_BYTES 32
#define PUNKTFUNK_DEFAULT_PORT 9777

typedef struct PunktfunkIdentity PunktfunkIdentity;
typedef struct PunktfunkConnection PunktfunkConnection;

/**
 * Called on the calling thread and on any thread of the library, one line in `text`, borrowed for the
 * call. Returns soon; calls nothing of this library.
 */
typedef void (*punktfunk_log_fn)(void *opaque, int level, const char *text);

/**
 * Asked about ten times a second on the thread that connects: non-zero ends the attempt with
 * PUNKTFUNK_E_CLOSED. Looking up a host's name is not interrupted.
 */
typedef int (*punktfunk_cancelled_fn)(void *opaque);

/** Read during punktfunk_connect() only: nothing it points to need outlive that call but `identity`. */
typedef struct PunktfunkConnectConfig {
    uint32_t struct_size;
    uint16_t port;       /* UDP; 0 = PUNKTFUNK_DEFAULT_PORT */
    uint16_t reserved;   /* 0 */
    const char *host;    /* name or address; required */
    uint32_t width_px;   /* even, 2 to 8192; required */
    uint32_t height_px;  /* even, 2 to 8192; required */
    uint32_t refresh_hz; /* at least 1; required */
    uint32_t bitrate_kbps; /* of video; the host holds it to 500 to 8000000; 0 = its default */
    uint32_t codecs;     /* decodable ones, PUNKTFUNK_CODEC_*; 0 = H.264 */
    uint32_t timeout_ms; /* until the stream is set up; 0 = 15000 */
    const char *device_name; /* UTF-8, cut at 64 bytes; NULL = none */
    const uint8_t *pin;  /* the host's fingerprint, 32 bytes; NULL = accept any (trust on first use) */
    const PunktfunkIdentity *identity; /* outlives the connection; NULL = a throw-away one */
    punktfunk_log_fn log; /* optional; may be called until the connection is freed */
    void *log_opaque;
    punktfunk_cancelled_fn cancelled; /* optional; asked by punktfunk_connect() only */
    void *cancelled_opaque;
} PunktfunkConnectConfig;

/** What the host granted; it may differ from what was asked for. */
typedef struct PunktfunkStreamInfo {
    uint32_t struct_size;
    uint32_t width_px, height_px, refresh_hz;
    uint32_t bitrate_kbps; /* 0 = unknown */
    uint32_t codec;        /* one PUNKTFUNK_CODEC_* */
    uint32_t bit_depth;    /* 8 or 10 */
    uint32_t color_primaries, color_transfer, color_matrix; /* CICP (ITU-T H.273) code points */
    uint32_t full_range;   /* 0 limited, 1 full */
    uint32_t shard_bytes;  /* video bytes of a datagram */
    uint32_t fec_percent;  /* parity per data at the start; the host may change it */
    uint32_t frames_to_come; /* 0 = unbounded; otherwise the host sends this many test units */
    uint8_t host_fingerprint[PUNKTFUNK_FINGERPRINT_BYTES];
    int64_t clock_offset_ns; /* host wall clock minus ours */
    uint64_t clock_rtt_ns;   /* of the probe the offset comes from; 0 = no estimate yet */
    uint64_t started_ns;     /* our wall clock when Start was sent: the host may stream from then on */
} PunktfunkStreamInfo;

/** One access unit: one picture, Annex B with start codes (H.264, HEVC) or OBUs (AV1). */
typedef struct PunktfunkUnit {
    uint32_t struct_size;
    uint32_t index;          /* +1 for each unit in encode order, wraps: a gap is a lost unit */
    uint32_t flags;          /* PUNKTFUNK_UNIT_* */
    uint32_t shards;         /* data shards it came in */
    uint32_t shards_recovered; /* of those, restored by parity */
    uint32_t reserved;
    const uint8_t *bytes;    /* valid until the next punktfunk_next_unit() or _connection_free() */
    size_t n_bytes;
    uint64_t pts_ns;         /* host wall clock (Unix epoch) at capture */
    uint64_t received_ns;    /* our wall clock when the last shard it needed arrived */
    uint64_t complete_ns;    /* our wall clock when it was whole */
} PunktfunkUnit;

/** Where the host spent a unit's time; match by pts_ns. Durations in microseconds. */
typedef struct PunktfunkTiming {
    uint32_t struct_size;
    uint32_t has;       /* bit 0: queue, encode, pace; bit 1: capture, convert; others are 0 below */
    uint64_t pts_ns;
    uint32_t total_us;  /* capture to last packet sent */
    uint32_t capture_us; /* compositor's stamp to picture in the host's memory */
    uint32_t queue_us;  /* waiting between the stages */
    uint32_t convert_us; /* colour conversion; inside encode_us when bit 1 is clear */
    uint32_t encode_us;
    uint32_t pace_us;   /* protect, seal, send, pacing included */
} PunktfunkTiming;

typedef struct PunktfunkStats {
    uint32_t struct_size;
    uint32_t reserved;
    uint64_t frames_completed; /* units handed over or waiting to be pulled */
    uint64_t frames_lost;      /* units given up: 120 ms or 64 units behind */
    uint64_t frames_dropped;   /* complete units dropped because nobody pulled them */
    uint64_t packets_received; /* authentic datagrams */
    uint64_t packets_dropped;  /* not authentic, replayed, malformed or over a limit */
    uint64_t bytes_received;   /* of the authentic ones, UDP payload */
    uint64_t shards_recovered; /* data shards restored by parity */
    uint64_t shards_late;      /* of those, how many came after all */
    uint64_t keyframe_requests; /* sent, the library's own after losses included */
} PunktfunkStats;

/** Why a connection could not be made, or has ended. */
typedef struct PunktfunkEnd {
    uint32_t struct_size;
    int32_t status;      /* PUNKTFUNK_OK = normal end, or PUNKTFUNK_E_* */
    uint32_t by_host;    /* 1 when the host closed with close_code */
    uint32_t close_code; /* reference: section 2 of the protocol */
    char text[256];      /* one sentence for the user */
} PunktfunkEnd;

/** Version of the library that runs, PUNKTFUNK_ABI_VERSION of its build. */
PUNKTFUNK_API uint32_t punktfunk_abi_version(void);

/** "0.1.0"; static. */
PUNKTFUNK_API const char *punktfunk_version(void);

/** Short lower-case text of a status; static, never NULL. */
PUNKTFUNK_API const char *punktfunk_status_text(int status);

/**
 * Load this device's certificate and key from `dir`, or make and store them there (mode 0600; the
 * folder is made when missing). Making a key may take a second.
 * @dir  NULL: one in memory only
 * @log  optional, used during the call only: says what is wrong and what to do
 * PUNKTFUNK_E_IO (folder or file cannot be used), PUNKTFUNK_E_MALFORMED (what is there is damaged),
 * PUNKTFUNK_E_NOMEM. Any thread; one identity may serve any number of connections.
 */
PUNKTFUNK_API int punktfunk_identity_open(PunktfunkIdentity **out, const char *dir,
                                          punktfunk_log_fn log, void *log_opaque);

/** After every connection made with it is freed. NULL is fine. */
PUNKTFUNK_API void punktfunk_identity_free(PunktfunkIdentity *identity);

/** SHA-256 of the certificate (DER): by it hosts know this device. Any thread. */
PUNKTFUNK_API void punktfunk_identity_fingerprint(const PunktfunkIdentity *identity,
                                                  uint8_t fingerprint[PUNKTFUNK_FINGERPRINT_BYTES]);

/**
 * Connect and set up a stream; blocks until the host has agreed or timeout_ms have passed. The handle
 * is freed with punktfunk_connection_free().
 * @end  optional, its struct_size set: when the call fails, why in words; for PUNKTFUNK_E_INVALID of a
 *       config that is not legal and PUNKTFUNK_E_UNSUPPORTED of a newer one it is left as it was
 * PUNKTFUNK_E_INVALID; PUNKTFUNK_E_UNSUPPORTED; PUNKTFUNK_E_NOMEM; PUNKTFUNK_E_TIMEOUT; PUNKTFUNK_E_IO
 * (name not found, nobody listens, no network); PUNKTFUNK_E_AUTH (not the pinned host, or it does not
 * want us); PUNKTFUNK_E_BUSY; PUNKTFUNK_E_PROTOCOL; PUNKTFUNK_E_CLOSED (refused or cancelled).
 * Any thread.
 */
PUNKTFUNK_API int punktfunk_connect(PunktfunkConnection **out, const PunktfunkConnectConfig *config,
                                    PunktfunkEnd *end);

/** What was granted, and the clock estimate as of now (its first rounds follow Start). Any thread. */
PUNKTFUNK_API int punktfunk_get_stream_info(const PunktfunkConnection *c, PunktfunkStreamInfo *info);

/**
 * The next access unit in order of completion. At most 64 wait; when more come, units are dropped until
 * the next key frame, which is asked for. After a lost unit the library asks for one by itself.
 * @timeout_ms  0 = only what is there
 * PUNKTFUNK_E_TIMEOUT; PUNKTFUNK_E_CLOSED once it has ended and all that waited is taken;
 * PUNKTFUNK_E_INVALID. One thread at a time. Whatever it returns, the last unit's bytes are gone.
 */
PUNKTFUNK_API int punktfunk_next_unit(PunktfunkConnection *c, PunktfunkUnit *unit,
                                      uint32_t timeout_ms);

/** The next host timing record; at most 256 wait to be pulled. As punktfunk_next_unit(). */
PUNKTFUNK_API int punktfunk_next_timing(PunktfunkConnection *c, PunktfunkTiming *timing,
                                        uint32_t timeout_ms);

/** Ask for a key frame; at most one each 100 ms is really sent. PUNKTFUNK_E_CLOSED. Any thread. */
PUNKTFUNK_API int punktfunk_request_keyframe(PunktfunkConnection *c);

/** Counters since the start. Any thread. */
PUNKTFUNK_API int punktfunk_get_stats(const PunktfunkConnection *c, PunktfunkStats *stats);

/** Why it ended; end->status is PUNKTFUNK_E_AGAIN while it lives. Any thread. */
PUNKTFUNK_API int punktfunk_get_end(const PunktfunkConnection *c, PunktfunkEnd *end);

/** End the stream (user stop) and make every pull return. Any thread, any number of times. */
PUNKTFUNK_API void punktfunk_disconnect(PunktfunkConnection *c);

/** Disconnects if need be, ends the library's threads and frees. NULL is fine. */
PUNKTFUNK_API void punktfunk_connection_free(PunktfunkConnection *c);

#ifdef __cplusplus
}
#endif

#endif
