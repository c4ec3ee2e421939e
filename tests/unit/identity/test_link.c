/* Addresses and links: what people paste, and what strangers make of it. %K stands for a good key, %A for an account, %T for a token. */
#include "base/text.h"
#include "fixture.h"
#include "identity/link.h"

static uint8_t relay_key[32], account[32], token[32];

/* Replaces %K, %A and %T by base32. */
static const char *filled(const char *pattern)
{
    static char text[2048];
    char *at = text;
    for (const char *p = pattern; *p; p++) {
        if (p[0] == '%') {
            person who;
            person_init(&who, 1);
            memcpy(relay_key, who.relay.public, 32);
            memset(account, 0xab, 32);
            memset(token, 0x5c, 32);
            p++;
            base32_encode(at, *p == 'K' ? relay_key : *p == 'A' ? account : token, 32);
            at += 52;
        } else {
            *at++ = *p;
        }
    }
    *at = '\0';
    return text;
}

#define LABEL_63 "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz01234567890"
#define HOST_253                                                                                                                                     \
    LABEL_63 "." LABEL_63 "." LABEL_63 "."                                                                                                           \
             "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz012345678"

static const struct {
    const char *pattern, *host;
    unsigned port;
} good_address[] = {
    { "tacet://relay.example:7450/%K", "relay.example", 7450 }, { "tacet://localhost:1/%K", "localhost", 1 },
    { "tacet://127.0.0.1:65535/%K", "127.0.0.1", 65535 },       { "tacet://[::1]:7450/%K", "::1", 7450 },
    { "tacet://[2001:db8::1]:7450/%K", "2001:db8::1", 7450 },   { "tacet://[::ffff:192.0.2.1]:7450/%K", "::ffff:192.0.2.1", 7450 },
    { "tacet://my_relay-2.LAN:80/%K", "my_relay-2.LAN", 80 },   { "tacet://1relay.example:80/%K", "1relay.example", 80 },
    { "tacet://" HOST_253 ":65535/%K", HOST_253, 65535 },
};
START_TEST(good_addresses)
{
    relay_address a;
    char back[TACET_LINK_MAX_CHARS + 1];
    const char *text = filled(good_address[_i].pattern);
    ck_assert_int_eq(relay_address_parse(&a, text), TACET_OK);
    ck_assert_str_eq(a.host, good_address[_i].host);
    ck_assert_uint_eq(a.port, good_address[_i].port);
    ck_assert_mem_eq(a.key, relay_key, 32);
    relay_address_format(back, &a);
    ck_assert_str_eq(back, text);
    ck_assert_uint_le(strlen(back), TACET_RELAY_ADDRESS_MAX_BYTES);
}
END_TEST

START_TEST(good_links)
{
    contact_link l;
    char back[TACET_LINK_MAX_CHARS + 1], pattern[1024];
    snprintf(pattern, sizeof pattern, "tacet://abcdefghijklmnopqrstuvwxyz012345@%s#%%A.%%T", good_address[_i].pattern + 8);
    const char *text = filled(pattern);
    ck_assert_int_eq(contact_link_parse(&l, text), TACET_OK);
    ck_assert_str_eq(l.name, "abcdefghijklmnopqrstuvwxyz012345");
    ck_assert_str_eq(l.relay.host, good_address[_i].host);
    ck_assert_uint_eq(l.relay.port, good_address[_i].port);
    ck_assert_mem_eq(l.relay.key, relay_key, 32);
    ck_assert_mem_eq(l.account.bytes, account, 32);
    ck_assert_mem_eq(l.request_token, token, 32);
    contact_link_format(back, &l);
    ck_assert_str_eq(back, text);
}
END_TEST

static const char *const bad_address[] = {
    "",
    "tacet",
    "tacet://",
    "tacet:///%K",
    "http://relay.example:7450/%K",
    "TACET://relay.example:7450/%K",
    "tacet:/relay.example:7450/%K",
    /* hosts */
    "tacet://:7450/%K",
    "tacet://a..b:7450/%K",
    "tacet://.a:7450/%K",
    "tacet://a.:7450/%K",
    "tacet://-a:7450/%K",
    "tacet://a-:7450/%K",
    "tacet://a b:7450/%K",
    "tacet://a\n:7450/%K",
    "tacet://\xc3\xa9:7450/%K",
    "tacet://a%K.x\x1b:1/%K",
    "tacet://" LABEL_63 "a:7450/%K",
    "tacet://" HOST_253 "a:7450/%K",
    "tacet://256.0.0.1:7450/%K",
    "tacet://1.2.3:7450/%K",
    "tacet://1.2.3.4.5:7450/%K",
    "tacet://1:7450/%K",
    "tacet://127.1:7450/%K",
    "tacet://0x7f.1:7450/%K",
    "tacet://127.0.0.01:7450/%K",
    "tacet://[]:7450/%K",
    "tacet://[::1:7450/%K",
    "tacet://::1:7450/%K",
    "tacet://[::1]]:7450/%K",
    "tacet://[127.0.0.1]:7450/%K",
    "tacet://[fe80::1%eth0]:7450/%K",
    "tacet://[:::1]:7450/%K",
    "tacet://[::1]x:7450/%K",
    "tacet://bob@relay.example:7450/%K",
    /* ports */
    "tacet://relay.example/%K",
    "tacet://relay.example:/%K",
    "tacet://relay.example:0/%K",
    "tacet://relay.example:65536/%K",
    "tacet://relay.example:99999/%K",
    "tacet://relay.example:4294967297/%K",
    "tacet://relay.example:07450/%K",
    "tacet://relay.example:+1/%K",
    "tacet://relay.example:-1/%K",
    "tacet://relay.example: 1/%K",
    "tacet://relay.example:1x/%K",
    "tacet://relay.example:7450",
    /* keys */
    "tacet://relay.example:7450/",
    "tacet://relay.example:7450/%Ka",
    "tacet://relay.example:7450/%K/",
    "tacet://relay.example:7450/%K ",
    "tacet://relay.example:7450/%K#",
    "tacet://relay.example:7450/aaaa",
    "tacet://relay.example:7450//%K",
    "tacet://relay.example:7450/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab",
    "tacet://relay.example:7450/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    "tacet://relay.example:7450/a1aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
};
START_TEST(bad_addresses)
{
    relay_address a;
    memset(&a, 0xa5, sizeof a);
    /* the one with %e is no placeholder of ours */
    const char *text = strstr(bad_address[_i], "%eth0") ? "tacet://[fe80::1%eth0]:7450/aaaa" : filled(bad_address[_i]);
    ck_assert_msg(relay_address_parse(&a, text) == TACET_E_MALFORMED, "%s", text);
    untouched(&a, sizeof a);
}
END_TEST

static const char *const bad_link[] = {
    "",
    "tacet://",
    "tacet://relay.example:7450/%K",
    "tacet://relay.example:7450/%K#%A.%T",
    "tacet://@relay.example:7450/%K#%A.%T",
    "tacet://Bob@relay.example:7450/%K#%A.%T",
    "tacet://b b@relay.example:7450/%K#%A.%T",
    "tacet://bob@@relay.example:7450/%K#%A.%T",
    "tacet://abcdefghijklmnopqrstuvwxyz0123456@relay.example:7450/%K#%A.%T",
    "tacet://-bob@relay.example:7450/%K#%A.%T",
    "tacet://bob@relay.example:7450/%K",
    "tacet://bob@relay.example:7450/%K#",
    "tacet://bob@relay.example:7450/%K#%A",
    "tacet://bob@relay.example:7450/%K#%A.",
    "tacet://bob@relay.example:7450/%K.%A#%T",
    "tacet://bob@relay.example:7450/%K#%A%T",
    "tacet://bob@relay.example:7450/%K#%A.%T ",
    "tacet://bob@relay.example:7450/%K#%A.%Ta",
    "tacet://bob@relay.example:7450/%K#%A.%T.%T",
    "tacet://bob@relay.example:7450/%K##%A.%T",
    "tacet://bob@relay.example:0/%K#%A.%T",
    "tacet://bob@:7450/%K#%A.%T",
    " tacet://bob@relay.example:7450/%K#%A.%T",
    "tacet://bob@relay.example:7450/%K#%A.%T\n",
};
START_TEST(bad_links)
{
    contact_link l;
    memset(&l, 0xa5, sizeof l);
    const char *text = filled(bad_link[_i]);
    ck_assert_msg(contact_link_parse(&l, text) == TACET_E_MALFORMED, "%s", text);
    untouched(&l, sizeof l);
}
END_TEST

START_TEST(every_truncation_and_every_longer_text_is_malformed)
{
    contact_link l;
    char text[TACET_LINK_MAX_CHARS * 4] = { 0 };
    memcpy(text, filled("tacet://bob@relay.example:7450/%K#%A.%T"), 200);
    size_t n = strlen(text);
    for (size_t cut = 0; cut < n; cut++) {
        char *exact = strndup(text, cut);
        ck_assert_int_eq(contact_link_parse(&l, exact), TACET_E_MALFORMED);
        free(exact);
    }
    memset(text + n, 'a', sizeof text - n - 1);
    ck_assert_int_eq(contact_link_parse(&l, text), TACET_E_MALFORMED);
    memset(text + 8, 'a', sizeof text - 9);
    ck_assert_int_eq(contact_link_parse(&l, text), TACET_E_MALFORMED);
    relay_address a;
    ck_assert_int_eq(relay_address_parse(&a, text), TACET_E_MALFORMED);
}
END_TEST

START_TEST(T05_R09_bad_relay_key)
{
    relay_address a = { .host = "relay.example", .port = 7450 };
    contact_link l = { .name = "bob" };
    char text[TACET_LINK_MAX_CHARS + 1];
    bad_point(a.key, _i);
    l.relay = a;
    relay_address_format(text, &a);
    ck_assert_int_eq(relay_address_parse(&a, text), TACET_E_KEY);
    contact_link_format(text, &l);
    ck_assert_int_eq(contact_link_parse(&l, text), TACET_E_KEY);
}
END_TEST

SUITE("link", LOOP(good_addresses, ROWS(good_address)), LOOP(good_links, ROWS(good_address)), LOOP(bad_addresses, ROWS(bad_address)),
      LOOP(bad_links, ROWS(bad_link)), TEST(every_truncation_and_every_longer_text_is_malformed), LOOP(T05_R09_bad_relay_key, BAD_POINTS))
