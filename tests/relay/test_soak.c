/* S12: a relay in a crowd that comes and goes: connects, stops half-way, sends, reads a little, drops. Its clock runs 96 times as fast, so that a quarter of
 * an hour is a day and what was sent for an hour expires after 38 s. Memory stays flat, no descriptor is left over, the store stays as large as what waits.
 * TACET_SOAK_S=900 makes it the long one; what it saw goes to stdout. */
#include "raw_client.h"
#include "suite.h"
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PEOPLE = 40, WORKERS = 6, RATE = 96, SAMPLES_MAX = 4000 };

/* Shared by the processes of the test. */
typedef struct {
    volatile bool stop;
    person who[PEOPLE];
    volatile uint64_t logins, half_open, sent, taken, dropped;
} crowd;

static void sleep_ms(unsigned ms)
{
    struct timespec t = { ms / 1000, (long)(ms % 1000) * 1000000 };
    nanosleep(&t, NULL);
}

static void hang_up(raw_client *c)
{
    struct linger hard = { .l_onoff = (int)randombytes_uniform(2), .l_linger = 0 };
    setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    raw_close(c);
}

/* --- what the crowd does -------------------------------------------------------------------------------------------------------------------- */
static void go_half_way(crowd *w, const relay *r)
{
    uint8_t noise[TACET_PREAMBLE_BYTES + 2 + TACET_M1_BYTES];
    int fd = raw_connect(r->port);
    if (fd < 0)
        return;
    randombytes_buf(noise, sizeof noise);
    preamble_encode(noise, TACET_WIRE_VERSION, randombytes_uniform(2) ? TACET_ROLE_OPEN : TACET_ROLE_MAILBOX);
    (void)raw_write(fd, noise, randombytes_uniform(sizeof noise));
    sleep_ms(randombytes_uniform(300));
    close(fd);
    w->half_open++;
}

static void send_some(crowd *w, const relay *r, bool read_replies)
{
    static uint8_t text[16384];
    static frame reply;
    raw_client c;
    if (!raw_open(&c, r->port, r->key, TACET_ROLE_OPEN, NULL))
        return;
    for (uint32_t i = 0, n = 1 + randombytes_uniform(30); i < n; i++) {
        const person *to = &w->who[randombytes_uniform(PEOPLE)];
        frame f = send_to(to, to->token, text, 64 + randombytes_uniform(randombytes_uniform(8) ? 1024 : sizeof text - 64));
        f.send.ttl_s = 3600;
        if (!raw_say(&c, &f) || (read_replies && !raw_hear(&c, &reply)))
            break;
        w->sent++;
    }
    hang_up(&c);
}

/* Reads up to some, acknowledges up to as many, goes. */
static void take_some(crowd *w, const relay *r)
{
    static frame f;
    raw_client c;
    if (!raw_open(&c, r->port, r->key, TACET_ROLE_MAILBOX, &w->who[randombytes_uniform(PEOPLE)]))
        return;
    w->logins++;
    frame ack = { .kind = FRAME_ACK }, s = { .kind = FRAME_SUBSCRIBE, .subscribe.credit = 1 + randombytes_uniform(100) };
    uint32_t most = randombytes_uniform(60);
    bool alive = raw_say(&c, &s) != 0;
    while (alive && ack.ack.ids.count < most && raw_hear(&c, &f) && f.kind != FRAME_CAUGHT_UP)
        if (f.kind == FRAME_DELIVER)
            ack.ack.ids.item[ack.ack.ids.count++] = f.deliver.number;
    if (alive && ack.ack.ids.count && randombytes_uniform(4) && raw_code(&c, &ack) == 0)
        w->taken += ack.ack.ids.count;
    else
        w->dropped++;
    hang_up(&c);
}

static void look_around(const relay *r)
{
    static frame reply;
    raw_client c;
    if (!raw_open(&c, r->port, r->key, TACET_ROLE_OPEN, NULL))
        return;
    frame f = { .kind = FRAME_LOOKUP, .lookup.name = { (const uint8_t *)"nobody", 6 } };
    for (int i = 0; i < 20 && raw_ask(&c, &f, &reply); i++)
        f.id = 0;
    hang_up(&c);
}

static _Noreturn void mingle(crowd *w, const relay *r)
{
    while (!w->stop)
        switch (randombytes_uniform(8)) {
        case 0:
        case 1:
            go_half_way(w, r);
            break;
        case 2:
        case 3:
            take_some(w, r);
            break;
        case 4:
            look_around(r);
            break;
        default:
            send_some(w, r, randombytes_uniform(3) != 0);
            break;
        }
    _exit(0);
}

/* --- what is watched ------------------------------------------------------------------------------------------------------------------------ */
typedef struct {
    uint64_t rss_kib, descriptors, store_bytes, queued_bytes;
} sample;

static uint64_t rss_kib(pid_t pid)
{
    char path[64];
    unsigned long long pages = 0;
    snprintf(path, sizeof path, "/proc/%d/statm", (int)pid);
    FILE *f = fopen(path, "r");
    if (f && fscanf(f, "%*u %llu", &pages) != 1)
        pages = 0;
    if (f)
        fclose(f);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE) / 1024;
}

static uint64_t descriptors(pid_t pid)
{
    char path[64];
    uint64_t n = 0;
    snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    DIR *d = opendir(path);
    while (d && readdir(d))
        n++;
    if (d)
        closedir(d);
    return n;
}

static uint64_t file_bytes(const relay *r, const char *name)
{
    char path[192];
    struct stat st;
    snprintf(path, sizeof path, "%s/%s", r->dir, name);
    return stat(path, &st) == 0 ? (uint64_t)st.st_size : 0;
}

static sample look(const relay *r)
{
    sample s = { .store_bytes = file_bytes(r, "relay.db") + file_bytes(r, "relay.db-wal"), .queued_bytes = relay_status(r, "queued_bytes") };
    for (unsigned i = 0; i < 2; i++) {
        pid_t pid = relay_child(r, i);
        s.rss_kib += rss_kib(pid);
        s.descriptors += descriptors(pid);
    }
    return s;
}

/* The highest of a part of the samples. */
static sample highest(const sample *at, size_t from, size_t end)
{
    sample s = { 0 };
    for (size_t i = from; i < end; i++) {
        s.rss_kib = at[i].rss_kib > s.rss_kib ? at[i].rss_kib : s.rss_kib;
        s.store_bytes = at[i].store_bytes > s.store_bytes ? at[i].store_bytes : s.store_bytes;
        s.queued_bytes = at[i].queued_bytes > s.queued_bytes ? at[i].queued_bytes : s.queued_bytes;
    }
    return s;
}

static void clock_hurries(void)
{
    char text[32];
    snprintf(text, sizeof text, "%llu", (unsigned long long)env_now_ms(env_system()));
    setenv("TACET_CLOCK_FROM_MS", text, 1);
    snprintf(text, sizeof text, "%d", RATE);
    setenv("TACET_CLOCK_RATE", text, 1);
}

static crowd *gather(const relay *r)
{
    crowd *w = mmap(NULL, sizeof *w, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(w, MAP_FAILED);
    for (int i = 0; i < PEOPLE; i++) {
        raw_client c;
        raw_join(&c, r, &w->who[i]);
        raw_close(&c);
    }
    return w;
}

START_TEST(S12_a_crowd_leaves_nothing_behind)
{
    relay r;
    static sample at[SAMPLES_MAX];
    pid_t worker[WORKERS];
    const char *asked = getenv("TACET_SOAK_S");
    unsigned seconds = asked ? (unsigned)strtoul(asked, NULL, 10) : 12;
    size_t n = 0;
    clock_hurries();
    relay_init(&r, "[limits]\nhandshake_burst = 1000000\nregister_burst = 1000\nmailbox_messages = 2000\nexpiry_speed = 1000000\n");
    relay_run(&r);
    crowd *w = gather(&r);
    sleep_ms(500);
    sample before = look(&r);
    for (int i = 0; i < WORKERS; i++)
        if ((worker[i] = fork()) == 0)
            mingle(w, &r);
    for (uint64_t end = env_mono_ms(env_system()) + seconds * 1000ull; env_mono_ms(env_system()) < end && n < SAMPLES_MAX; sleep_ms(1000))
        at[n++] = look(&r);
    w->stop = true;
    for (int i = 0; i < WORKERS; i++)
        waitpid(worker[i], NULL, 0);
    for (int i = 0; i < 1000 && relay_status(&r, "connections"); i++)
        sleep_ms(20);
    sleep_ms(6000); /* half-open ones meet their deadline */
    sample after = look(&r);
    sample early = highest(at, n / 3, 2 * n / 3), late = highest(at, 2 * n / 3, n);
    printf("%u s: %llu logins, %llu half open, %llu sent, %llu taken, %llu reads dropped, %llu expired\n"
           "memory: at start %llu KiB, middle third %llu, last third %llu, afterwards %llu; descriptors: %llu before, %llu after\n"
           "store: middle third %llu bytes with %llu queued at most, last third %llu with %llu\n",
           seconds, (unsigned long long)w->logins, (unsigned long long)w->half_open, (unsigned long long)w->sent, (unsigned long long)w->taken,
           (unsigned long long)w->dropped, (unsigned long long)relay_status(&r, "expired"), (unsigned long long)before.rss_kib,
           (unsigned long long)early.rss_kib, (unsigned long long)late.rss_kib, (unsigned long long)after.rss_kib,
           (unsigned long long)before.descriptors, (unsigned long long)after.descriptors, (unsigned long long)early.store_bytes,
           (unsigned long long)early.queued_bytes, (unsigned long long)late.store_bytes, (unsigned long long)late.queued_bytes);
    ck_assert_uint_gt(w->sent, 10 * seconds);
    ck_assert_uint_eq(after.descriptors, before.descriptors);
    ck_assert_uint_le(late.rss_kib, early.rss_kib + early.rss_kib / 4 + 16384);
    if (seconds >= 300) { /* long enough for the earliest to have expired and their pages to be used again */
        ck_assert_uint_gt(relay_status(&r, "expired"), 0);
        ck_assert_uint_le(late.store_bytes, early.store_bytes + early.store_bytes / 4);
        ck_assert_uint_le(late.store_bytes, 3 * late.queued_bytes + (160ull << 20)); /* the log may be 64 MiB and more before it begins anew */
    }
    ck_assert_int_eq(relay_end(&r, SIGTERM), 0);
    char out[64];
    ck_assert_int_eq(relay_command(&r, out, sizeof out, "check", NULL), 0);
    relay_remove(&r);
    munmap(w, sizeof *w);
}
END_TEST

SUITE("soak", TEST(S12_a_crowd_leaves_nothing_behind))
