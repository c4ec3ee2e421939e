/* server/directory.h: accounts, device lists, prekeys, tokens, names, invitations: every request that is answered from the store. Two steps, no
 * shared state: directory_verify checks shapes and signatures and may run on any thread; directory_run reads and writes the store and runs where the
 * store lives. A request is bound to what its connection *is* (identity, handshake hash), never to what it says it is. */
#ifndef SERVER_DIRECTORY_H
#define SERVER_DIRECTORY_H
#include "protocol/frame.h"
#include "server/job.h"
#include "server/pool.h"

typedef enum { REGISTRATION_OPEN, REGISTRATION_INVITE, REGISTRATION_CLOSED } registration_mode;
typedef struct {
    registration_mode registration;
    uint32_t tokens_max, prekeys_max; /* of one account; one-time keys of one kind of one device */
    uint32_t mailboxes_max;           /* no setting; smaller in tests */
} directory_policy;

/* What the core has to do after the request was committed. */
typedef struct {
    bool registered;            /* the connection now is `who` of the job */
    uint32_t new_devices;       /* each has a mailbox now */
    bool routes_changed;        /* tokens or devices of the account are others now */
    uint32_t removed_mailboxes; /* devices that are gone ... */
    uint32_t removed_mailbox[TACET_DEVICES_MAX];
    bool forgets; /* tokens were taken back: cleaning has what they queued to delete */
} directory_effects;

typedef struct {
    job job;
    work work; /* for directory_verify on the pool */
    frame_kind what;
    identity who;
    uint8_t transport_key[32], handshake_hash[64], relay_key[32];
    uint64_t now_s;
    directory_policy policy;
    uint64_t address;
    bool address_paid;  /* for one new device */
    bool new_devices;   /* devices: within the limits of the address, so the list may have new ones */
    bool one_time_keys; /* bundle: within the limits, so one-time keys may be handed out */
    bool verified;
    directory_effects effects;
    uint8_t *reply; /* encoded frame with its length; owned by the job; NULL: refused with `error` */
    size_t reply_bytes;
    error_code error;
    uint32_t body_bytes;
    uint8_t body[]; /* the frame as it came */
} request_job;

/* A job for this frame body; NULL without memory. */
request_job *request_job_new(frame_kind what, const uint8_t *body, size_t bytes);
void request_job_free(request_job *r);

/* True when the request carries signatures and directory_verify must run first. */
bool directory_needs_verify(frame_kind what);
/* True when the request changes the store. */
bool directory_writes(const request_job *r);
/* After it r->verified is true, or r->error says why not. */
void directory_verify(request_job *r);
/* The same as work for the pool, and back. */
void directory_verify_run(work *w);
request_job *request_job_of(work *w);
/* Fills reply or error, and effects. TACET_OK also when the request was refused; < 0 is a fault of the store's. */
TACET_MUST_USE int directory_run(request_job *r, relay_store *s);
/* Who has this transport key: fills l->who, or leaves mailbox 0; then l->job.status is TACET_OK. */
TACET_MUST_USE int directory_login(login_job *l, relay_store *s);
/* Account, device and token of a message -> mailbox and token kind; m->job.status is TACET_OK, TACET_E_REFUSED (no such mailbox or token) or
 * TACET_E_GAP (token right, device gone). */
TACET_MUST_USE int directory_resolve(message *m, relay_store *s);
#endif
