/* What an operator asks of a running relay: counters, a check, a copy; and where its keys are not. */
#include "base/text.h"
#include "raw_client.h"
#include "server/control.h"
#include "server/relay_dir.h"
#include "suite.h"
#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- metrics -------------------------------------------------------------------------------------------------------------------------------- */
static uint16_t metrics_port(const relay *r)
{
    char path[128], line[512];
    unsigned port = 0;
    snprintf(path, sizeof path, "%s.err", r->dir);
    FILE *f = fopen(path, "r");
    ck_assert_ptr_nonnull(f);
    while (fgets(line, sizeof line, f)) {
        const char *at = strstr(line, "metrics at http://127.0.0.1:");
        if (at)
            port = (unsigned)strtoul(at + strlen("metrics at http://127.0.0.1:"), NULL, 10);
    }
    fclose(f);
    ck_assert_uint_ne(port, 0);
    return (uint16_t)port;
}

/* The whole answer to one request, as text; -1: none came. */
static ssize_t fetch(uint16_t port, const char *request, char *out, size_t room)
{
    size_t used = 0;
    int fd = raw_connect(port);
    ck_assert_int_ge(fd, 0);
    ck_assert(raw_write(fd, request, strlen(request)));
    for (ssize_t n; used + 1 < room && (n = recv(fd, out + used, room - 1 - used, 0)) > 0;)
        used += (size_t)n;
    out[used] = 0;
    close(fd);
    return used ? (ssize_t)used : -1;
}

START_TEST(metrics_are_counters_and_name_nobody)
{
    relay r;
    person bob;
    raw_client b, s;
    static char text[65536];
    char hex[65];
    relay_init(&r, "[relay]\nmetrics = 127.0.0.1:0\n");
    relay_run(&r);
    uint16_t port = metrics_port(&r);
    raw_join(&b, &r, &bob);
    ck_assert(raw_open(&s, r.port, r.key, TACET_ROLE_OPEN, NULL));
    frame f = send_to(&bob, bob.token, "one", 3);
    ck_assert_uint_eq(raw_code(&s, &f), 0);
    int slow = raw_connect(port); /* who says nothing holds up others for a moment only */
    ck_assert_int_ge(fetch(port, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", text, sizeof text), 0);
    close(slow);
    ck_assert_msg(strncmp(text, "HTTP/1.1 200 OK\r\n", 17) == 0, "%s", text);
    static const char *const wanted[] = { "# TYPE tacetd_accepted counter\ntacetd_accepted 1\n", "tacetd_connections 2\n",
                                          "# TYPE tacetd_queued_messages gauge\ntacetd_queued_messages 1\n", "tacetd_mailboxes 1\n" };
    for (size_t i = 0; i < ROWS(wanted); i++)
        ck_assert_msg(strstr(text, wanted[i]) != NULL, "no %s in %s", wanted[i], text);
    hex_encode(hex, bob.list.account.bytes, 32);
    hex[12] = 0;
    ck_assert(!strstr(text, hex) && !strstr(text, "127.0.0"));
    ck_assert_int_ge(fetch(port, "GET / HTTP/1.1\r\n\r\n", text, sizeof text), 0);
    ck_assert(strncmp(text, "HTTP/1.1 404", 12) == 0);
    static char junk[5000];
    memset(junk, 'x', sizeof junk - 1);
    ck_assert_int_eq(fetch(port, junk, text, sizeof text), -1);
    ck_assert_int_ge(fetch(port, "GET /metrics HTTP/1.0\r\n\r\n", text, sizeof text), 0); /* and it is still there */
    raw_close(&b);
    raw_close(&s);
    ck_assert_int_eq(relay_end(&r, SIGTERM), 0);
    relay_remove(&r);
}
END_TEST

/* --- check and backup while it works ----------------------------------------------------------------------------------------------------------- */
static _Noreturn void send_without_end(const relay *r, const person *to)
{
    static uint8_t text[1024];
    static frame answer;
    raw_client c;
    if (!raw_open(&c, r->port, r->key, TACET_ROLE_OPEN, NULL))
        _exit(2);
    for (uint32_t asked = 0, answered = 0;;) {
        frame f = send_to(to, to->token, text, sizeof text);
        for (; asked < answered + 32; asked++, f.id = 0)
            if (!raw_say(&c, &f))
                _exit(3);
        if (!raw_hear(&c, &answer) || answer.kind != FRAME_OK)
            _exit(4);
        answered++;
    }
}

START_TEST(check_and_backup_while_it_works)
{
    relay r;
    person bob;
    raw_client b;
    char out[256], path[128];
    uint64_t before = 0, during = 0;
    relay_init(&r, "[limits]\nmailbox_messages = 1000000\n");
    relay_run(&r);
    raw_join(&b, &r, &bob);
    raw_close(&b);
    pid_t sender = fork();
    if (sender == 0)
        send_without_end(&r, &bob);
    for (int i = 0; i < 500 && relay_status(&r, "committed") < 500; i++)
        usleep(10000);
    snprintf(path, sizeof path, "%s.copy", r.dir);
    for (int i = 0; i < 5; i++) {
        before = relay_status(&r, "committed");
        ck_assert_int_eq(relay_command(&r, out, sizeof out, "check", NULL), 0);
        ck_assert_str_eq(out, "sound\n");
        ck_assert_int_eq(relay_command(&r, out, sizeof out, "backup", path, NULL), 0);
        during += relay_status(&r, "committed") - before;
        if (i < 4)
            unlink(path);
    }
    ck_assert_int_eq(waitpid(sender, NULL, WNOHANG), 0); /* nothing was refused */
    kill(sender, SIGKILL);
    waitpid(sender, NULL, 0);
    printf("%llu messages were committed during 5 checks and 5 copies\n", (unsigned long long)during);
    ck_assert_uint_gt(during, 100);
    ck_assert_int_eq(relay_end(&r, SIGTERM), 0);
    ck_assert_int_eq(relay_command(&r, out, sizeof out, "restore", path, NULL), 0);
    ck_assert_int_eq(relay_command(&r, out, sizeof out, "check", NULL), 0);
    unlink(path);
    relay_remove(&r);
}
END_TEST

/* How many files in its directory begin like that. */
static unsigned files_named(const relay *r, const char *begins)
{
    unsigned n = 0;
    DIR *d = opendir(r->dir);
    ck_assert_ptr_nonnull(d);
    for (const struct dirent *e; (e = readdir(d));)
        n += strncmp(e->d_name, begins, strlen(begins)) == 0;
    closedir(d);
    return n;
}

static void file_make(const relay *r, const char *name)
{
    char path[160];
    snprintf(path, sizeof path, "%s/%s", r->dir, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    ck_assert_int_ge(fd, 0);
    close(fd);
}

/* Left by a relay that was killed; asked for by somebody who is killed while the copy is made. What is only named alike stays. */
START_TEST(no_copy_of_the_store_is_left_behind)
{
    relay r;
    char out[256], path[128];
    relay_init(&r, NULL);
    file_make(&r, "backup-0123abcd.tmp");
    file_make(&r, "backup-0123abce.tmp.new");
    file_make(&r, "backup-0123abce.tmp.new-journal");
    file_make(&r, "backup-today.tmp");
    relay_run(&r);
    ck_assert_uint_eq(files_named(&r, "backup-"), 1);
    snprintf(path, sizeof path, "%s.copy", r.dir);
    ck_assert_int_eq(kill(relay_child(&r, 0), SIGSTOP), 0);
    pid_t asks = fork();
    if (asks == 0)
        _exit(control_ask(r.dir, "backup", out, sizeof out));
    usleep(200000); /* its question lies in the socket by then */
    kill(asks, SIGKILL);
    waitpid(asks, NULL, 0);
    ck_assert_int_eq(kill(relay_child(&r, 0), SIGCONT), 0);
    for (int i = 0; i < 500 && relay_command(&r, out, sizeof out, "backup", path, NULL) != 0; i++)
        usleep(10000); /* until the first one is through */
    unlink(path);
    ck_assert_uint_eq(files_named(&r, "backup-"), 1);
    ck_assert_int_eq(relay_end(&r, SIGTERM), 0);
    relay_remove(&r);
}
END_TEST

/* --- keys ---------------------------------------------------------------------------------------------------------------------------------------- */
/* Whether anything lies there at all: of a sanitizer's reservations hardly a page is used, and to read the others takes minutes. */
static bool is_used(int pagemap, unsigned long long at, size_t n)
{
    static const uint64_t PRESENT_OR_SWAPPED = 3ull << 62;
    static uint64_t page[(1 << 20) / 4096 + 2];
    unsigned long long first = at / 4096, count = (at + n - 1) / 4096 - first + 1;
    ssize_t got = pread(pagemap, page, count * sizeof *page, (off_t)(first * sizeof *page));
    if (got != (ssize_t)(count * sizeof *page))
        return true;
    for (unsigned long long i = 0; i < count; i++)
        if (page[i] & PRESENT_OR_SWAPPED)
            return true;
    return false;
}

/* How often the 32 bytes lie in the process's memory; -1: it cannot be read. */
static int in_memory(pid_t pid, const uint8_t secret[32])
{
    static const unsigned long long SHADOW_BYTES = 1ull << 34; /* so large is nothing but a sanitizer's shadow */
    char path[64], line[512];
    static uint8_t buf[1 << 20];
    int found = 0;
    snprintf(path, sizeof path, "/proc/%d/maps", (int)pid);
    FILE *maps = fopen(path, "r");
    snprintf(path, sizeof path, "/proc/%d/mem", (int)pid);
    int mem = open(path, O_RDONLY);
    snprintf(path, sizeof path, "/proc/%d/pagemap", (int)pid);
    int pagemap = open(path, O_RDONLY);
    if (!maps || mem < 0) {
        if (maps)
            fclose(maps);
        close(pagemap);
        return -1;
    }
    while (fgets(line, sizeof line, maps)) {
        unsigned long long from, to;
        if (sscanf(line, "%llx-%llx r", &from, &to) != 2 || strstr(line, "[vvar") || strstr(line, "[vsyscall") || to - from > SHADOW_BYTES)
            continue;
        for (unsigned long long at = from; at < to; at += sizeof buf - 32) { /* the ends overlap */
            size_t want = to - at < sizeof buf ? to - at : sizeof buf;
            ssize_t n = is_used(pagemap, at, want) ? pread(mem, buf, want, (off_t)at) : 0;
            for (uint8_t *hit = buf; n >= 32 && (hit = memmem(hit, (size_t)(buf + n - hit), secret, 32)); hit++)
                found++;
        }
    }
    fclose(maps);
    close(pagemap);
    close(mem);
    return found;
}

START_TEST(P14_only_store_has_the_keys)
{
    relay r;
    person bob;
    raw_client b;
    char why[RELAY_WHY_MAX];
    uint8_t key[32];
    relay_self self;
    relay_store *s = NULL;
    relay_init(&r, "[relay]\nmetrics = 127.0.0.1:0\n");
    ck_assert_int_eq(relay_key_load(key, r.dir, NULL, why), TACET_OK);
    ck_assert_int_eq(relay_dir_open(&s, r.dir, key, why), TACET_OK);
    ck_assert_int_eq(relay_self_load(s, &self), TACET_OK);
    relay_store_close(s);
    relay_run(&r);
    raw_join(&b, &r, &bob);
    pid_t store = relay_child(&r, 0);
    int there = in_memory(store, key);
    if (there >= 0) {               /* root: else the processes do not let themselves be read, which P07 tests */
        ck_assert_int_gt(there, 0); /* so this can fail */
        ck_assert_int_gt(in_memory(store, self.static_secret), 0);
        unsigned others = 0;
        for (pid_t pid; (pid = relay_child(&r, 1 + others)); others++) {
            ck_assert_int_eq(in_memory(pid, key), 0);
            ck_assert_int_eq(in_memory(pid, self.static_secret), 0);
        }
        ck_assert_uint_eq(others, 2); /* net and metrics */
        ck_assert_int_eq(in_memory(r.pid, key), 0);
        ck_assert_int_eq(in_memory(r.pid, self.static_secret), 0);
    }
    raw_close(&b);
    ck_assert_int_eq(relay_end(&r, SIGTERM), 0);
    relay_remove(&r);
}
END_TEST

SUITE("admin", TEST(metrics_are_counters_and_name_nobody), TEST(check_and_backup_while_it_works), TEST(no_copy_of_the_store_is_left_behind),
      TEST(P14_only_store_has_the_keys))
