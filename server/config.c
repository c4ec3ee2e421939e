/* server/config.c: DIR/tacetd.ini through inih. One row a key; a key that nobody knows is an error, because a misspelt limit is none. */
#include "server/config.h"
#include "server/limits.h"
#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

relay_config relay_config_default(void)
{
    relay_config c = { .slots = RELAY_SLOTS_DEFAULT,
                       .ask_burst = RELAY_ASK_BURST,
                       .ask_every_us = RELAY_ASK_EVERY_US,
                       .open_idle_s = RELAY_OPEN_IDLE_S,
                       .handshakes = { RELAY_HANDSHAKE_BURST, RELAY_HANDSHAKE_EVERY_MS },
                       .core = core_config_default() };
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    c.workers = cores > 2 ? (uint32_t)(cores / 2) : 1;
    if (c.workers > RELAY_WORKERS_MAX)
        c.workers = RELAY_WORKERS_MAX;
    snprintf(c.listen.host, sizeof c.listen.host, "127.0.0.1");
    c.listen.port = 7450;
    return c;
}

static int number_parse(uint64_t *out, const char *text, uint64_t least, uint64_t most)
{
    char *end;
    if (text[0] < '0' || text[0] > '9')
        return TACET_E_MALFORMED;
    errno = 0;
    unsigned long long v = strtoull(text, &end, 10);
    if (errno || *end || v < least || v > most)
        return TACET_E_MALFORMED;
    *out = v;
    return TACET_OK;
}

int host_port_parse(host_port *out, const char *text)
{
    host_port h = { .set = true };
    uint64_t port;
    const char *colon = strrchr(text, ':'), *from = text, *to = colon;
    if (!colon || number_parse(&port, colon + 1, 0, 65535) != TACET_OK)
        return TACET_E_MALFORMED;
    if (*from == '[' && to > from && to[-1] == ']')
        from++, to--;
    else if (memchr(from, ':', (size_t)(to - from)))
        return TACET_E_MALFORMED; /* an IPv6 address needs its brackets */
    size_t n = (size_t)(to - from);
    if (n == 0 || n > TACET_HOST_MAX_CHARS)
        return TACET_E_MALFORMED;
    memcpy(h.host, from, n);
    h.port = (uint16_t)port;
    *out = h;
    return TACET_OK;
}

int metrics_parse(host_port *out, const char *text)
{
    char local[32];
    bool port_alone = text[strspn(text, "0123456789")] == 0;
    if (port_alone && snprintf(local, sizeof local, "127.0.0.1:%s", text) >= (int)sizeof local)
        return TACET_E_MALFORMED;
    return host_port_parse(out, port_alone ? local : text);
}

static const char *const modes[] = { [REGISTRATION_OPEN] = "open", [REGISTRATION_INVITE] = "invite", [REGISTRATION_CLOSED] = "closed" };

int registration_parse(registration_mode *out, const char *text)
{
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
        if (strcmp(text, modes[i]) == 0) {
            *out = (registration_mode)i;
            return TACET_OK;
        }
    return TACET_E_MALFORMED;
}

const char *registration_word(registration_mode mode) { return modes[mode]; }

/* --- keys that hold a number ----------------------------------------------------------------------------------------------------------- */
#define U32(section, name, field, least, most)                                                                                                       \
    {                                                                                                                                                \
        section, name, offsetof(relay_config, field), 4, least, most                                                                                 \
    }
#define U64(section, name, field, least, most)                                                                                                       \
    {                                                                                                                                                \
        section, name, offsetof(relay_config, field), 8, least, most                                                                                 \
    }
/* NOLINTBEGIN(bugprone-macro-parentheses): fields of fields */
#define RATE(name, field) U32("limits", name "_burst", field.burst, 1, 1000000), U32("limits", name "_every_ms", field.every_ms, 0, 86400000)
/* NOLINTEND(bugprone-macro-parentheses) */
static const struct {
    const char *section, *name;
    size_t at;
    unsigned bytes;
    uint64_t least, most;
} numbers[] = {
    U32("relay", "workers", workers, 1, RELAY_WORKERS_MAX),
    U32("relay", "connections_per_worker", slots, 16, RELAY_SLOTS_MAX),
    U32("relay", "connections_per_address", address_connections, 0, RELAY_SLOTS_MAX),
    U32("relay", "ask_burst", ask_burst, 1, 1000000),
    U32("relay", "ask_every_us", ask_every_us, 1, 1000000),
    U32("relay", "open_idle_s", open_idle_s, 1, 86400),
    U32("limits", "mailbox_messages", core.mailbox_messages, 1, 1000000),
    U64("limits", "mailbox_bytes", core.mailbox_bytes, 65536, 1ull << 40),
    U32("limits", "request_queue", core.request_queue, 1, 1024),
    U32("limits", "tokens_per_account", core.directory.tokens_max, 2, 65536),
    U32("limits", "prekeys_of_a_kind", core.directory.prekeys_max, 25, 1000),
    U32("limits", "message_free_mib", core.message_free_mib, 0, 1 << 30),
    U32("limits", "expiry_speed", core.expiry_speed, 1, 1000000000),
    U32("limits", "hold_us", core.hold_max_us, 0, RELAY_HOLD_MAX_US),
    U32("limits", "blob_account_mib", core.blob_account_mib, 1, 1 << 30),
    U32("limits", "blob_account_share", core.blob_account_share, 1, 1000),
    U32("limits", "blob_total_mib", core.blob_total_mib, 1, 1 << 30),
    U32("limits", "blob_free_mib", core.blob_free_mib, 0, 1 << 30),
    RATE("handshake", handshakes),
    RATE("register", core.registers),
    RATE("bundle", core.bundles),
    RATE("device_bundle", core.device_bundles),
    RATE("request", core.requests),
    RATE("change", core.changes),
    RATE("list", core.lists),
};
enum { NUMBERS = sizeof numbers / sizeof *numbers };

static bool number_set(relay_config *c, const char *section, const char *name, const char *value)
{
    for (size_t i = 0; i < NUMBERS; i++) {
        uint64_t v;
        if (strcmp(numbers[i].section, section) != 0 || strcmp(numbers[i].name, name) != 0)
            continue;
        if (number_parse(&v, value, numbers[i].least, numbers[i].most) != TACET_OK)
            return false;
        uint32_t narrow = (uint32_t)v;
        memcpy((char *)c + numbers[i].at, numbers[i].bytes == 4 ? (void *)&narrow : (void *)&v, numbers[i].bytes);
        return true;
    }
    return false;
}

static bool word_set(relay_config *c, const char *name, const char *value)
{
    if (strcmp(name, "listen") == 0)
        return host_port_parse(&c->listen, value) == TACET_OK;
    if (strcmp(name, "public") == 0)
        return host_port_parse(&c->public_, value) == TACET_OK;
    if (strcmp(name, "metrics") == 0)
        return metrics_parse(&c->metrics, value) == TACET_OK;
    if (strcmp(name, "registration") == 0)
        return registration_parse(&c->core.directory.registration, value) == TACET_OK;
    if (strcmp(name, "user") == 0)
        return snprintf(c->user, sizeof c->user, "%s", value) < (int)sizeof c->user;
    if (strcmp(name, "log") == 0) {
        c->debug = strcmp(value, "debug") == 0;
        return c->debug || strcmp(value, "info") == 0;
    }
    return false;
}

typedef struct {
    relay_config c;
    char *what;
    size_t what_bytes;
} reading;

static int each_key(void *ctx, const char *section, const char *name, const char *value)
{
    reading *r = ctx;
    if ((strcmp(section, "relay") == 0 && word_set(&r->c, name, value)) || number_set(&r->c, section, name, value))
        return 1;
    if (!r->what[0])
        snprintf(r->what, r->what_bytes, "[%.20s] %.40s", section, name);
    return 0;
}

int relay_config_read(relay_config *c, const char *path, int *line, char *what, size_t what_bytes)
{
    reading r = { *c, what, what_bytes };
    what[0] = 0;
    int rc = ini_parse(path, each_key, &r);
    if (rc == -1)
        return TACET_E_NOT_FOUND;
    if (rc != 0) {
        *line = rc > 0 ? rc : 0;
        return TACET_E_MALFORMED;
    }
    *c = r.c;
    return TACET_OK;
}

/* --- the first file -------------------------------------------------------------------------------------------------------------------- */
static void print_host(FILE *f, const char *key, const host_port *h)
{
    fprintf(f, strchr(h->host, ':') ? "%s = [%s]:%u\n" : "%s = %s:%u\n", key, h->host, (unsigned)h->port);
}

static void print_numbers(FILE *f, const relay_config *c, const char *section)
{
    for (size_t i = 0; i < NUMBERS; i++) {
        if (strcmp(numbers[i].section, section) != 0)
            continue;
        uint64_t v = 0;
        uint32_t narrow;
        if (numbers[i].bytes == 4) {
            memcpy(&narrow, (const char *)c + numbers[i].at, 4);
            v = narrow;
        } else {
            memcpy(&v, (const char *)c + numbers[i].at, 8);
        }
        fprintf(f, "; %s = %llu\n", numbers[i].name, (unsigned long long)v);
    }
}

int relay_config_write(const relay_config *c, const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
    if (!f) {
        int why = errno;
        if (fd >= 0)
            close(fd);
        errno = why;
        return why == EEXIST ? TACET_E_EXISTS : TACET_E_IO;
    }
    fprintf(f, "; tacetd reads this at start, and again on SIGHUP (registration, log and [limits] then take effect)\n[relay]\n");
    print_host(f, "listen", &c->listen);
    if (c->public_.set)
        print_host(f, "public", &c->public_);
    fprintf(f, "registration = %s\n; log = info\n; user = tacetd\n; metrics = 127.0.0.1:9750\n", registration_word(c->core.directory.registration));
    print_numbers(f, c, "relay");
    fprintf(f, "\n[limits]\n");
    print_numbers(f, c, "limits");
    bool good = fflush(f) == 0 && fsync(fd) == 0;
    return fclose(f) == 0 && good ? TACET_OK : TACET_E_IO;
}
