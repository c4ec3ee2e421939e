#include "engine/socks.h"
#include "base/reader.h"
#include "base/text.h"
#include "base/writer.h"
#include <arpa/inet.h>
#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    VERSION = 5,
    LOGIN_VERSION = 1,
    METHOD_NONE = 0,
    METHOD_LOGIN = 2,
    COMMAND_CONNECT = 1,
    ADDRESS_IPV4 = 1,
    ADDRESS_NAME = 3,
    ADDRESS_IPV6 = 4,
    DEFAULT_PORT = 1080,
};

/* --- what a person says --------------------------------------------------------------------------------------------------------------- */
static bool word_take(char out[SOCKS_WORD_MAX_CHARS + 1], const char *from, size_t n)
{
    if (n == 0 || n > SOCKS_WORD_MAX_CHARS)
        return false;
    memcpy(out, from, n);
    out[n] = '\0';
    return true;
}

static bool port_take(uint16_t *out, const char *text)
{
    uint32_t port = 0;
    for (size_t i = 0; text[i]; i++) {
        if (text[i] < '0' || text[i] > '9' || i == 5)
            return false;
        port = port * 10 + (uint32_t)(text[i] - '0');
    }
    *out = (uint16_t)port;
    return port >= 1 && port <= 65535;
}

/* HOST[:PORT], checked as a relay's address would be. */
static bool place_take(socks_proxy *p, const char *text)
{
    const char *end = text[0] == '[' ? strchr(text, ']') : text + strcspn(text, ":");
    size_t skip = text[0] == '[' ? 1 : 0, n = end ? (size_t)(end - text) - skip : 0;
    if (!end || n == 0 || n > TACET_HOST_MAX_CHARS)
        return false;
    memcpy(p->host, text + skip, n);
    p->host[n] = '\0';
    end += skip;
    p->port = DEFAULT_PORT;
    if (*end == ':' ? !port_take(&p->port, end + 1) : *end != '\0')
        return false;
    struct in6_addr six;
    if (skip)
        return inet_pton(AF_INET6, p->host, &six) == 1;
    return p->host[strspn(p->host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_")] == '\0';
}

int socks_proxy_parse(socks_proxy *out, const char *text)
{
    static const char *const scheme[] = { "socks5h://", "socks5://" };
    socks_proxy p = { .port = DEFAULT_PORT };
    for (size_t i = 0; i < sizeof scheme / sizeof *scheme; i++)
        if (strncmp(text, scheme[i], strlen(scheme[i])) == 0) {
            text += strlen(scheme[i]);
            break;
        }
    const char *at = strrchr(text, '@'), *colon = at ? memchr(text, ':', (size_t)(at - text)) : NULL;
    bool good = !at || (colon && word_take(p.user, text, (size_t)(colon - text)) && word_take(p.password, colon + 1, (size_t)(at - colon - 1)));
    text = at ? at + 1 : text;
    size_t n = strlen(text);
    char place[TACET_HOST_MAX_CHARS + 16];
    if (n && text[n - 1] == '/') /* as in http://host:port/ */
        n--;
    good = good && n < sizeof place;
    if (good) {
        memcpy(place, text, n);
        place[n] = '\0';
        good = place_take(&p, place);
    }
    if (good)
        *out = p;
    sodium_memzero(&p, sizeof p);
    return good ? TACET_OK : TACET_E_MALFORMED;
}

/* --- what we say --------------------------------------------------------------------------------------------------------------------- */
static void say_greeting(socks *s, writer *w)
{
    (void)s;
    static const uint8_t greeting[] = { VERSION, 2, METHOD_NONE, METHOD_LOGIN };
    write_bytes(w, greeting, sizeof greeting);
}

static void say_login(socks *s, writer *w)
{
    write_be(w, LOGIN_VERSION, 1);
    write_be(w, strlen(s->proxy.user), 1);
    write_bytes(w, s->proxy.user, strlen(s->proxy.user));
    write_be(w, strlen(s->proxy.password), 1);
    write_bytes(w, s->proxy.password, strlen(s->proxy.password));
}

static void say_request(socks *s, writer *w)
{
    struct in_addr four;
    struct in6_addr six;
    static const uint8_t connect_to[] = { VERSION, COMMAND_CONNECT, 0 };
    write_bytes(w, connect_to, sizeof connect_to);
    if (inet_pton(AF_INET, s->host, &four) == 1) {
        write_be(w, ADDRESS_IPV4, 1);
        write_bytes(w, &four, sizeof four);
    } else if (inet_pton(AF_INET6, s->host, &six) == 1) {
        write_be(w, ADDRESS_IPV6, 1);
        write_bytes(w, &six, sizeof six);
    } else {
        write_be(w, ADDRESS_NAME, 1);
        write_be(w, strlen(s->host), 1);
        write_bytes(w, s->host, strlen(s->host));
    }
    write_be(w, s->port, 2);
}

/* The one function that changes the state: on the way in something is said. */
static void enter(socks *s, socks_state state, socks_why why)
{
    static void (*const say[SOCKS_STATES])(socks *,
                                           writer *) = { [SOCKS_GREETING] = say_greeting, [SOCKS_LOGIN] = say_login, [SOCKS_REQUEST] = say_request };
    s->state = state;
    s->why = why;
    s->in_bytes = s->out_bytes = s->sent = 0;
    if (!say[state])
        return;
    writer w = writer_over(s->out, sizeof s->out);
    say[state](s, &w);
    assert(writer_ok(&w)); /* every part of it has a limit */
    s->out_bytes = writer_bytes(&w);
}

void socks_begin(socks *s, const tacet_env *env, const socks_proxy *proxy, const char *host, uint16_t port)
{
    uint8_t draw[16];
    *s = (socks){ .proxy = *proxy, .port = port };
    assert(strlen(host) < sizeof s->host);
    memcpy(s->host, host, strlen(host) + 1);
    if (!s->proxy.user[0]) {
        env_random(env, draw, sizeof draw);
        hex_encode(s->proxy.user, draw, sizeof draw / 2);
        hex_encode(s->proxy.password, draw + sizeof draw / 2, sizeof draw / 2);
    }
    enter(s, SOCKS_GREETING, SOCKS_WHY_NONE);
}

size_t socks_output(const socks *s, const uint8_t **at)
{
    *at = s->out + s->sent;
    return s->out_bytes - s->sent;
}

void socks_sent(socks *s, size_t n)
{
    assert(n <= s->out_bytes - s->sent);
    s->sent += n;
}

/* --- who is reached without it ---------------------------------------------------------------------------------------------------------- */
static bool name_covers(const char *name, size_t n, const char *host, bool address)
{
    size_t all = strlen(host);
    if (n > 0 && name[0] == '.') {
        name++;
        n--;
    } else if (n > 2 && name[0] == '[' && name[n - 1] == ']') {
        name++;
        n -= 2;
    }
    if (n == 0 || n > all || strncasecmp(host + all - n, name, n) != 0)
        return false;
    return n == all || (!address && host[all - n - 1] == '.');
}

bool socks_host_excepted(const char *list, const char *host)
{
    bool address = strchr(host, ':') || host[strspn(host, "0123456789.")] == '\0';
    if (strcmp(list, "*") == 0)
        return true;
    for (const char *at = list; *at;) {
        size_t n = strcspn(at, ", ");
        if (name_covers(at, n, host, address))
            return true;
        at += n + (at[n] != '\0');
    }
    return false;
}

/* --- what the proxy says -------------------------------------------------------------------------------------------------------------- */
/* How long the answer is, as far as can be seen from what there is of it. */
static size_t answer_bytes(const socks *s)
{
    reader r = reader_over(s->in, s->in_bytes);
    if (s->state != SOCKS_REQUEST)
        return 2;
    (void)read_view(&r, 3);
    uint64_t address = read_be(&r, 1), name = read_be(&r, 1);
    if (s->in_bytes < 5)
        return 5; /* the shortest answer has ten */
    return 4 + (address == ADDRESS_IPV4 ? 4 : address == ADDRESS_IPV6 ? 16 : 1 + (size_t)name) + 2;
}

static void take_greeting(socks *s, reader *r)
{
    static const socks_state next[] = { [METHOD_NONE] = SOCKS_REQUEST, [METHOD_LOGIN] = SOCKS_LOGIN };
    uint64_t version = read_be(r, 1), method = read_be(r, 1);
    if (version != VERSION || (method != METHOD_NONE && method != METHOD_LOGIN && method != 0xff))
        enter(s, SOCKS_FAILED, SOCKS_WHY_BROKEN);
    else if (method == 0xff)
        enter(s, SOCKS_FAILED, SOCKS_WHY_LOGIN);
    else
        enter(s, next[method], SOCKS_WHY_NONE);
}

static void take_login(socks *s, reader *r)
{
    uint64_t version = read_be(r, 1), status = read_be(r, 1);
    if (version != LOGIN_VERSION)
        enter(s, SOCKS_FAILED, SOCKS_WHY_BROKEN);
    else if (status != 0)
        enter(s, SOCKS_FAILED, SOCKS_WHY_LOGIN);
    else
        enter(s, SOCKS_REQUEST, SOCKS_WHY_NONE);
}

static void take_request(socks *s, reader *r)
{
    static const socks_why why[] = {
        SOCKS_WHY_NONE,
        SOCKS_WHY_REFUSED /* general failure */,
        SOCKS_WHY_REFUSED /* not allowed */,
        SOCKS_WHY_UNREACHABLE /* network */,
        SOCKS_WHY_UNREACHABLE,
        SOCKS_WHY_UNREACHABLE /* refused */,
        SOCKS_WHY_UNREACHABLE /* TTL */,
        SOCKS_WHY_REFUSED /* command */,
        SOCKS_WHY_REFUSED /* address type */,
    };
    uint64_t version = read_be(r, 1), status = read_be(r, 1), reserved = read_be(r, 1), address = read_be(r, 1);
    if (version == VERSION && status != 0)
        enter(s, SOCKS_FAILED, status < sizeof why / sizeof *why ? why[status] : SOCKS_WHY_REFUSED);
    else if (version != VERSION || reserved != 0 || (address != ADDRESS_IPV4 && address != ADDRESS_NAME && address != ADDRESS_IPV6))
        enter(s, SOCKS_FAILED, SOCKS_WHY_BROKEN);
    else
        enter(s, SOCKS_OPEN, SOCKS_WHY_NONE);
}

size_t socks_wants(const socks *s)
{
    if (s->state >= SOCKS_OPEN || s->sent < s->out_bytes)
        return 0;
    return answer_bytes(s) - s->in_bytes;
}

void socks_receive(socks *s, const uint8_t *bytes, size_t n)
{
    static void (*const take[SOCKS_STATES])(
        socks *, reader *) = { [SOCKS_GREETING] = take_greeting, [SOCKS_LOGIN] = take_login, [SOCKS_REQUEST] = take_request };
    assert(n <= socks_wants(s));
    memcpy(s->in + s->in_bytes, bytes, n);
    s->in_bytes += n;
    bool no = s->state == SOCKS_REQUEST && s->in_bytes >= 2 && (s->in[0] != VERSION || s->in[1] != 0); /* its rest says nothing more */
    if (!no && s->in_bytes < answer_bytes(s))
        return;
    reader r = reader_over(s->in, s->in_bytes);
    take[s->state](s, &r);
}
