/* server/config.h: what stands in DIR/tacetd.ini, with the command line on top of it. */
#ifndef SERVER_CONFIG_H
#define SERVER_CONFIG_H
#include "identity/link.h"
#include "server/core.h"

typedef struct {
    char host[TACET_HOST_MAX_CHARS + 1]; /* without brackets */
    uint16_t port;
    bool set;
} host_port;

typedef struct {
    host_port listen, public_; /* public_: what the printed address says, when it is not `listen` */
    host_port metrics;         /* where counters are served, if anywhere */
    uint32_t workers, slots;
    uint32_t address_connections; /* of one address and worker; 0: a share of slots */
    uint32_t ask_burst, ask_every_us, open_idle_s;
    char user[33]; /* whom a net process becomes when started as root; empty: "tacetd" if there is one, else "nobody" */
    bool debug;
    limiter_rate handshakes;
    core_config core;
} relay_config;

relay_config relay_config_default(void);
/* Reads `path` over *c. TACET_E_NOT_FOUND: there is none. TACET_E_MALFORMED: *line says where (0: a value out of bounds is named in `what`). */
TACET_MUST_USE int relay_config_read(relay_config *c, const char *path, int *line, char *what, size_t what_bytes);
/* "HOST:PORT", "[v6]:PORT". TACET_E_MALFORMED */
TACET_MUST_USE int host_port_parse(host_port *out, const char *text);
/* The same, or a port alone: then on loopback. */
TACET_MUST_USE int metrics_parse(host_port *out, const char *text);
TACET_MUST_USE int registration_parse(registration_mode *out, const char *text);
const char *registration_word(registration_mode mode);
/* The file that `tacetd init` writes: what was chosen, and every other key with its default as a comment. TACET_E_IO, TACET_E_EXISTS */
TACET_MUST_USE int relay_config_write(const relay_config *c, const char *path);
#endif
