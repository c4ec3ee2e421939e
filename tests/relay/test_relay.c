/* The real relay, `tacetd` as a program on 127.0.0.1, against clients that say what they like. */
#include "raw_client.h"
#include "base/text.h"
#include "suite.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static frame reply;

static relay fresh(const char *ini)
{
    relay r;
    relay_init(&r, ini);
    relay_run(&r);
    return r;
}

static uint64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void sleep_ms(unsigned ms)
{
    struct timespec t = { ms / 1000, (long)(ms % 1000) * 1000000 };
    nanosleep(&t, NULL);
}

static uint64_t echo_us(raw_client *c)
{
    frame f = { .kind = FRAME_ECHO, .echo.data = { (const uint8_t *)"ping", 4 } };
    uint64_t from = now_us();
    ck_assert_msg(raw_ask(c, &f, &reply), "the echo did not come back");
    ck_assert_int_eq(reply.kind, FRAME_ECHO_REPLY);
    return now_us() - from;
}

/* --- a conversation -------------------------------------------------------------------------------------------------------------------------- */
START_TEST(envelopes_wait_and_arrive)
{
    relay r = fresh(NULL);
    person bob;
    raw_client b, s;
    raw_join(&b, &r, &bob);
    raw_close(&b);
    ck_assert(raw_open(&s, r.port, r.key, TACET_ROLE_OPEN, NULL));
    for (int i = 0; i < 10; i++) {
        frame f = send_to(&bob, bob.token, "offline", 7);
        ck_assert_uint_eq(raw_code(&s, &f), 0);
    }
    ck_assert(raw_open(&b, r.port, r.key, TACET_ROLE_MAILBOX, &bob));
    frame f = { .kind = FRAME_SUBSCRIBE, .subscribe.credit = 50 };
    raw_say(&b, &f);
    unsigned n = 0;
    frame ack = { .kind = FRAME_ACK };
    while (raw_hear(&b, &reply) && reply.kind != FRAME_CAUGHT_UP)
        if (reply.kind == FRAME_DELIVER) {
            n++;
            ack.ack.ids.item[ack.ack.ids.count++] = reply.deliver.number;
        }
    ck_assert_uint_eq(n, 10);
    ck_assert_uint_eq(raw_code(&b, &ack), 0);
    f = send_to(&bob, bob.token, "live", 4);
    ck_assert_uint_eq(raw_code(&s, &f), 0);
    ck_assert(raw_hear(&b, &reply));
    ck_assert_int_eq(reply.kind, FRAME_DELIVER);
    ck_assert_mem_eq(reply.deliver.ciphertext.at, "live", 4);
    ck_assert_uint_eq(relay_status(&r, "accepted"), 11);
    ck_assert_uint_eq(relay_status(&r, "queued_messages"), 1);
    raw_close(&b);
    raw_close(&s);
    ck_assert_int_eq(relay_end(&r, SIGTERM), 0);
    relay_remove(&r);
}
END_TEST

/* --- transport ---------------------------------------------------------------------------------------------------------------------------------- */
START_TEST(T01_replayed_handshake_messages)
{
    relay r = fresh(NULL);
    person bob;
    raw_client b;
    uint8_t second[2 + TACET_M2_BYTES], byte;
    raw_join(&b, &r, &bob);
    uint64_t before = relay_status(&r, "logins");
    int fd = raw_connect(r.port); /* the first message again: answered, with other keys */
    ck_assert(raw_write(fd, b.sent_first, sizeof b.sent_first));
    ck_assert(raw_read(fd, second, sizeof second));
    ck_assert(raw_write(fd, b.sent_third, sizeof b.sent_third)); /* and the third fits those keys no more */
    ck_assert(!raw_read(fd, &byte, 1));
    close(fd);
    ck_assert_uint_eq(relay_status(&r, "logins"), before);
    ck_assert_uint_eq(relay_status(&r, "handshakes_failed"), 1);
    echo_us(&b); /* whoever was recorded does not notice */
    raw_close(&b);
    relay_remove(&r);
}
END_TEST

START_TEST(T11_frames_before_the_third_message)
{
    relay r = fresh(NULL);
    person bob;
    raw_client b;
    uint8_t second[2 + TACET_M2_BYTES], record[TACET_RECORD_MAX_BYTES];
    size_t n;
    raw_join(&b, &r, &bob);
    uint64_t before = relay_status(&r, "requests");
    for (int i = 0; i < 3; i++) {
        int fd = raw_connect(r.port);
        record_key zero = { { 0 }, 0 };
        ck_assert(raw_write(fd, b.sent_first, i == 2 ? TACET_PREAMBLE_BYTES : sizeof b.sent_first));
        if (i == 1)
            ck_assert(raw_read(fd, second, sizeof second));
        ck_assert_int_eq(record_seal(&zero, record, &n, (const uint8_t *)"\0\0\0\x03\x92\x10\x01", 7), TACET_OK);
        ck_assert(raw_write(fd, record, n));
        if (i == 0 && raw_read(fd, second, 1)) /* the answer to the first message may still come */
            ck_assert(raw_read(fd, second, sizeof second - 1));
        ck_assert_msg(raw_is_cut(fd, 6000), "case %d", i);
        close(fd);
    }
    ck_assert_uint_eq(relay_status(&r, "requests"), before);
    raw_close(&b);
    relay_remove(&r);
}
END_TEST

START_TEST(T11_T16_what_is_not_ones_own_to_ask)
{
    relay r = fresh(NULL);
    person bob, stranger;
    raw_client b, open_, unknown;
    raw_join(&b, &r, &bob);
    person_make(&stranger, (uint64_t)time(NULL));
    ck_assert(raw_open(&open_, r.port, r.key, TACET_ROLE_OPEN, NULL));
    ck_assert(raw_open(&unknown, r.port, r.key, TACET_ROLE_MAILBOX, &stranger));
    static const frame_kind mailbox_only[] = { FRAME_SUBSCRIBE, FRAME_ACK, FRAME_PREKEY_STATUS, FRAME_WITHDRAW_NAME };
    for (size_t i = 0; i < ROWS(mailbox_only); i++) {
        frame f = { .kind = mailbox_only[i] };
        ck_assert_uint_eq(raw_code(&open_, &f), ERROR_WRONG_ROLE);
        f.id = 0;
        ck_assert_uint_eq(raw_code(&unknown, &f), ERROR_NOT_REGISTERED);
    }
    frame f = send_to(&bob, bob.token, "x", 1);
    ck_assert_uint_eq(raw_code(&b, &f), ERROR_WRONG_ROLE);
    f = (frame){ .kind = FRAME_OK }; /* the relay's own words */
    ck_assert_uint_eq(raw_code(&b, &f), 1000);
    raw_close(&b);
    raw_close(&open_);
    raw_close(&unknown);
    relay_remove(&r);
}
END_TEST

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static uint64_t p99_of(raw_client *c, unsigned rounds)
{
    static uint64_t took[2000];
    for (unsigned i = 0; i < rounds; i++)
        took[i] = echo_us(c);
    qsort(took, rounds, sizeof *took, by_value);
    return took[rounds * 99 / 100];
}

START_TEST(T12_slow_strangers_are_cut_and_hold_up_nobody)
{
    enum { STRANGERS = 600 };
    relay r = fresh("[limits]\nhandshake_burst = 5000\n");
    person bob;
    raw_client b;
    static int fd[STRANGERS];
    raw_join(&b, &r, &bob);
    uint64_t quiet = p99_of(&b, 500), from = now_us();
    for (int i = 0; i < STRANGERS; i++) { /* some say nothing, some a part, some all but the last byte */
        fd[i] = raw_connect(r.port);
        ck_assert_int_ge(fd[i], 0);
        size_t n = i % 3 == 0 ? 0 : i % 3 == 1 ? 5 : sizeof b.sent_first - 1;
        ck_assert(raw_write(fd[i], b.sent_first, n));
    }
    uint64_t crowded = p99_of(&b, 500);
    ck_assert_msg(crowded < 20 * quiet + 20000, "99 of 100 echoes: %llu us alone, %llu us in the crowd", (unsigned long long)quiet,
                  (unsigned long long)crowded);
    for (int i = 0; i < STRANGERS; i++) {
        int64_t left_ms = 7500 - (int64_t)(now_us() - from) / 1000;
        ck_assert_msg(raw_is_cut(fd[i], left_ms > 1 ? (unsigned)left_ms : 1), "stranger %d is still there", i);
        close(fd[i]);
    }
    ck_assert_uint_ge(now_us() - from, 4500000);
    ck_assert_uint_eq(relay_status(&r, "connections"), 1);
    raw_close(&b);
    relay_remove(&r);
}
END_TEST

START_TEST(T13_a_flood_of_handshakes_is_limited)
{
    enum { STRANGERS = 300 };
    relay r = fresh("[limits]\nhandshake_burst = 20\nhandshake_every_ms = 500\n");
    person bob;
    raw_client b, s;
    unsigned through = 0;
    raw_join(&b, &r, &bob);
    uint64_t from = now_us();
    for (int i = 0; i < STRANGERS; i++)
        if (raw_open(&s, r.port, r.key, TACET_ROLE_OPEN, NULL)) {
            through++;
            raw_close(&s);
        }
    unsigned allowed = 20 + (unsigned)((now_us() - from) / 500000) + 1;
    ck_assert_uint_ge(through, 10);
    ck_assert_uint_le(through, allowed);
    ck_assert_uint_lt(echo_us(&b), 1000000); /* who is in is not concerned */
    sleep_ms(1200);
    ck_assert(raw_open(&s, r.port, r.key, TACET_ROLE_OPEN, NULL));
    raw_close(&s);
    raw_close(&b);
    relay_remove(&r);
}
END_TEST

START_TEST(T14_lengths_before_the_handshake)
{
    relay r = fresh(NULL);
    person bob;
    raw_client b;
    raw_join(&b, &r, &bob);
    static const unsigned lengths[] = { 0, 1, 15, 1247, 1249, 65535 };
    for (size_t i = 0; i < ROWS(lengths); i++) {
        uint8_t head[TACET_PREAMBLE_BYTES + 2];
        memcpy(head, b.sent_first, TACET_PREAMBLE_BYTES);
        head[8] = (uint8_t)(lengths[i] >> 8);
        head[9] = (uint8_t)lengths[i];
        int fd = raw_connect(r.port);
        ck_assert(raw_write(fd, head, sizeof head));
        ck_assert_msg(raw_is_cut(fd, 1000), "length %u", lengths[i]); /* at once, not at the deadline */
        close(fd);
    }
    raw_close(&b);
    relay_remove(&r);
}
END_TEST

/* --- the program --------------------------------------------------------------------------------------------------------------------------------- */
START_TEST(sighup_reads_the_configuration_again)
{
    relay r = fresh(NULL);
    person bob, eve;
    raw_client b, e;
    uint8_t proof[64];
    char path[128], token[128];
    raw_join(&b, &r, &bob);
    snprintf(path, sizeof path, "%s/tacetd.ini", r.dir);
    FILE *f = fopen(path, "a");
    fputs("\n[relay]\nregistration = invite\n", f);
    fclose(f);
    kill(r.pid, SIGHUP);
    sleep_ms(500);
    person_make(&eve, (uint64_t)time(NULL));
    ck_assert(raw_open(&e, r.port, r.key, TACET_ROLE_MAILBOX, &eve));
    frame g = person_register(&eve, e.hash, proof);
    ck_assert_uint_eq(raw_code(&e, &g), ERROR_INVITE);
    ck_assert_int_eq(relay_command(&r, token, sizeof token, "invite", NULL), 0); /* of the running relay */
    uint8_t invite[32];
    token[strcspn(token, "\n")] = 0;
    ck_assert_int_eq(base32_decode(invite, 32, token, strlen(token)), TACET_OK);
    g = person_register(&eve, e.hash, proof);
    g.register_.invite = (view){ invite, 32 };
    ck_assert_uint_eq(raw_code(&e, &g), 0);
    raw_close(&b);
    raw_close(&e);
    relay_remove(&r);
}
END_TEST

START_TEST(P13_open_files_and_folders_are_refused)
{
    relay r;
    char path[128], out[64];
    relay_init(&r, NULL);
    snprintf(path, sizeof path, "%s/relay.key", r.dir);
    static const mode_t loose[] = { 0644, 0640, 0604, 0620 };
    for (size_t i = 0; i < ROWS(loose); i++) {
        ck_assert_int_eq(chmod(path, loose[i]), 0);
        ck_assert_int_eq(relay_command(&r, out, sizeof out, "run", NULL), 1);
        ck_assert_int_eq(relay_command(&r, out, sizeof out, "check", NULL), 1);
    }
    ck_assert_int_eq(chmod(path, 0600), 0);
    ck_assert_int_eq(chmod(r.dir, 0777), 0);
    ck_assert_int_eq(relay_command(&r, out, sizeof out, "run", NULL), 1);
    ck_assert_int_eq(chmod(r.dir, 0700), 0);
    ck_assert_int_eq(relay_command(&r, out, sizeof out, "check", NULL), 0);
    relay_remove(&r);
}
END_TEST

/* The socket at which `pid` listens for the network, as one of ours; -1: we may not have it. */
static int listener_of(pid_t pid)
{
    int process = (int)syscall(SYS_pidfd_open, pid, 0), found = -1;
    for (int fd = 3; fd < 64 && found < 0; fd++) {
        int ours = (int)syscall(SYS_pidfd_getfd, process, fd, 0), listens = 0, family = 0;
        socklen_t n = sizeof listens, m = sizeof family;
        if (ours < 0 && errno == EPERM)
            break;
        if (ours >= 0 && getsockopt(ours, SOL_SOCKET, SO_ACCEPTCONN, &listens, &n) == 0 && listens &&
            getsockopt(ours, SOL_SOCKET, SO_DOMAIN, &family, &m) == 0 && family != AF_UNIX)
            found = ours;
        else if (ours >= 0)
            close(ours);
    }
    close(process);
    return found;
}

/* No net can do that (P08); but whatever did, a relay that nobody can reach is not one that runs. */
START_TEST(P08_a_relay_whose_port_is_dead_ends)
{
    relay r = fresh(NULL);
    char path[128], log[4096] = "";
    int fd = listener_of(r.pid);
    if (fd >= 0) { /* root: else the supervisor's descriptors are not to be had */
        ck_assert_int_eq(shutdown(fd, SHUT_RDWR), 0);
        close(fd);
        ck_assert_int_eq(relay_end(&r, 0), 1);
        snprintf(path, sizeof path, "%s.err", r.dir);
        FILE *f = fopen(path, "r");
        ck_assert_ptr_nonnull(f);
        log[fread(log, 1, sizeof log - 1, f)] = 0;
        fclose(f);
        ck_assert_msg(strstr(log, "the listening socket is dead") != NULL, "%s", log);
        relay_run(&r);
    }
    ck_assert_int_eq(relay_end(&r, SIGTERM), 0);
    relay_remove(&r);
}
END_TEST

START_TEST(S09_one_relay_at_a_time)
{
    relay r = fresh(NULL);
    char out[256], path[128];
    ck_assert_int_eq(relay_command(&r, out, sizeof out, "run", NULL), 1);
    ck_assert_int_eq(relay_command(&r, out, sizeof out, "rekey", NULL), 1);
    ck_assert_int_eq(relay_command(&r, out, sizeof out, "init", NULL), 1);
    snprintf(path, sizeof path, "%s.copy", r.dir);
    ck_assert_int_eq(relay_command(&r, out, sizeof out, "backup", path, NULL), 0);
    ck_assert_int_eq(relay_command(&r, out, sizeof out, "restore", path, NULL), 1);
    unlink(path);
    ck_assert_int_eq(relay_command(&r, out, sizeof out, "check", NULL), 0);
    relay_remove(&r);
}
END_TEST

START_TEST(rekey_backup_and_restore)
{
    relay r = fresh(NULL);
    person bob;
    raw_client b, s;
    char out[256], copy[128];
    uint8_t before[16];
    frame info = { .kind = FRAME_INFO };
    raw_join(&b, &r, &bob);
    ck_assert(raw_ask(&b, &info, &reply));
    memcpy(before, reply.info_reply.incarnation.at, 16);
    raw_close(&b);
    ck_assert(raw_open(&s, r.port, r.key, TACET_ROLE_OPEN, NULL));
    frame f = send_to(&bob, bob.token, "one", 3);
    ck_assert_uint_eq(raw_code(&s, &f), 0);
    ck_assert_int_eq(relay_end(&r, SIGTERM), 0);
    raw_close(&s);
    ck_assert_int_eq(relay_command(&r, out, sizeof out, "rekey", NULL), 0);
    snprintf(copy, sizeof copy, "%s.copy", r.dir);
    ck_assert_int_eq(relay_command(&r, out, sizeof out, "backup", copy, NULL), 0);
    ck_assert_int_eq(relay_command(&r, out, sizeof out, "backup", copy, NULL), 1); /* never overwrites */
    relay_run(&r);
    ck_assert(raw_open(&s, r.port, r.key, TACET_ROLE_OPEN, NULL));
    f = send_to(&bob, bob.token, "two", 3);
    ck_assert_uint_eq(raw_code(&s, &f), 0);
    info.id = 0;
    ck_assert(raw_ask(&s, &info, &reply));
    ck_assert_mem_eq(before, reply.info_reply.incarnation.at, 16);
    raw_close(&s);
    ck_assert_int_eq(relay_end(&r, SIGTERM), 0);
    char fresh_dir[160];
    snprintf(fresh_dir, sizeof fresh_dir, "%s/restore.tmp", r.dir);
    for (int i = 0; i < 2; i++) { /* also over a restored one */
        ck_assert_int_eq(relay_command(&r, out, sizeof out, "restore", copy, NULL), 0);
        ck_assert_int_ne(access(fresh_dir, F_OK), 0);
    }
    relay_run(&r);
    ck_assert(raw_open(&b, r.port, r.key, TACET_ROLE_MAILBOX, &bob)); /* the same relay key */
    info.id = 0;
    ck_assert(raw_ask(&b, &info, &reply));
    ck_assert_mem_ne(before, reply.info_reply.incarnation.at, 16);
    f = (frame){ .kind = FRAME_SUBSCRIBE, .subscribe.credit = 9 };
    raw_say(&b, &f);
    unsigned n = 0;
    while (raw_hear(&b, &reply) && reply.kind != FRAME_CAUGHT_UP)
        if (reply.kind == FRAME_DELIVER) {
            ck_assert_mem_eq(reply.deliver.ciphertext.at, "one", 3);
            n++;
        }
    ck_assert_uint_eq(n, 1);
    raw_close(&b);
    unlink(copy);
    relay_remove(&r);
}
END_TEST

static ino_t inode_of(const relay *r, const char *name)
{
    char path[160];
    struct stat st;
    snprintf(path, sizeof path, "%s/%s", r->dir, name);
    return stat(path, &st) == 0 ? st.st_ino : 0;
}

/* 0: two restores in a row. 1: the power was cut when the store had been put aside and the copy had not got its name, and the service was started then.
 * The store that was there before is never lost. */
START_TEST(what_a_restore_put_aside_stays)
{
    relay r = fresh(NULL);
    char out[256], copy[128], path[160], aside[160];
    ck_assert_int_eq(relay_end(&r, SIGTERM), 0);
    snprintf(copy, sizeof copy, "%s.copy", r.dir);
    snprintf(path, sizeof path, "%s/relay.db", r.dir);
    snprintf(aside, sizeof aside, "%s/relay.db.replaced", r.dir);
    ck_assert_int_eq(relay_command(&r, out, sizeof out, "backup", copy, NULL), 0);
    ino_t first = inode_of(&r, "relay.db"), second = 0;
    if (_i == 0) {
        ck_assert_int_eq(relay_command(&r, out, sizeof out, "restore", copy, NULL), 0);
        second = inode_of(&r, "relay.db");
    } else {
        static const char *const starts[] = { "run", "check", "rekey", "status" };
        ck_assert_int_eq(rename(path, aside), 0);
        for (size_t i = 0; i < ROWS(starts); i++) {
            ck_assert_int_eq(relay_command(&r, out, sizeof out, starts[i], NULL), 1);
            ck_assert_uint_eq(inode_of(&r, "relay.db"), 0);
        }
    }
    ck_assert_int_eq(relay_command(&r, out, sizeof out, "restore", copy, NULL), 0);
    ck_assert_uint_eq(inode_of(&r, "relay.db.replaced"), first);
    ck_assert_uint_eq(inode_of(&r, "relay.db.replaced-2"), second);
    relay_run(&r);
    ck_assert_int_eq(relay_end(&r, SIGTERM), 0);
    unlink(copy);
    relay_remove(&r);
}
END_TEST

START_TEST(P06_the_log_names_nobody)
{
    relay r = fresh("[relay]\nlog = debug\n");
    person bob;
    raw_client b, s;
    char path[128], hex[65];
    static char log[65536];
    raw_join(&b, &r, &bob);
    ck_assert(raw_open(&s, r.port, r.key, TACET_ROLE_OPEN, NULL));
    frame f = send_to(&bob, bob.token, "a secret text", 13);
    ck_assert_uint_eq(raw_code(&s, &f), 0);
    int fd = raw_connect(r.port);
    raw_write(fd, "GET / HTTP/1.1\r\n\r\n", 18);
    close(fd);
    raw_close(&b);
    raw_close(&s);
    ck_assert_int_eq(relay_end(&r, SIGTERM), 0);
    snprintf(path, sizeof path, "%s.err", r.dir);
    FILE *g = fopen(path, "r");
    size_t n = fread(log, 1, sizeof log - 1, g);
    fclose(g);
    log[n] = 0;
    ck_assert_msg(strstr(log, "registered") != NULL, "nothing was logged: %s", log);
    hex_encode(hex, bob.list.account.bytes, 32);
    hex[12] = 0;
    const char *const never[] = { "127.0.0", "secret", hex };
    for (size_t i = 0; i < ROWS(never); i++)
        ck_assert_msg(strstr(log, never[i]) == NULL, "the log holds %s:\n%s", never[i], log);
    relay_remove(&r);
}
END_TEST

/* The disk of the relay fills up: senders are told, nothing accepted is lost, and with room it goes on. */
START_TEST(full_disk_refuses_and_recovers)
{
    relay r;
    person bob;
    raw_client b, s;
    static uint8_t big[16000];
    char out[64];
    unsigned accepted = 0, refused = 0, got = 0;
    char disk[] = "/tmp/tacet-disk.XXXXXX";
    ck_assert_ptr_nonnull(mkdtemp(disk));
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 || mount("none", disk, "tmpfs", 0, "size=4m") != 0) {
        rmdir(disk);
        return; /* not root: nothing to fill */
    }
    setenv("TMPDIR", disk, 1);
    relay_init(&r, "[limits]\nmessage_free_mib = 0\n"); /* to the last block: the reserve is test_quota's */
    relay_run(&r);
    raw_join(&b, &r, &bob);
    ck_assert(raw_open(&s, r.port, r.key, TACET_ROLE_OPEN, NULL));
    for (int i = 0; i < 400 && refused < 20; i++) {
        frame f = send_to(&bob, bob.token, big, sizeof big);
        unsigned code = raw_code(&s, &f);
        ck_assert_msg(code == 0 || code == ERROR_QUOTA, "code %u after %u", code, accepted);
        accepted += code == 0;
        refused += code != 0;
    }
    ck_assert_uint_gt(accepted, 20);
    ck_assert_uint_eq(refused, 20);
    ck_assert_uint_lt(echo_us(&s), 1000000);
    ck_assert(mount("none", disk, NULL, MS_REMOUNT, "size=32m") == 0);
    frame f = send_to(&bob, bob.token, "room again", 10);
    ck_assert_uint_eq(raw_code(&s, &f), 0);
    f = (frame){ .kind = FRAME_SUBSCRIBE, .subscribe.credit = 256 };
    raw_say(&b, &f);
    while (raw_hear(&b, &reply) && reply.kind != FRAME_CAUGHT_UP) {
        got += reply.kind == FRAME_DELIVER;
        f = (frame){ .kind = FRAME_ACK };
        f.ack.ids = (number_list){ 1, { reply.kind == FRAME_DELIVER ? reply.deliver.number : 0 } };
        raw_say(&b, &f);
    }
    ck_assert_uint_eq(got, accepted + 1);
    raw_close(&b);
    raw_close(&s);
    ck_assert_int_eq(relay_end(&r, SIGTERM), 0);
    ck_assert_int_eq(relay_command(&r, out, sizeof out, "check", NULL), 0);
    relay_remove(&r);
    ck_assert_int_eq(umount(disk), 0);
    rmdir(disk);
}
END_TEST

SUITE("relay", TEST(full_disk_refuses_and_recovers), TEST(envelopes_wait_and_arrive), TEST(T01_replayed_handshake_messages),
      TEST(T11_frames_before_the_third_message), TEST(T11_T16_what_is_not_ones_own_to_ask), TEST(T12_slow_strangers_are_cut_and_hold_up_nobody),
      TEST(T13_a_flood_of_handshakes_is_limited), TEST(T14_lengths_before_the_handshake), TEST(sighup_reads_the_configuration_again),
      TEST(P13_open_files_and_folders_are_refused), TEST(P08_a_relay_whose_port_is_dead_ends), TEST(S09_one_relay_at_a_time),
      TEST(rekey_backup_and_restore), LOOP(what_a_restore_put_aside_stays, 2), TEST(P06_the_log_names_nobody))
