/* Files at the real relay: chunks live and stored, limits, expiry, and kill -9 of each of its processes while chunks are on their way. */
#include "raw_client.h"
#include "suite.h"
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static frame reply;
static const char free_ini[] = "[limits]\nblob_free_mib = 0\nexpiry_speed = 1000000000\n";

typedef struct {
    relay r;
    person alice;
    raw_client owner, receiver;
    uint8_t id[16], capability[32], hash[32];
} scene;

static void scene_new(scene *s, const char *ini)
{
    static const char label[] = "tacet blob";
    uint8_t input[sizeof label + 32];
    memset(s, 0, sizeof *s);
    relay_init(&s->r, ini);
    relay_run(&s->r);
    raw_join(&s->owner, &s->r, &s->alice);
    ck_assert(raw_open(&s->receiver, s->r.port, s->r.key, TACET_ROLE_OPEN, NULL));
    randombytes_buf(s->id, sizeof s->id);
    randombytes_buf(s->capability, sizeof s->capability);
    memcpy(input, label, sizeof label);
    memcpy(input + sizeof label, s->capability, 32);
    crypto_generichash(s->hash, 32, input, sizeof input, NULL, 0);
}

static void scene_end(scene *s)
{
    raw_close(&s->owner);
    raw_close(&s->receiver);
    ck_assert_int_eq(relay_end(&s->r, SIGTERM), 0);
    relay_remove(&s->r);
}

static unsigned create(scene *s, uint32_t chunks, uint32_t ttl_s)
{
    frame f = { .kind = FRAME_BLOB_CREATE };
    f.blob_create.blob = (view){ s->id, 16 };
    f.blob_create.chunks = chunks;
    f.blob_create.ttl_s = ttl_s;
    f.blob_create.receivers.count = 1;
    f.blob_create.receivers.item[0] = (view){ s->hash, 32 };
    return raw_code(&s->owner, &f);
}

static const uint8_t *bytes_of(uint32_t index)
{
    static uint8_t bytes[TACET_CHUNK_BYTES];
    memset(bytes, (int)(index * 31 + 5), sizeof bytes);
    memcpy(bytes, &index, sizeof index);
    return bytes;
}

static uint32_t say_put(scene *s, uint32_t index)
{
    frame f = { .kind = FRAME_PUT };
    f.put.blob = (view){ s->id, 16 };
    f.put.index = index;
    f.put.chunk = (view){ bytes_of(index), TACET_CHUNK_BYTES };
    return raw_say(&s->owner, &f);
}

static unsigned watch(scene *s, uint32_t credit)
{
    frame f = { .kind = FRAME_WATCH };
    f.watch.blob = (view){ s->id, 16 };
    f.watch.capability = (view){ s->capability, 32 };
    f.watch.credit = credit;
    return raw_code(&s->receiver, &f);
}

static void say_have(scene *s, uint32_t index)
{
    static const uint8_t one = 1;
    frame f = { .kind = FRAME_HAVE };
    f.have.blob = (view){ s->id, 16 };
    f.have.capability = (view){ s->capability, 32 };
    f.have.first = index;
    f.have.bits = (view){ &one, 1 };
    raw_say(&s->receiver, &f);
}

/* The index of the next chunk; -1: the connection has gone, or nothing came. */
static int chunk_came(scene *s)
{
    while (raw_hear(&s->receiver, &reply))
        if (reply.kind == FRAME_CHUNK) {
            ck_assert_uint_eq(reply.chunk.chunk.bytes, TACET_CHUNK_BYTES);
            ck_assert_mem_eq(reply.chunk.chunk.at, bytes_of(reply.chunk.index), TACET_CHUNK_BYTES);
            return (int)reply.chunk.index;
        }
    return -1;
}

static void put_all(scene *s, uint32_t from, uint32_t to)
{
    uint32_t asked = from, answered = from;
    while (answered < to) {
        while (asked < to && asked - answered < 32)
            ck_assert_uint_ne(say_put(s, asked++), 0);
        ck_assert(raw_hear(&s->owner, &reply));
        ck_assert_int_eq(reply.kind, FRAME_OK);
        answered++;
    }
}

START_TEST(stored_and_fetched_later)
{
    scene s;
    scene_new(&s, free_ini);
    ck_assert_uint_eq(create(&s, 200, 86400), 0);
    put_all(&s, 0, 200);
    ck_assert_uint_eq(relay_status(&s.r, "chunks_stored"), 200);
    ck_assert_int_eq(relay_end(&s.r, SIGTERM), 0);
    raw_close(&s.owner);
    raw_close(&s.receiver);
    relay_run(&s.r);
    ck_assert(raw_open(&s.owner, s.r.port, s.r.key, TACET_ROLE_MAILBOX, &s.alice));
    ck_assert(raw_open(&s.receiver, s.r.port, s.r.key, TACET_ROLE_OPEN, NULL));
    ck_assert_uint_eq(watch(&s, 16), 0);
    for (int i = 0; i < 200; i++) {
        ck_assert_int_eq(chunk_came(&s), i);
        say_have(&s, (uint32_t)i);
    }
    while (relay_status(&s.r, "blobs_done") == 0)
        usleep(20000);
    while (relay_status(&s.r, "blob_segment_bytes") != 0)
        usleep(20000);
    ck_assert_uint_eq(relay_status(&s.r, "blob_reserved_bytes"), 0);
    ck_assert_uint_eq(relay_status(&s.r, "blobs"), 1);
    scene_end(&s);
}
END_TEST

START_TEST(handed_over_live)
{
    scene s;
    scene_new(&s, free_ini);
    ck_assert_uint_eq(create(&s, 300, 86400), 0);
    ck_assert_uint_eq(watch(&s, 64), 0);
    for (uint32_t asked = 0, came = 0; came < 300;) {
        while (asked < 300 && asked - came < 16)
            say_put(&s, asked++);
        ck_assert_int_eq(chunk_came(&s), (int)came);
        say_have(&s, came++);
    }
    for (unsigned oks = 0; oks < 300; oks++) {
        ck_assert(raw_hear(&s.owner, &reply));
        ck_assert_int_eq(reply.kind, FRAME_OK);
    }
    ck_assert_uint_eq(relay_status(&s.r, "chunks_handed_off"), 300);
    ck_assert_uint_eq(relay_status(&s.r, "chunks_stored"), 0);
    ck_assert_uint_eq(relay_status(&s.r, "blob_segment_bytes"), 0);
    scene_end(&s);
}
END_TEST

/* --- limits -------------------------------------------------------------------------------------------------------------------------------- */
START_TEST(F08_quota_and_a_disk_that_is_too_small)
{
    scene s;
    scene_new(&s, "[limits]\nblob_free_mib = 0\nblob_account_mib = 2\n");
    ck_assert_uint_eq(create(&s, 33, 86400), ERROR_QUOTA);
    ck_assert_uint_eq(create(&s, 32, 86400), 0);
    put_all(&s, 0, 32);
    s.id[0] ^= 1;
    ck_assert_uint_eq(create(&s, 1, 86400), ERROR_QUOTA);
    ck_assert_uint_eq(relay_status(&s.r, "blob_reserved_bytes"), 32 * 65536);
    scene_end(&s);
    scene_new(&s, "[limits]\nblob_free_mib = 1000000000\n"); /* a petabyte is to stay free */
    ck_assert_uint_eq(create(&s, 1, 86400), ERROR_QUOTA);
    scene_end(&s);
}
END_TEST

START_TEST(expires_with_the_clock)
{
    scene s;
    scene_new(&s, free_ini);
    ck_assert_uint_eq(create(&s, 20, 3600), 0);
    put_all(&s, 0, 20);
    ck_assert_int_eq(relay_end(&s.r, SIGTERM), 0);
    raw_close(&s.owner);
    raw_close(&s.receiver);
    setenv("TACET_CLOCK_OFFSET_S", "10800", 1);
    relay_run(&s.r);
    unsetenv("TACET_CLOCK_OFFSET_S");
    while (relay_status(&s.r, "blobs_expired") == 0 || relay_status(&s.r, "blob_segment_bytes") != 0)
        usleep(20000);
    ck_assert_uint_eq(relay_status(&s.r, "blobs"), 0);
    ck_assert(raw_open(&s.owner, s.r.port, s.r.key, TACET_ROLE_MAILBOX, &s.alice));
    ck_assert(raw_open(&s.receiver, s.r.port, s.r.key, TACET_ROLE_OPEN, NULL));
    ck_assert_uint_eq(watch(&s, 1), ERROR_REFUSED);
    scene_end(&s);
}
END_TEST

START_TEST(check_names_a_damaged_chunk)
{
    scene s;
    char out[512], path[160];
    scene_new(&s, free_ini);
    ck_assert_uint_eq(create(&s, 20, 86400), 0);
    put_all(&s, 0, 20);
    ck_assert_int_eq(relay_command(&s.r, out, sizeof out, "check", NULL), 0);
    ck_assert_int_eq(relay_end(&s.r, SIGTERM), 0);
    ck_assert_int_eq(relay_command(&s.r, out, sizeof out, "check", NULL), 0);
    ck_assert_int_eq(relay_command(&s.r, out, sizeof out, "rekey", NULL), 0);
    ck_assert_int_eq(relay_command(&s.r, out, sizeof out, "check", NULL), 0); /* segments have keys of their own */
    snprintf(path, sizeof path, "%s/blob-1-0.db", s.r.dir);
    FILE *f = fopen(path, "r+b");
    ck_assert_ptr_nonnull(f);
    ck_assert_int_eq(fseek(f, 5 * 65536 + 77, SEEK_SET), 0);
    int byte = fgetc(f);
    ck_assert_int_eq(fseek(f, -1, SEEK_CUR), 0);
    ck_assert_int_ge(fputc(byte ^ 1, f), 0);
    ck_assert_int_eq(fclose(f), 0);
    ck_assert_int_ne(relay_command(&s.r, out, sizeof out, "check", NULL), 0);
    raw_close(&s.owner);
    raw_close(&s.receiver);
    relay_run(&s.r); /* the relay goes on; what is lost can be put again */
    ck_assert(raw_open(&s.owner, s.r.port, s.r.key, TACET_ROLE_MAILBOX, &s.alice));
    ck_assert(raw_open(&s.receiver, s.r.port, s.r.key, TACET_ROLE_OPEN, NULL));
    ck_assert_uint_eq(watch(&s, 32), 0);
    unsigned came = 0;
    while (relay_status(&s.r, "chunks_lost") == 0)
        usleep(20000);
    for (uint32_t i = 0; i < 20; i++) /* only what was lost is taken */
        ck_assert_uint_ne(say_put(&s, i), 0);
    while (came < 20) {
        ck_assert_int_ge(chunk_came(&s), 0);
        say_have(&s, reply.chunk.index);
        came++;
    }
    scene_end(&s);
}
END_TEST

/* --- kill -9 ------------------------------------------------------------------------------------------------------------------------------- */
enum { KILL_CHUNKS = 1200, KILL_WINDOW = 24, KILL_PACE_US = 500 }; /* the pace: so that no machine is done before it was killed some times */
/* Shared by the processes of a test. */
typedef struct {
    volatile uint8_t safe[KILL_CHUNKS], got[KILL_CHUNKS];
    volatile uint32_t puts, pushes, received;
} board;

static void connect_somehow(raw_client *c, const relay *r, tacet_role role, const person *p)
{
    while (!raw_open(c, r->port, r->key, role, p))
        usleep(15000);
}

/* Puts what is not safe yet until all of it is; after a cut it goes on with what was not answered. */
static void kill_sender(scene *s, board *b)
{
    static uint32_t index_of[KILL_CHUNKS * 64];
    for (bool left = true; left;) {
        raw_client *c = &s->owner;
        connect_somehow(c, &s->r, TACET_ROLE_MAILBOX, &s->alice);
        uint32_t next = 0, open_ = 0;
        for (bool alive = true; alive;) {
            while (alive && open_ < KILL_WINDOW && next < KILL_CHUNKS) {
                if (b->safe[next]) {
                    next++;
                    continue;
                }
                uint32_t id = say_put(s, next);
                alive = id != 0;
                index_of[id % (KILL_CHUNKS * 64)] = next++;
                open_++;
                b->puts++;
                usleep(KILL_PACE_US);
            }
            if (open_ == 0)
                break;
            alive = alive && raw_hear(c, &reply);
            if (alive && reply.kind == FRAME_OK)
                b->safe[index_of[reply.id % (KILL_CHUNKS * 64)]] = 1;
            else
                alive = false; /* gone, or stopping: what is left is put again */
            open_--;
        }
        raw_close(c);
        left = false;
        for (uint32_t i = 0; i < KILL_CHUNKS; i++)
            left |= !b->safe[i];
    }
}

static bool say_all_had(scene *s, const board *b)
{
    uint8_t bits[(KILL_CHUNKS + 7) / 8] = { 0 };
    for (uint32_t i = 0; i < KILL_CHUNKS; i++)
        bits[i / 8] |= (uint8_t)(b->got[i] << i % 8);
    frame f = { .kind = FRAME_HAVE };
    f.have.blob = (view){ s->id, 16 };
    f.have.capability = (view){ s->capability, 32 };
    f.have.bits = (view){ bits, sizeof bits };
    return raw_say(&s->receiver, &f) != 0;
}

/* Marks, which is its disk, and then says that it has it. */
static void kill_receiver(scene *s, board *b)
{
    while (b->received < KILL_CHUNKS) {
        connect_somehow(&s->receiver, &s->r, TACET_ROLE_OPEN, NULL);
        bool alive = say_all_had(s, b) && watch(s, 64) == 0;
        while (alive && b->received < KILL_CHUNKS) {
            alive = raw_hear(&s->receiver, &reply);
            if (!alive || reply.kind != FRAME_CHUNK)
                continue;
            uint32_t i = reply.chunk.index;
            if (i >= KILL_CHUNKS || memcmp(reply.chunk.chunk.at, bytes_of(i), TACET_CHUNK_BYTES) != 0)
                _exit(4);
            b->pushes++;
            b->received += !b->got[i];
            b->got[i] = 1;
            say_have(s, i);
        }
        raw_close(&s->receiver);
    }
}

static bool ended(pid_t pid)
{
    int status;
    if (waitpid(pid, &status, WNOHANG) != pid)
        return false;
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "a side of the transfer failed: %d", status);
    return true;
}

/* `both`: the receiver is there from the start. Whatever was answered with ok arrives, although everything is killed again and again. */
static void kill_round(bool both)
{
    scene s;
    scene_new(&s, "[limits]\nhandshake_burst = 100000\nblob_free_mib = 0\n");
    board *b = mmap(NULL, sizeof *b, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(b, MAP_FAILED);
    ck_assert_uint_eq(create(&s, KILL_CHUNKS, 86400), 0);
    raw_close(&s.owner);
    raw_close(&s.receiver);
    pid_t sender = fork(), receiver = 0;
    if (sender == 0) {
        kill_sender(&s, b);
        _exit(0);
    }
    if (both && (receiver = fork()) == 0) {
        kill_receiver(&s, b);
        _exit(0);
    }
    unsigned kills = 0;
    for (bool sent = false, got = false; !sent || !got; kills++) {
        if (kills > 4 && !receiver && (receiver = fork()) == 0) { /* in the middle of it, or when everything is stored: as fast as the sender was */
            kill_receiver(&s, b);
            _exit(0);
        }
        usleep(40000 + (kills * 7919) % 60000);
        if (kills < 24 && kills % 3 == 0) {
            pid_t net = relay_child(&s.r, 1);
            if (net)
                kill(net, SIGKILL);
        } else if (kills < 24) {
            pid_t store = relay_child(&s.r, 0);
            kill(kills % 3 == 1 && store ? store : s.r.pid, SIGKILL);
            relay_end(&s.r, 0);
            for (int tries = 0; store && kill(store, 0) == 0 && tries < 1000; tries++)
                usleep(10000); /* it finishes and lets go of the directory */
            relay_run(&s.r);
        }
        sent = sent || ended(sender);
        got = got || (receiver && ended(receiver));
    }
    ck_assert_uint_eq(b->received, KILL_CHUNKS);
    ck_assert_uint_ge(kills, 6);
    /* sent again is at most what was in flight at each cut */
    ck_assert_uint_le(b->puts, KILL_CHUNKS + (kills + 2) * KILL_WINDOW);
    ck_assert_int_eq(relay_end(&s.r, SIGTERM), 0);
    relay_remove(&s.r);
    munmap(b, sizeof *b);
}

START_TEST(F01_killed_while_both_are_there) { kill_round(true); }
END_TEST
START_TEST(F01_killed_while_it_is_stored) { kill_round(false); }
END_TEST

SUITE("relay blobs", TEST(stored_and_fetched_later), TEST(handed_over_live), TEST(F08_quota_and_a_disk_that_is_too_small),
      TEST(expires_with_the_clock), TEST(check_names_a_damaged_chunk), TEST(F01_killed_while_both_are_there), TEST(F01_killed_while_it_is_stored))
