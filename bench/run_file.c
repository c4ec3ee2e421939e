/* One file from disk to disk: a sender and a receiver, each a process of its own, with the real record layer and the real chunk cipher, through a
 * relay. Live: the receiver watches while the sender puts; --offline: the file is stored first and fetched afterwards. The receiver syncs what it has
 * before it says so. */
#include "relay_process.h"
#include "runs.h"
#include "session/file_cipher.h"
#include "swarm.h"
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { HAVE_CHUNKS = 64, FLUSH_CHUNKS = 16, WINDOW = 256, RUN_MAX_S = 170 };

static _Noreturn void give_up(const char *what)
{
    fprintf(stderr, "bench: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* What both sides know before. */
typedef struct {
    relay_address relay;
    file_keys keys;
    uint8_t capability[32];
    bench_account sender;
    char source[128], target[128];
    uint32_t inflight;
} deal;

typedef struct {
    const deal *d;
    peer p;
    secret_arena *arena;
    file_cipher *cipher;
    int fd;
    uint32_t at, done, told; /* chunks */
    uint8_t (*leaf)[32];
    uint8_t bits[TACET_BLOB_CHUNKS_MAX / 8];
    bool up, finished;
} party;

static void party_open(party *y, swarm *s, const deal *d, tacet_role role, int fd)
{
    y->d = d;
    y->fd = fd;
    y->leaf = calloc(d->keys.chunks, sizeof *y->leaf);
    if (fd < 0 || !y->leaf || secret_arena_new(&y->arena, 4096) != TACET_OK || file_cipher_new(&y->cipher, y->arena, &d->keys) != TACET_OK)
        give_up("no memory, or no file");
    y->p.role = role;
    y->p.ctx = y;
    swarm_open(s, &d->relay, 2);
}

/* The root of the tree goes to the parent, who compares. */
static _Noreturn void party_end(party *y, int out)
{
    file_tree t = { 0 };
    uint8_t root[32];
    for (uint32_t i = 0; i < y->d->keys.chunks; i++)
        file_tree_add(&t, y->leaf[i]);
    file_tree_root(&t, root);
    if (write(out, root, sizeof root) != sizeof root)
        give_up("pipe");
    file_cipher_free(y->cipher, y->arena);
    _exit(0);
}

/* `more`: what the party does when a turn is over. */
static void run_until(swarm *s, party *y, void (*more)(party *y))
{
    double end = seconds_now() + RUN_MAX_S;
    while (!y->finished && seconds_now() < end) {
        swarm_turn(s, 10);
        if (y->up)
            more(y);
    }
    if (!y->finished) {
        fputs("bench: the file did not arrive in time\n", stderr);
        _exit(1);
    }
}

/* --- the sender ---------------------------------------------------------------------------------------------------------------------------- */
static party one;

static void refused(const char *what, const frame *reply)
{
    fprintf(stderr, "bench: %s: %s\n", what, reply ? error_word(reply->error.code) : "connection ended");
    _exit(1);
}

static void on_put(void *ctx, const frame *reply)
{
    party *y = ctx;
    if (!reply || reply->kind != FRAME_OK)
        refused("put", reply);
    y->finished = ++y->done == y->d->keys.chunks;
}

static void put_next(party *y)
{
    static uint8_t chunk[TACET_CHUNK_BYTES];
    static frame f;
    uint8_t nonce[TACET_CHUNK_NONCE_BYTES];
    while (y->at < y->d->keys.chunks && y->at - y->done < y->d->inflight) {
        ssize_t got = pread(y->fd, chunk + TACET_CHUNK_NONCE_BYTES, TACET_CHUNK_PLAIN_BYTES, (off_t)y->at * TACET_CHUNK_PLAIN_BYTES);
        if (got < 0)
            give_up(y->d->source);
        memset(chunk + TACET_CHUNK_NONCE_BYTES + got, 0, TACET_CHUNK_PLAIN_BYTES - (size_t)got);
        randombytes_buf(nonce, sizeof nonce);
        chunk_seal(y->cipher, y->at, nonce, chunk);
        chunk_leaf(y->leaf[y->at], y->at, chunk, sizeof chunk);
        f.kind = FRAME_PUT;
        f.put.blob = (view){ y->d->keys.blob, 16 };
        f.put.index = y->at;
        f.put.chunk = (view){ chunk, sizeof chunk };
        if (!peer_try(&y->p, &f, on_put, y))
            return; /* its queue is full */
        y->at++;
    }
}

static void on_created(void *ctx, const frame *reply)
{
    if (!reply || reply->kind != FRAME_OK)
        refused("blob_create", reply);
    ((party *)ctx)->up = true;
}

static void on_registered(peer *p)
{
    party *y = p->ctx;
    uint8_t input[11 + 32], hash[32];
    memcpy(input, "tacet blob", 11);
    memcpy(input + 11, y->d->capability, 32);
    crypto_generichash(hash, sizeof hash, input, sizeof input, NULL, 0);
    frame f = { .kind = FRAME_BLOB_CREATE };
    f.blob_create.blob = (view){ y->d->keys.blob, 16 };
    f.blob_create.chunks = y->d->keys.chunks;
    f.blob_create.ttl_s = 86400;
    f.blob_create.receivers.count = 1;
    f.blob_create.receivers.item[0] = (view){ hash, sizeof hash };
    peer_ask(p, &f, on_created, y);
}

static void sender_up(peer *p) { peer_register(p, 0, on_registered); }

static _Noreturn void run_sender(const deal *d, int out)
{
    swarm s;
    party_open(&one, &s, d, TACET_ROLE_MAILBOX, open(d->source, O_RDONLY));
    one.p.account = (bench_account *)&d->sender;
    one.p.on_up = sender_up;
    peer_connect(&s, &one.p);
    run_until(&s, &one, put_next);
    party_end(&one, out);
}

/* --- the receiver ---------------------------------------------------------------------------------------------------------------------------- */
static void on_had(void *ctx, const frame *reply)
{
    party *y = ctx;
    if (!reply || reply->kind != FRAME_OK)
        refused("have", reply);
    y->finished = y->told == y->d->keys.chunks;
}

/* All that came since the last time, which lies close together, when it is on the disk. */
static void say_have(party *y)
{
    uint32_t every = y->d->inflight / 2 < HAVE_CHUNKS ? y->d->inflight / 2 : HAVE_CHUNKS;
    if (y->done == y->told || (y->done - y->told < every && y->done != y->d->keys.chunks))
        return;
    if (fdatasync(y->fd) != 0)
        give_up("fdatasync");
    uint32_t first = y->at, end = y->at;
    for (uint32_t i = 0; i < y->d->keys.chunks && i < y->at + 4096; i += 8)
        if (y->bits[i / 8])
            first = i < first ? i : first, end = i + 8 > end ? i + 8 : end;
    first = first / 8 * 8;
    end = end < y->d->keys.chunks ? end : y->d->keys.chunks;
    frame f = { .kind = FRAME_HAVE };
    f.have.blob = (view){ y->d->keys.blob, 16 };
    f.have.capability = (view){ y->d->capability, 32 };
    f.have.first = first;
    f.have.bits = (view){ y->bits + first / 8, (end - first + 7) / 8 };
    y->told = y->done;
    peer_ask(&y->p, &f, on_had, y);
    memset(y->bits + first / 8, 0, (end - first + 7) / 8);
}

static void on_chunk(peer *p, const frame *event)
{
    static uint8_t chunk[TACET_CHUNK_BYTES];
    party *y = p->ctx;
    uint32_t index = event->chunk.index;
    memcpy(chunk, event->chunk.chunk.at, event->chunk.chunk.bytes);
    chunk_leaf(y->leaf[index], index, chunk, event->chunk.chunk.bytes);
    if (chunk_open(y->cipher, index, chunk, event->chunk.chunk.bytes) != TACET_OK)
        give_up("a chunk did not open");
    if (pwrite(y->fd, chunk + TACET_CHUNK_NONCE_BYTES, TACET_CHUNK_PLAIN_BYTES, (off_t)index * TACET_CHUNK_PLAIN_BYTES) != TACET_CHUNK_PLAIN_BYTES)
        give_up(y->d->target);
    y->bits[index / 8] |= (uint8_t)(1u << index % 8);
    y->at = index;
    y->done++;
    if (y->done % FLUSH_CHUNKS == 0)
        (void)sync_file_range(y->fd, 0, 0, SYNC_FILE_RANGE_WRITE); /* the disk begins now, so that the sync has little to wait for */
    say_have(y);
}

static void ask_watch(party *y);
static void on_watched(void *ctx, const frame *reply)
{
    party *y = ctx;
    if (reply && reply->kind == FRAME_ERROR && reply->error.code == ERROR_REFUSED) {
        usleep(2000); /* the blob is not there yet */
        ask_watch(y);
    } else if (!reply || reply->kind != FRAME_OK) {
        refused("watch", reply);
    } else {
        y->up = true;
    }
}

static void ask_watch(party *y)
{
    frame f = { .kind = FRAME_WATCH };
    f.watch.blob = (view){ y->d->keys.blob, 16 };
    f.watch.capability = (view){ y->d->capability, 32 };
    f.watch.credit = WINDOW;
    peer_ask(&y->p, &f, on_watched, y);
}

static void receiver_up(peer *p) { ask_watch(p->ctx); }

static _Noreturn void run_receiver(const deal *d, int out)
{
    swarm s;
    party_open(&one, &s, d, TACET_ROLE_OPEN, open(d->target, O_WRONLY | O_CREAT | O_TRUNC, 0600));
    one.p.index = 1;
    one.p.on_up = receiver_up;
    one.p.on_chunk = on_chunk;
    peer_connect(&s, &one.p);
    run_until(&s, &one, say_have);
    party_end(&one, out);
}

/* --- both -------------------------------------------------------------------------------------------------------------------------------------- */
typedef struct {
    double cpu_s, rss_kib;
    uint8_t root[32];
} outcome;

typedef struct {
    pid_t pid;
    int out;
} child;

static child begin(const deal *d, void (*run)(const deal *d, int out))
{
    int ends[2];
    if (pipe(ends) != 0)
        give_up("pipe");
    pid_t pid = fork();
    if (pid < 0)
        give_up("fork");
    if (pid == 0)
        run(d, ends[1]);
    close(ends[1]);
    return (child){ pid, ends[0] };
}

static outcome finish(child c)
{
    outcome o = { 0 };
    struct rusage u;
    int status;
    if (read(c.out, o.root, sizeof o.root) != sizeof o.root || wait4(c.pid, &status, 0, &u) < 0 || status != 0) {
        fputs("bench: a side of the transfer failed\n", stderr);
        exit(1);
    }
    close(c.out);
    o.cpu_s = (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
    o.rss_kib = (double)u.ru_maxrss;
    return o;
}

static void make_source(const char *path, uint64_t bytes)
{
    static uint8_t block[1 << 20];
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    for (uint64_t at = 0; fd >= 0 && at < bytes; at += sizeof block) {
        size_t n = bytes - at < sizeof block ? (size_t)(bytes - at) : sizeof block;
        randombytes_buf(block, 4096); /* no two blocks are alike */
        if (write(fd, block, n) != (ssize_t)n)
            give_up(path);
    }
    if (fd < 0 || fsync(fd) != 0 || close(fd) != 0)
        give_up(path);
}

void run_file(const bench_options *o, report *r)
{
    static deal d;
    relay_process relay;
    relay_usage before, after;
    uint64_t bytes = (uint64_t)o->count << 20;
    relay_process_start(&relay, o->tacetd, o->workers, "blob_free_mib = 0\nblob_account_share = 1\n");
    snprintf(d.source, sizeof d.source, "%s/source", relay.dir);
    snprintf(d.target, sizeof d.target, "%s/target", relay.dir);
    make_source(d.source, bytes);
    bench_account_make(&d.sender);
    d.relay = relay.address;
    d.inflight = o->inflight;
    randombytes_buf(d.keys.blob, sizeof d.keys.blob);
    randombytes_buf(d.keys.key, sizeof d.keys.key);
    randombytes_buf(d.keys.salt, sizeof d.keys.salt);
    randombytes_buf(d.capability, sizeof d.capability);
    file_commitment(d.keys.commitment, d.keys.key, d.keys.salt);
    d.keys.chunks = (uint32_t)((bytes + TACET_CHUNK_PLAIN_BYTES - 1) / TACET_CHUNK_PLAIN_BYTES);
    relay_process_usage(&relay, &before);
    double began = seconds_now();
    child sender = begin(&d, run_sender), receiver = { 0 };
    if (!o->offline)
        receiver = begin(&d, run_receiver);
    outcome sent = finish(sender);
    double uploaded = seconds_now() - began;
    if (o->offline)
        receiver = begin(&d, run_receiver);
    outcome got = finish(receiver);
    double took = seconds_now() - began;
    while (o->offline && relay_process_store_bytes(&relay) > (double)(2 * bytes + (bytes >> 1)) && seconds_now() - began < RUN_MAX_S)
        usleep(10000); /* source, target, and no more segments */
    relay_process_usage(&relay, &after);
    if (memcmp(sent.root, got.root, sizeof sent.root) != 0) {
        fputs("bench: what came is not what was sent\n", stderr);
        exit(1);
    }
    report_add(r, "MB_per_s", "", (double)bytes / 1e6 / took);
    report_add(r, "upload", "s", uploaded);
    report_add(r, "whole", "s", took);
    report_add(r, "sender_cpu", "s", sent.cpu_s);
    report_add(r, "relay_cpu", "s", after.cpu_s[USED_BY_ALL] - before.cpu_s[USED_BY_ALL]);
    report_add(r, "receiver_cpu", "s", got.cpu_s);
    report_add(r, "sender_rss", "KiB", sent.rss_kib);
    report_add(r, "store_rss", "KiB", after.rss_kib[USED_BY_STORE]);
    report_add(r, "net_rss", "KiB", after.rss_kib[USED_BY_NET]);
    report_add(r, "receiver_rss", "KiB", got.rss_kib);
    relay_process_stop(&relay);
}
