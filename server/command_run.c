/* server/command_run.c: tacetd init, tacetd run. */
#include "server/commands.h"
#include "server/limits.h"
#include "server/relay_dir.h"
#include "server/supervisor.h"
#include <errno.h>
#include <netdb.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* The command line on top of the file. */
static exit_code config_take(relay_config *c, const options *o)
{
    if (o->listen && host_port_parse(&c->listen, o->listen) != TACET_OK) {
        fail("not an address: %s; write ADDR:PORT, an IPv6 address in brackets", o->listen);
        return EXIT_USAGE;
    }
    if (o->public_ && (host_port_parse(&c->public_, o->public_) != TACET_OK || c->public_.port == 0)) {
        fail("not an address: %s; write HOST:PORT", o->public_);
        return EXIT_USAGE;
    }
    if (o->metrics && metrics_parse(&c->metrics, o->metrics) != TACET_OK) {
        fail("not an address: %s; write ADDR:PORT, or a port alone for loopback", o->metrics);
        return EXIT_USAGE;
    }
    if (o->registration && registration_parse(&c->core.directory.registration, o->registration) != TACET_OK) {
        fail("registration is open, invite or closed, not %s", o->registration);
        return EXIT_USAGE;
    }
    if (o->workers > RELAY_WORKERS_MAX) {
        fail("at most %d workers", RELAY_WORKERS_MAX);
        return EXIT_USAGE;
    }
    if (o->workers)
        c->workers = (uint32_t)o->workers;
    return EXIT_DONE;
}

static exit_code config_load(relay_config *c, const options *o)
{
    char path[RELAY_PATH_MAX], what[128];
    int line = 0;
    *c = relay_config_default();
    if (relay_dir_path(path, o->data, "tacetd.ini") != TACET_OK)
        return fail("the path of the directory is too long");
    int rc = relay_config_read(c, path, &line, what, sizeof what);
    if (rc != TACET_OK && rc != TACET_E_NOT_FOUND)
        return fail("%s: line %d is not understood: %s", path, line, what);
    return config_take(c, o);
}

/* True: somebody could listen there. */
static bool port_is_free(const char *host, uint16_t port)
{
    struct addrinfo hints = { .ai_flags = AI_PASSIVE | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM }, *list = NULL;
    char text[8];
    snprintf(text, sizeof text, "%u", (unsigned)port);
    if (getaddrinfo(host, text, &hints, &list) != 0)
        return false;
    int fd = socket(list->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool good = fd >= 0 && bind(fd, list->ai_addr, list->ai_addrlen) == 0;
    if (fd >= 0)
        close(fd);
    freeaddrinfo(list);
    return good;
}

/* "Any free port" becomes a number when the relay is made, so that its address stays the same. Below 32768: from there on the kernel gives ports to
 * clients, and one that knocks while the relay is down could be given the relay's own (and then even speak to itself). */
static bool port_choose(host_port *h)
{
    enum { LOWEST = 10240, HIGHEST = 32767, TRIES = 200 };
    for (int i = 0; h->port == 0 && i < TRIES; i++) {
        uint16_t port = (uint16_t)(LOWEST + randombytes_uniform(HIGHEST - LOWEST + 1));
        if (port_is_free(h->host, port))
            h->port = port;
    }
    return h->port != 0;
}

static void print_address(const relay_config *c, const uint8_t key[32])
{
    const host_port *h = c->public_.set ? &c->public_ : &c->listen;
    relay_address a = { .port = h->port };
    char text[TACET_LINK_MAX_CHARS + 1];
    snprintf(a.host, sizeof a.host, "%s", h->host);
    memcpy(a.key, key, sizeof a.key);
    relay_address_format(text, &a);
    puts(text);
}

static exit_code make(const options *o, relay_config *c)
{
    char why[RELAY_WHY_MAX], path[RELAY_PATH_MAX];
    uint8_t key[32];
    relay_self self;
    relay_store *s = NULL;
    exit_code out = EXIT_FAILED;
    if (relay_key_make(o->data, o->key_file, why) != TACET_OK || relay_key_load(key, o->data, o->key_file, why) != TACET_OK ||
        relay_dir_open_or_make(&s, o->data, key, why) != TACET_OK) {
        sodium_memzero(key, sizeof key);
        return fail("%s", why);
    }
    int rc = relay_self_make(s, &self);
    if (rc == TACET_E_EXISTS) {
        fail("there is a relay in %s already; nothing was changed. Run it with: tacetd run --data %s", o->data, o->data);
    } else if (rc != TACET_OK) {
        fail("the relay's keys could not be stored: %s", tacet_status_word(rc));
    } else if (relay_dir_path(path, o->data, "tacetd.ini") != TACET_OK || relay_config_write(c, path) == TACET_E_IO) {
        fail("%s/tacetd.ini could not be written: %s", o->data, strerror(errno));
    } else {
        print_address(c, self.static_public);
        out = EXIT_DONE;
    }
    sodium_memzero(&self, sizeof self);
    sodium_memzero(key, sizeof key);
    relay_store_close(s);
    return out;
}

exit_code command_init(const options *o)
{
    char why[RELAY_WHY_MAX];
    relay_config c;
    int lock = -1;
    relay_config chosen = relay_config_default();
    exit_code rc = config_take(&chosen, o);
    if (rc != EXIT_DONE)
        return rc;
    if (relay_dir_make(o->data, why) != TACET_OK || relay_dir_lock(o->data, &lock, why) != TACET_OK)
        return fail("%s", why);
    rc = config_load(&c, o); /* a file that was put there before counts as well */
    if (rc == EXIT_DONE && !port_choose(&c.listen))
        rc = fail("no free port at %s", c.listen.host);
    if (rc == EXIT_DONE)
        rc = make(o, &c);
    close(lock);
    return rc;
}

exit_code command_run(const options *o)
{
    char why[RELAY_WHY_MAX];
    relay_config c;
    int lock = -1;
    if (relay_dir_check(o->data, why) != TACET_OK || relay_dir_lock(o->data, &lock, why) != TACET_OK)
        return fail("%s", why);
    exit_code rc = config_load(&c, o);
    return rc == EXIT_DONE ? (exit_code)supervisor_run(o->data, o->key_file, &c, lock) : rc;
}
