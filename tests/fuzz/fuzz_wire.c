/* P04, T14, T15: the bytes of a connection as the relay's net process takes them. The first input byte: bit 0: from the preamble on, or behind a
 * handshake, with the rest sealed into records of the lengths that it names itself; the others: where the bytes are cut. Whatever comes, the items do not
 * depend on the cuts, and a broken wire gives nothing more. */
#include "fuzz.h"
#include "server/wire.h"

enum { RAW_MAX_BYTES = 1 << 18 };

typedef struct {
    size_t items, bytes;
    uint64_t sum;
    int rc;
} outcome;

/* After each handshake message, what store would answer. */
static void answer(wire *w)
{
    static const uint8_t message[TACET_M2_BYTES] = { 2 }, key[32] = { 7 };
    if (w->state == WIRE_FIRST_ASKED)
        PROMISE(wire_answer(w, message, sizeof message) == TACET_OK);
    if (w->state == WIRE_THIRD_ASKED || w->role == TACET_ROLE_OPEN)
        PROMISE(wire_keys(w, key, key) == TACET_OK);
}

static outcome run(const uint8_t *bytes, size_t n, size_t piece, bool open_)
{
    wire w;
    outcome o = { 0, 0, 0, TACET_E_AGAIN };
    wire_init(&w);
    if (open_) {
        w.state = WIRE_OPEN;
        w.role = TACET_ROLE_OPEN;
    }
    for (size_t at = 0; at < n && o.rc == TACET_E_AGAIN; at += piece) {
        wire_item i;
        wire_feed(&w, bytes + at, n - at < piece ? n - at : piece);
        while ((o.rc = wire_next(&w, &i)) == TACET_OK) {
            PROMISE(i.bytes > 0 && i.bytes <= TACET_FRAME_MAX_BYTES);
            o.items++;
            o.bytes += i.bytes;
            for (size_t k = 0; k < i.bytes; k++)
                o.sum = o.sum * 31 + i.at[k];
            if (i.kind == WIRE_HANDSHAKE)
                answer(&w);
        }
        if (o.rc == TACET_E_AGAIN)
            PROMISE(wire_settle(&w) == TACET_OK);
    }
    wire_free(&w);
    return o;
}

/* Records of the input's pieces under the key that the wire has (zeros): each piece is u8 length | bytes. */
static size_t seal_all(uint8_t *out, const uint8_t *bytes, size_t n)
{
    record_key k = { .counter = 0 };
    size_t used = 0;
    while (n > 1 && used + TACET_RECORD_MAX_BYTES < RAW_MAX_BYTES) {
        size_t piece = bytes[0] < n - 1 ? bytes[0] : n - 1, whole = 0;
        PROMISE(record_seal(&k, out + used, &whole, bytes + 1, piece) == TACET_OK);
        used += whole;
        bytes += 1 + piece;
        n -= 1 + piece;
    }
    return used;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    static uint8_t raw[RAW_MAX_BYTES];
    if (n < 2)
        return 0;
    bool open_ = bytes[0] & 1;
    size_t piece = (size_t)(bytes[0] >> 1) + 1, used = open_ ? seal_all(raw, bytes + 1, n - 1) : n - 1;
    const uint8_t *from = open_ ? raw : bytes + 1;
    outcome whole = run(from, used, used ? used : 1, open_), cut = run(from, used, piece, open_);
    PROMISE(whole.rc == cut.rc && whole.items == cut.items && whole.bytes == cut.bytes && whole.sum == cut.sum);
    return 0;
}
