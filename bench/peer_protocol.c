#include "peer_protocol.h"
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t text(uint8_t *out, const char *s)
{
    size_t n = strlen(s);
    memcpy(out, s, n);
    return n;
}

/* Where `what` ends in in[0 .. n), or 0. */
static size_t behind(const uint8_t *in, size_t n, const char *what)
{
    const uint8_t *at = memmem(in, n, what, strlen(what));
    return at ? (size_t)(at - in) + strlen(what) : 0;
}

/* --- Redis: XADD to the recipient's stream, which is what a mailbox would be there ------------------------------------------------------- */
static size_t redis_request(peer_identity *who, uint8_t *out)
{
    int head = snprintf((char *)out, REQUEST_ROOM, "*5\r\n$4\r\nXADD\r\n$10\r\nbox%07u\r\n$1\r\n*\r\n$1\r\nm\r\n$%u\r\n", who->number, who->bytes);
    size_t n = (size_t)head;
    memset(out + n, 'x', who->bytes);
    return n + who->bytes + text(out + n + who->bytes, "\r\n");
}

/* "$15\r\n1700000000000-0\r\n", or "-ERR ...\r\n", which ends the run. */
static unsigned redis_answers(peer_identity *who, const uint8_t *in, size_t n, size_t *used)
{
    unsigned count = 0;
    (void)who;
    for (size_t end; *used < n; *used += end, count++) {
        end = behind(in + *used, n - *used, "\r\n");
        if (end && in[*used] == '-') {
            fprintf(stderr, "peer-load: redis says %.*s", (int)end, in + *used);
            exit(1);
        }
        size_t second = end ? behind(in + *used + end, n - *used - end, "\r\n") : 0;
        if (!second)
            break;
        end += second;
    }
    return count;
}

/* --- MQTT: PUBLISH with QoS 1, answered by PUBACK; the recipient is subscribed and acknowledges ------------------------------------------- */
static size_t mqtt_packet(uint8_t *out, uint8_t type, const uint8_t *body, size_t n)
{
    size_t at = 0, left = n;
    out[at++] = type;
    do {
        out[at++] = (uint8_t)((left & 127) | (left > 127 ? 128 : 0));
        left >>= 7;
    } while (left);
    memcpy(out + at, body, n);
    return at + n;
}

static size_t mqtt_connect(const char *kind, const peer_identity *who, uint8_t *out)
{
    uint8_t body[64] = { 0, 4, 'M', 'Q', 'T', 'T', 4, 2 /* clean session */, 0, 0 /* no keep-alive */ };
    int n = snprintf((char *)body + 12, sizeof body - 12, "%s%u", kind, who->number);
    body[11] = (uint8_t)n;
    return mqtt_packet(out, 0x10, body, 12 + (size_t)n);
}

static size_t mqtt_connect_sender(const peer_identity *who, uint8_t *out) { return mqtt_connect("s", who, out); }
static size_t mqtt_connect_receiver(const peer_identity *who, uint8_t *out) { return mqtt_connect("r", who, out); }

static size_t mqtt_subscribe(const peer_identity *who, uint8_t *out)
{
    uint8_t body[32] = { 0, 1 };
    int n = snprintf((char *)body + 4, sizeof body - 4, "box%07u", who->number);
    body[3] = (uint8_t)n;
    body[4 + n] = 1;
    return mqtt_packet(out, 0x82, body, 5 + (size_t)n);
}

static size_t mqtt_request(peer_identity *who, uint8_t *out)
{
    uint8_t body[REQUEST_ROOM];
    int n = snprintf((char *)body + 2, 16, "box%07u", who->number);
    if (++who->packet == 0)
        who->packet = 1;
    body[0] = 0;
    body[1] = (uint8_t)n;
    body[2 + n] = (uint8_t)(who->packet >> 8);
    body[3 + n] = (uint8_t)who->packet;
    memset(body + 4 + n, 'x', who->bytes);
    return mqtt_packet(out, 0x32, body, 4 + (size_t)n + who->bytes);
}

/* A whole packet at in: its head and body; false when it has not all come. */
static int mqtt_next(const uint8_t *in, size_t n, size_t *head, size_t *body)
{
    size_t value = 0, at = 1;
    for (unsigned shift = 0; at < n && at < 5; at++, shift += 7) {
        value |= (size_t)(in[at] & 127) << shift;
        if (!(in[at] & 128)) {
            *head = at + 1;
            *body = value;
            return n - at - 1 >= value;
        }
    }
    return 0;
}

static unsigned mqtt_answers(peer_identity *who, const uint8_t *in, size_t n, size_t *used)
{
    unsigned count = 0;
    size_t head, body;
    (void)who;
    for (; mqtt_next(in + *used, n - *used, &head, &body); *used += head + body)
        count += in[*used] >> 4 == 4;
    return count;
}

static size_t mqtt_acknowledge(const uint8_t *in, size_t n, size_t *used, uint8_t *out, uint64_t *messages)
{
    size_t head, body, said = 0;
    for (; mqtt_next(in + *used, n - *used, &head, &body) && said + 4 <= REQUEST_ROOM; *used += head + body) {
        const uint8_t *p = in + *used + head;
        if (in[*used] >> 4 != 3)
            continue;
        size_t topic = (size_t)p[0] << 8 | p[1];
        const uint8_t ack[4] = { 0x40, 2, p[2 + topic], p[3 + topic] };
        memcpy(out + said, ack, 4);
        said += 4;
        ++*messages;
    }
    return said;
}

/* --- XMPP: messages to an account that is away, kept in the server's archive; <r/> after each asks whether it was taken -------------------- */
static size_t xmpp_stream(const peer_identity *who, uint8_t *out)
{
    return (size_t)snprintf(
        (char *)out, REQUEST_ROOM,
        "<?xml version='1.0'?><stream:stream to='%s' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>",
        who->domain);
}

static size_t xmpp_auth(const peer_identity *who, uint8_t *out)
{
    uint8_t plain[256];
    char base64[512];
    int n = snprintf((char *)plain, sizeof plain, "%c%s%u%c%s", 0, who->user, who->number, 0, who->password);
    sodium_bin2base64(base64, sizeof base64, plain, (size_t)n, sodium_base64_VARIANT_ORIGINAL);
    return (size_t)snprintf((char *)out, REQUEST_ROOM, "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>%s</auth>", base64);
}

static size_t xmpp_bind(const peer_identity *who, uint8_t *out)
{
    (void)who;
    return text(out, "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>");
}

static size_t xmpp_session(const peer_identity *who, uint8_t *out)
{
    (void)who;
    return text(out, "<iq type='set' id='s'><session xmlns='urn:ietf:params:xml:ns:xmpp-session'/></iq>");
}

static size_t xmpp_enable(const peer_identity *who, uint8_t *out)
{
    (void)who;
    return text(out, "<enable xmlns='urn:xmpp:sm:3'/>");
}

static size_t xmpp_request(peer_identity *who, uint8_t *out)
{
    size_t n = (size_t)snprintf((char *)out, REQUEST_ROOM, "<message to='away%u@%s' type='chat'><body>", who->number, who->domain);
    memset(out + n, 'x', who->bytes);
    return n + who->bytes + text(out + n + who->bytes, "</body></message><r xmlns='urn:xmpp:sm:3'/>");
}

static unsigned xmpp_answers(peer_identity *who, const uint8_t *in, size_t n, size_t *used)
{
    unsigned count = 0;
    for (size_t end; (end = behind(in + *used, n - *used, "/>")) || (end = behind(in + *used, n - *used, "</a>")); *used += end) {
        const uint8_t *a = memmem(in + *used, end, "<a ", 3), *h = a ? memmem(a, (size_t)(in + *used + end - a), " h=", 3) : NULL;
        uint64_t handled = h ? strtoull((const char *)h + 4, NULL, 10) : 0;
        if (handled > who->seen) {
            count += (unsigned)(handled - who->seen);
            who->seen = handled;
        }
    }
    return count;
}

#define STEP(say, expect)                                                                                                                            \
    {                                                                                                                                                \
        say, expect, sizeof(expect) - 1                                                                                                              \
    }
#define XMPP_LOGIN                                                                                                                                   \
    {                                                                                                                                                \
        STEP(xmpp_stream, "</stream:features>"), STEP(xmpp_auth, "<success"), STEP(xmpp_stream, "</stream:features>"), STEP(xmpp_bind, "</iq>"),     \
            STEP(xmpp_session, "id='s'"), STEP(xmpp_enable, "<enabled")                                                                              \
    }
static const peer_protocol protocols[] = {
    { .name = "redis", .request = redis_request, .answers = redis_answers },
    { .name = "mqtt",
      .sender = { STEP(mqtt_connect_sender, "\x20\x02\x00\x00") },
      .receiver = { STEP(mqtt_connect_receiver, "\x20\x02\x00\x00"), STEP(mqtt_subscribe, "\x90\x03\x00\x01\x01") },
      .request = mqtt_request,
      .answers = mqtt_answers,
      .acknowledge = mqtt_acknowledge },
    { .name = "xmpp", .sender = XMPP_LOGIN, .request = xmpp_request, .answers = xmpp_answers },
};

const peer_protocol *peer_protocol_find(const char *name)
{
    for (size_t i = 0; i < sizeof protocols / sizeof *protocols; i++)
        if (strcmp(protocols[i].name, name) == 0)
            return &protocols[i];
    return NULL;
}
