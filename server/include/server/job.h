/* server/job.h: work that the relay core asks of the store. A job belongs to the core until it is taken (core_take_group), to the committer until
 * it comes back (core_group_done), and then to the core again, which frees it. A message is a job for its whole life in memory. */
#ifndef SERVER_JOB_H
#define SERVER_JOB_H
#include "base/limits.h"
#include "server/limits.h"
#include "storage/relay.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A connection of the core: an index, and a serial number that tells it from others that had the index before. */
typedef struct {
    uint32_t index, serial;
} conn_ref;

/* Whose mailbox: what the transport key of a connection stands for. */
typedef struct {
    uint8_t account[32], sign[32]; /* sign: the device's DK_sign, from the newest list */
    uint32_t device, mailbox;      /* mailbox 0: the transport key is not known */
} identity;

typedef enum {
    JOB_RESOLVE, /* message: account, device and token -> mailbox */
    JOB_APPEND,  /* message: write it */
    JOB_ACK,
    JOB_LOGIN,
    JOB_REQUEST, /* everything about accounts, tokens, prekeys, names: server/directory.h */
    JOB_CLEAN,
    JOB_BLOB, /* server/blob_job.h */
} job_kind;

typedef struct job job;
struct job {
    job *next, *previous;
    job_kind kind;
    bool writes;    /* needs a transaction */
    int status;     /* outcome: TACET_OK or a verdict; TACET_E_NOMEM: the group ended before it was answered */
    conn_ref from;  /* who asked; it may have gone when the job is done */
    uint32_t id;    /* of the request */
    size_t charged; /* bytes of memory that it holds */
};

typedef struct {
    job job;
    uint8_t account[32], token_hash[32];
    uint64_t address; /* key of the sender's address, for the limits of contact requests */
    uint32_t device, mailbox, ttl_hours, stored_hour, expires_hour;
    uint64_t tag; /* what the device that got it from memory will acknowledge */
    uint64_t row; /* its number in the log, given when it is taken */
    uint64_t hold_until_us;
    uint32_t token_epoch; /* while it is being resolved: routes_epoch when it was asked */
    uint32_t reader;      /* index + 1 of the connection it was pushed to, 0: none */
    uint8_t token_kind;
    bool taken;        /* the committer has it */
    bool acknowledged; /* ... and the device acknowledged it in the meantime */
    uint32_t bytes;
    uint8_t ciphertext[];
} message;

typedef struct {
    job job;
    uint32_t mailbox, count;
    uint64_t number[RELAY_ACKS_MAX];
} ack_job;

typedef struct {
    job job;
    uint8_t transport_key[32];
    identity who;
} login_job;

typedef struct {
    job job;
    uint32_t now_hour;
    uint64_t age_ms;    /* to be remembered for the next start; 0: not now */
    uint64_t room_left; /* of the disk */
    bool more;
    uint32_t count, room;
    relay_waiting *expired;
} clean_job;

/* One read of a mailbox for a device: made by the core, filled by a reader thread (server/backlog.h), freed by the core. */
typedef struct {
    uint64_t number;
    uint64_t token_short; /* of the token hash: which token it came under */
    uint32_t bytes;       /* of ciphertext */
    uint32_t expires_hour;
    uint32_t start, length; /* of its encoded `deliver` frame in `stream` */
    uint8_t token_kind;
} backlog_item;

typedef struct backlog_job {
    struct backlog_job *next;
    conn_ref to;
    uint32_t mailbox, now_hour;
    uint64_t after;
    uint32_t max_count; /* at most RELAY_BACKLOG_MAX_MESSAGES */
    bool end;           /* nothing committed was left behind it */
    int status;
    uint32_t count;
    backlog_item item[RELAY_BACKLOG_MAX_MESSAGES];
    uint8_t *stream;
    size_t stream_bytes, stream_room;
} backlog_job;

/* The first 8 bytes of a token hash: enough to find again what came under one token of one mailbox. */
static inline uint64_t token_short(const uint8_t token_hash[32])
{
    uint64_t v = 0;
    for (int i = 0; i < 8; i++)
        v = v << 8 | token_hash[i];
    return v;
}
#endif
