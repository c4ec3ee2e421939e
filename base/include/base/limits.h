/* base/limits.h: every limit that both sides of the wire must agree on, with its unit. Limits that only the relay or only the client cares
 * about stand in server/limits.h and client/engine/limits.h. Each is stated in docs/PROTOCOL.md. */
#ifndef BASE_LIMITS_H
#define BASE_LIMITS_H

enum tacet_limits {
    TACET_WIRE_VERSION = 1,

    TACET_RECORD_PAD_BYTES = 256,         /* record plaintexts are a multiple of this ... */
    TACET_RECORD_PLAIN_MAX_BYTES = 65280, /* ... and at most this, its 2 length bytes counted */
    TACET_FRAME_MAX_BYTES = 128 * 1024,   /* msgpack bytes of one frame */
    TACET_ENVELOPE_MAX_BYTES = 20 * 1024, /* ciphertext of one envelope */
    TACET_MSGPACK_DEPTH_MAX = 4,

    TACET_NAME_MAX_CHARS = 32,
    TACET_DEVICES_MAX = 8,
    TACET_DEVICE_LIST_MAX_BYTES = 2048, /* with its signature */
    TACET_LIST_VERSIONS_MAX = 4096,     /* device lists of one account */
    TACET_TEXT_MAX_BYTES = 12288,
    TACET_REQUEST_TEXT_MAX_BYTES = 1024,
    TACET_RELAY_ADDRESS_MAX_BYTES = 320, /* tacet://HOST:PORT/RELAYKEY */
    TACET_RECEIPT_IDS_MAX = 256,
    TACET_CONTENT_PADDED_MAX_BYTES = 16384,

    TACET_CHUNK_PLAIN_BYTES = 64512,                       /* of a file in one chunk ... */
    TACET_CHUNK_BYTES = TACET_CHUNK_PLAIN_BYTES + 24 + 16, /* ... and the chunk: nonce, ciphertext, tag; its frame fits one record */
    TACET_BLOB_CHUNKS_MAX = 4 * 1024 * 1024,               /* 252 GiB of file */
    TACET_BLOB_RECEIVERS_MAX = 64,
    TACET_BLOB_BITS_MAX_BYTES = 8192, /* of one bitmap: 65,536 chunks */
    TACET_BLOB_WINDOW_MAX = 256,      /* chunks pushed and not answered, for each watcher of a blob */
    TACET_FILE_NAME_MAX_BYTES = 255,
    TACET_MEDIA_TYPE_MAX_BYTES = 127,

    TACET_ONE_TIME_EC_PREKEYS = 100,
    TACET_ONE_TIME_KEM_PREKEYS = 25,
    TACET_PREKEY_ROTATE_S = 7 * 86400,
    TACET_PREKEY_LIFETIME_S = TACET_PREKEY_ROTATE_S + 30 * 86400, /* who was online so many days ago can be written to: an envelope waits as long */
    TACET_PREKEY_KEEP_S = 31 * 86400,                             /* private halves, beyond expiry */
    TACET_PREKEY_TOLERANCE_S = 86400,
    TACET_TTL_MAX_S = 30 * 86400,
    TACET_ENVELOPE_ID_KEEP_S = 31 * 86400,
    TACET_DIRECTORY_LIFETIME_S = 30 * 86400,

    TACET_HANDSHAKE_DEADLINE_MS = 5000,
    TACET_CONNECTION_MAX_S = 86400,

    TACET_RATCHET_JUMP_MAX = 2000,
    TACET_RATCHET_SKIPPED_MAX = 2000,
    TACET_RATCHET_SKIPPED_KEEP_S = 30 * 86400,
    TACET_RATCHET_CHAINS_MAX = 5,
    TACET_HEADER_TRIALS_MAX = 35, /* for one envelope, over all sessions */
    TACET_PQ_EPOCH_MESSAGES = 50,
    TACET_PQ_EPOCH_S = 7 * 86400,
    TACET_PQ_OLD_KEEP_S = 30 * 86400,
};
#endif
