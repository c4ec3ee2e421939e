/* A way through a SOCKS5 proxy: what is said, in the order of RFC 1928 and 1929, whatever pieces the answers come in; every answer that is cut short
 * waits, every one that cannot be ends it; and never a byte of the relay's is taken. */
#include "engine/socks.h"
#include "suite.h"
#include <string.h>

static const socks_proxy with_login = { .host = "127.0.0.1", .port = 9050, .user = "me", .password = "secret" };
static const socks_proxy plain = { .host = "127.0.0.1", .port = 9050 };

static void said(socks *s, const char *bytes, size_t n)
{
    const uint8_t *at = NULL;
    ck_assert_uint_eq(socks_output(s, &at), n);
    ck_assert_mem_eq(at, bytes, n);
    ck_assert_uint_eq(socks_wants(s), 0); /* first everything is said */
    socks_sent(s, n);
}

/* In pieces of `step` bytes, never more than is wanted. The bytes that were taken. */
static size_t hear(socks *s, const char *bytes, size_t n, size_t step)
{
    size_t taken = 0;
    while (taken < n) {
        size_t wants = socks_wants(s), piece = n - taken < step ? n - taken : step;
        if (wants == 0)
            break;
        piece = piece < wants ? piece : wants;
        socks_receive(s, (const uint8_t *)bytes + taken, piece);
        taken += piece;
    }
    return taken;
}

/* What the proxy answers to the request, and what comes of it. */
#define OK4 "\5\0\0\1\177\0\0\1\43\132"
#define OK6                                                                                                                                          \
    "\5\0\0\4"                                                                                                                                       \
    "0123456789abcdef"                                                                                                                               \
    "\1\2"
#define OKN "\5\0\0\3\6relay.\1\2"
static const struct {
    const char *what, *bytes;
    size_t n;
    socks_state state;
    socks_why why;
} row[] = {
    { "IPv4", OK4, 10, SOCKS_OPEN, SOCKS_WHY_NONE },
    { "IPv6", OK6, 22, SOCKS_OPEN, SOCKS_WHY_NONE },
    { "a name", OKN, 13, SOCKS_OPEN, SOCKS_WHY_NONE },
    { "an empty name", "\5\0\0\3\0\1\2", 7, SOCKS_OPEN, SOCKS_WHY_NONE },
    { "general failure", "\5\1\0\1\0\0\0\0\0\0", 10, SOCKS_FAILED, SOCKS_WHY_REFUSED },
    { "not allowed", "\5\2\0\1\0\0\0\0\0\0", 10, SOCKS_FAILED, SOCKS_WHY_REFUSED },
    { "no way to the network", "\5\3\0\1\0\0\0\0\0\0", 10, SOCKS_FAILED, SOCKS_WHY_UNREACHABLE },
    { "no way to the host", "\5\4\0\1\0\0\0\0\0\0", 10, SOCKS_FAILED, SOCKS_WHY_UNREACHABLE },
    { "the host refused", "\5\5\0\1\0\0\0\0\0\0", 10, SOCKS_FAILED, SOCKS_WHY_UNREACHABLE },
    { "a code that nobody knows", "\5\377\0\1\0\0\0\0\0\0", 10, SOCKS_FAILED, SOCKS_WHY_REFUSED },
    { "SOCKS4", "\0\132\0\0\0\0\0\0\0\0", 10, SOCKS_FAILED, SOCKS_WHY_BROKEN },
    { "HTTP", "HTTP/1.1 400", 12, SOCKS_FAILED, SOCKS_WHY_BROKEN },
    { "the reserved byte", "\5\0\1\1\0\0\0\0\0\0", 10, SOCKS_FAILED, SOCKS_WHY_BROKEN },
    { "no kind of address", "\5\0\0\2\0\0\0\0\0\0", 10, SOCKS_FAILED, SOCKS_WHY_BROKEN },
};

static void ready_for_answer(socks *s)
{
    socks_begin(s, env_system(), &with_login, "relay.example", 7450);
    said(s, "\5\2\0\2", 4);
    ck_assert_uint_eq(hear(s, "\5\2", 2, 1), 2);
    said(s, "\1\2me\6secret", 11);
    ck_assert_uint_eq(hear(s, "\1\0", 2, 2), 2);
    said(s, "\5\1\0\3\15relay.example\35\32", 20);
}

START_TEST(the_answer_to_the_request)
{
    for (size_t step = 1; step <= 32; step++) {
        socks s;
        ready_for_answer(&s);
        hear(&s, row[_i].bytes, row[_i].n, step);
        ck_assert_msg(s.state == row[_i].state && s.why == row[_i].why, "%s in pieces of %zu: %d %d", row[_i].what, step, (int)s.state, (int)s.why);
        ck_assert_uint_eq(socks_wants(&s), 0); /* what comes now is not ours */
    }
}
END_TEST

START_TEST(an_answer_cut_short_waits)
{
    if (row[_i].state != SOCKS_OPEN)
        return;
    for (size_t n = 0; n < row[_i].n; n++) {
        socks s;
        ready_for_answer(&s);
        ck_assert_uint_eq(hear(&s, row[_i].bytes, n, 3), n);
        ck_assert_int_eq(s.state, SOCKS_REQUEST);
        size_t wants = socks_wants(&s);
        ck_assert_msg(wants > 0 && wants <= row[_i].n - n, "%s after %zu: wants %zu", row[_i].what, n, wants);
    }
}
END_TEST

static const struct {
    const char *what, *choice;
    socks_state state;
    socks_why why;
} greeting[] = {
    { "no login", "\5\0", SOCKS_REQUEST, SOCKS_WHY_NONE },         { "login", "\5\2", SOCKS_LOGIN, SOCKS_WHY_NONE },
    { "none of these", "\5\377", SOCKS_FAILED, SOCKS_WHY_LOGIN },  { "GSSAPI, not offered", "\5\1", SOCKS_FAILED, SOCKS_WHY_BROKEN },
    { "another version", "\4\0", SOCKS_FAILED, SOCKS_WHY_BROKEN },
};
START_TEST(the_answer_to_the_greeting)
{
    for (size_t step = 1; step <= 2; step++) {
        socks s;
        socks_begin(&s, env_system(), &plain, "10.0.0.1", 1);
        said(&s, "\5\2\0\2", 4);
        ck_assert_uint_eq(hear(&s, greeting[_i].choice, 2, step), 2);
        ck_assert_msg(s.state == greeting[_i].state && s.why == greeting[_i].why, "%s", greeting[_i].what);
    }
}
END_TEST

START_TEST(a_login_that_is_refused)
{
    static const struct {
        const char *bytes;
        socks_why why;
    } answer[] = { { "\1\1", SOCKS_WHY_LOGIN }, { "\5\0", SOCKS_WHY_BROKEN } };
    for (size_t i = 0; i < ROWS(answer); i++) {
        socks s;
        socks_begin(&s, env_system(), &with_login, "relay.example", 7450);
        said(&s, "\5\2\0\2", 4);
        hear(&s, "\5\2", 2, 2);
        said(&s, "\1\2me\6secret", 11);
        hear(&s, answer[i].bytes, 2, 1);
        ck_assert_int_eq(s.state, SOCKS_FAILED);
        ck_assert_int_eq(s.why, answer[i].why);
    }
}
END_TEST

/* Without a login of the user's each connection has one of its own: Tor gives each a circuit of its own. */
START_TEST(each_connection_is_somebody_else)
{
    socks one, two;
    socks_begin(&one, env_system(), &plain, "relay.example", 7450);
    socks_begin(&two, env_system(), &plain, "relay.example", 7450);
    ck_assert_uint_eq(strlen(one.proxy.user), 16);
    ck_assert_str_ne(one.proxy.user, two.proxy.user);
    ck_assert_str_ne(one.proxy.user, one.proxy.password);
}
END_TEST

START_TEST(addresses_in_digits_go_as_such)
{
    socks s;
    socks_begin(&s, env_system(), &plain, "10.0.0.1", 7450);
    said(&s, "\5\2\0\2", 4);
    hear(&s, "\5\0", 2, 2);
    said(&s, "\5\1\0\1\12\0\0\1\35\32", 10);
    socks_begin(&s, env_system(), &plain, "::1", 7450);
    said(&s, "\5\2\0\2", 4);
    hear(&s, "\5\0", 2, 2);
    said(&s, "\5\1\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\35\32", 22);
}
END_TEST

static const struct {
    const char *text;
    int status;
    const char *host;
    unsigned port;
    const char *user, *password;
} place[] = {
    { "127.0.0.1:9050", TACET_OK, "127.0.0.1", 9050, "", "" },
    { "localhost", TACET_OK, "localhost", 1080, "", "" },
    { "socks5h://proxy.example:1", TACET_OK, "proxy.example", 1, "", "" },
    { "socks5://proxy.example:65535/", TACET_OK, "proxy.example", 65535, "", "" },
    { "socks5h://me:p@ss:w@[::1]:9050", TACET_OK, "::1", 9050, "me", "p@ss:w" },
    { "[::1]", TACET_OK, "::1", 1080, "", "" },
    { "", TACET_E_MALFORMED, "", 0, "", "" },
    { ":9050", TACET_E_MALFORMED, "", 0, "", "" },
    { "host:", TACET_E_MALFORMED, "", 0, "", "" },
    { "host:0", TACET_E_MALFORMED, "", 0, "", "" },
    { "host:65536", TACET_E_MALFORMED, "", 0, "", "" },
    { "host:90x", TACET_E_MALFORMED, "", 0, "", "" },
    { "host:000009050", TACET_E_MALFORMED, "", 0, "", "" },
    { "ho st:1", TACET_E_MALFORMED, "", 0, "", "" },
    { "[::1", TACET_E_MALFORMED, "", 0, "", "" },
    { "[nowhere]:1", TACET_E_MALFORMED, "", 0, "", "" },
    { "http://proxy.example:3128", TACET_E_MALFORMED, "", 0, "", "" },
    { "socks4://proxy.example:1080", TACET_E_MALFORMED, "", 0, "", "" },
    { "socks5h://me@proxy:1", TACET_E_MALFORMED, "", 0, "", "" },
    { "socks5h://:p@proxy:1", TACET_E_MALFORMED, "", 0, "", "" },
};
START_TEST(what_a_person_says)
{
    socks_proxy p;
    memset(&p, 0xa5, sizeof p);
    ck_assert_msg(socks_proxy_parse(&p, place[_i].text) == place[_i].status, "%s", place[_i].text);
    if (place[_i].status != TACET_OK)
        return;
    ck_assert_str_eq(p.host, place[_i].host);
    ck_assert_uint_eq(p.port, place[_i].port);
    ck_assert_str_eq(p.user, place[_i].user);
    ck_assert_str_eq(p.password, place[_i].password);
}
END_TEST

static const struct {
    const char *list, *host;
    bool excepted;
} exception[] = {
    { "", "relay.example", false },
    { "*", "relay.example", true },
    { "*,x", "relay.example", false },
    { "relay.example", "relay.example", true },
    { "RELAY.example", "relay.EXAMPLE", true },
    { "example", "relay.example", true },
    { ".example", "relay.example", true },
    { ".example", "example", true },
    { "ay.example", "relay.example", false },
    { "relay.example.org", "relay.example", false },
    { "a, b,,example ", "relay.example", true },
    { "a b example", "relay.example", true },
    { ",", "relay.example", false },
    { ".", "relay.example", false },
    { "127.0.0.1", "127.0.0.1", true },
    { "0.0.1", "127.0.0.1", false },
    { "[::1]", "::1", true },
    { "::1", "::1", true },
    { "1", "::1", false },
};
START_TEST(hosts_that_need_no_proxy)
{
    ck_assert_msg(socks_host_excepted(exception[_i].list, exception[_i].host) == exception[_i].excepted, "%s: %s", exception[_i].list,
                  exception[_i].host);
}
END_TEST

SUITE("socks", LOOP(hosts_that_need_no_proxy, ROWS(exception)), LOOP(the_answer_to_the_request, ROWS(row)),
      LOOP(an_answer_cut_short_waits, ROWS(row)), LOOP(the_answer_to_the_greeting, ROWS(greeting)), TEST(a_login_that_is_refused),
      TEST(each_connection_is_somebody_else), TEST(addresses_in_digits_go_as_such), LOOP(what_a_person_says, ROWS(place)))
