/* The sealed header (docs/PROTOCOL.md §6.3): encrypted under a key of its own, so that nobody sees which messages belong together. */
#include "base/reader.h"
#include "base/writer.h"
#include "declassify.h"
#include "ratchet.h"
#include <assert.h>
#include <sodium.h>

enum { HEADER_ZEROS = 18, AD_BYTES = sizeof "tacet hdr" + TACET_SESSION_ID_BYTES };

static void header_ad(uint8_t out[AD_BYTES], const uint8_t id[32])
{
    writer w = writer_over(out, AD_BYTES);
    write_label(&w, "tacet hdr");
    write_bytes(&w, id, TACET_SESSION_ID_BYTES);
    assert(writer_bytes(&w) == AD_BYTES);
}

void header_seal(uint8_t out[TACET_SEALED_HEADER_BYTES], const uint8_t hks[KEY32], const uint8_t id[32], const uint8_t nonce[24],
                 const ratchet_header *h)
{
    uint8_t ad[AD_BYTES];
    header_ad(ad, id);
    writer w = writer_over(out, 24 + TACET_RATCHET_HEADER_BYTES);
    write_bytes(&w, nonce, 24);
    write_be(&w, TACET_WIRE_VERSION, 1);
    write_be(&w, 0, 1);
    write_bytes(&w, h->dh, 32);
    write_be(&w, h->pn, 4);
    write_be(&w, h->n, 4);
    write_be(&w, h->epoch, 4);
    write_zeros(&w, HEADER_ZEROS);
    assert(writer_bytes(&w) == 24 + TACET_RATCHET_HEADER_BYTES);
    int rc = crypto_aead_xchacha20poly1305_ietf_encrypt(out + 24, NULL, out + 24, TACET_RATCHET_HEADER_BYTES, ad, sizeof ad, NULL, nonce, hks);
    assert(rc == 0);
    (void)rc;
}

static int header_decode(ratchet_header *out, const uint8_t plain[TACET_RATCHET_HEADER_BYTES])
{
    reader r = reader_over(plain, TACET_RATCHET_HEADER_BYTES);
    uint64_t version = read_be(&r, 1), flags = read_be(&r, 1);
    read_into(&r, out->dh, 32);
    out->pn = (uint32_t)read_be(&r, 4);
    out->n = (uint32_t)read_be(&r, 4);
    out->epoch = (uint32_t)read_be(&r, 4);
    const uint8_t *zeros = read_view(&r, HEADER_ZEROS);
    if (!reader_done(&r) || version != TACET_WIRE_VERSION || flags != 0 || !sodium_is_zero(zeros, HEADER_ZEROS))
        return TACET_E_FORGED;
    return TACET_OK;
}

/* One trial. */
static bool opens_under(uint8_t plain[TACET_RATCHET_HEADER_BYTES], const uint8_t hk[KEY32], const uint8_t *ad, unsigned *trials,
                        const uint8_t sealed[TACET_SEALED_HEADER_BYTES])
{
    if (*trials == 0)
        return false;
    --*trials;
    int bad = crypto_aead_xchacha20poly1305_ietf_decrypt(plain, NULL, NULL, sealed + 24, TACET_SEALED_HEADER_BYTES - 24, ad, AD_BYTES, sealed, hk);
    DECLASSIFY(&bad, sizeof bad);
    return !bad;
}

int header_find(found_header *out, const ratchet *r, const uint8_t id[32], unsigned *trials, const uint8_t sealed[TACET_SEALED_HEADER_BYTES])
{
    uint8_t ad[AD_BYTES], plain[TACET_RATCHET_HEADER_BYTES];
    header_ad(ad, id);
    found_header f = { .chain = r->chain };
    bool found = false;
    if (r->chain && opens_under(plain, r->hkr, ad, trials, sealed)) {
        f.under = HEADER_CURRENT;
        found = true;
    } else if (opens_under(plain, r->nhkr, ad, trials, sealed)) {
        f.under = HEADER_NEXT;
        found = true;
    }
    for (size_t i = 0; !found && i < TACET_RATCHET_CHAINS_MAX && r->former[i].chain; i++)
        if (opens_under(plain, r->former[i].hk, ad, trials, sealed)) {
            f.under = HEADER_FORMER;
            f.chain = r->former[i].chain;
            found = true;
        }
    if (!found)
        return TACET_E_FORGED;
    DECLASSIFY(plain, sizeof plain); /* what a header that verified says is acted upon */
    int rc = header_decode(&f.h, plain);
    if (rc == TACET_OK)
        *out = f;
    sodium_memzero(plain, sizeof plain);
    return rc;
}
