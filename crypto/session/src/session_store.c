/* A session as bytes for the vault. Local to this program, so it is versioned here and not in docs/PROTOCOL.md:
 *   version u8 | parties | facts | ratchet | former chains | PQ | agreement part (while it is repeated) | skipped keys
 * One walk describes the layout and serves both directions, so that what is written and what is read cannot drift apart. */
#include "base/reader.h"
#include "base/writer.h"
#include "state.h"
#include <assert.h>
#include <sodium.h>

enum { STORE_VERSION = 1, SKIPPED_ENTRY_BYTES = KEY32 + 8 + 4 + 4 };

/* Either a writer or a reader; the other one is unused. A writing walk changes nothing of what it walks over. A reader that meets a value it cannot
 * hold turns bad. */
typedef struct {
    bool writing;
    writer w;
    reader r;
} walk;

static void walk_bytes(walk *k, uint8_t *at, size_t n)
{
    if (k->writing)
        write_bytes(&k->w, at, n);
    else
        read_into(&k->r, at, n);
}

/* An integer of 1 to 8 bytes, 0 to max. */
static uint64_t walk_be(walk *k, uint64_t v, size_t bytes, uint64_t max)
{
    if (k->writing) {
        write_be(&k->w, v, bytes);
        return v;
    }
    uint64_t got = read_be(&k->r, bytes);
    if (got <= max)
        return got;
    k->r.bad = true;
    return 0;
}

static void walk_u32(walk *k, uint32_t *v)
{
    uint32_t got = (uint32_t)walk_be(k, *v, 4, UINT32_MAX);
    if (!k->writing)
        *v = got;
}

static void walk_u64(walk *k, uint64_t *v)
{
    uint64_t got = walk_be(k, *v, 8, UINT64_MAX);
    if (!k->writing)
        *v = got;
}

static void walk_bool(walk *k, bool *v)
{
    bool got = walk_be(k, *v, 1, 1) == 1;
    if (!k->writing)
        *v = got;
}

static void walk_party(walk *k, party *p)
{
    walk_bytes(k, p->account.bytes, sizeof p->account.bytes);
    walk_u32(k, &p->device);
    walk_bytes(k, p->ik, sizeof p->ik);
    walk_bytes(k, p->dh, sizeof p->dh);
    walk_u64(k, &p->list_version);
}

static void walk_info(walk *k, session_info *i)
{
    walk_bytes(k, i->id, sizeof i->id);
    walk_party(k, &i->me);
    walk_party(k, &i->them);
    walk_bool(k, &i->initiator);
    walk_bool(k, &i->answered);
    walk_bool(k, &i->reduced_secrecy);
    walk_u64(k, &i->last_opened_ms);
    walk_u64(k, &i->last_sealed_ms);
    walk_u64(k, &i->created_ms);
    walk_u64(k, &i->sealed);
    walk_u64(k, &i->opened);
}

static void walk_ratchet(walk *k, ratchet *r)
{
    uint8_t *keys[] = { r->rk, r->cks, r->ckr, r->hks, r->hkr, r->nhks, r->nhkr, r->dhs.public, r->dhs.secret, r->dhr };
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        walk_bytes(k, keys[i], KEY32);
    walk_u32(k, &r->ns);
    walk_u32(k, &r->nr);
    walk_u32(k, &r->pn);
    walk_u32(k, &r->chain);
    walk_bool(k, &r->sends);
    uint32_t count = 0;
    while (count < TACET_RATCHET_CHAINS_MAX && r->former[count].chain)
        count++;
    count = (uint32_t)walk_be(k, count, 1, TACET_RATCHET_CHAINS_MAX);
    for (uint32_t i = 0; i < count; i++) {
        walk_bytes(k, r->former[i].hk, KEY32);
        walk_u32(k, &r->former[i].chain);
    }
}

/* Only what the step in hand needs: an idle session has neither seed nor ciphertext. */
static void walk_pq(walk *k, pq_state *p)
{
    enum pq_step step = (enum pq_step)walk_be(k, p->step, 1, PQ_SWITCHED);
    if (!k->writing)
        p->step = step;
    walk_u32(k, &p->epoch);
    walk_u32(k, &p->messages);
    walk_u32(k, &p->turns);
    walk_u64(k, &p->since_ms);
    walk_bool(k, &p->has_previous);
    walk_bytes(k, p->current, KEY32);
    if (p->has_previous)
        walk_bytes(k, p->previous, KEY32);
    if (p->step == PQ_CT_OUT || p->step == PQ_SWITCHED)
        walk_bytes(k, p->next, KEY32);
    if (p->step == PQ_KEY_OUT)
        walk_bytes(k, p->seed, sizeof p->seed);
    if (p->step == PQ_CT_OUT)
        walk_bytes(k, p->field, TACET_KEM_CIPHERTEXT_BYTES);
}

static void walk_core(walk *k, session_core *c)
{
    walk_info(k, &c->info);
    walk_ratchet(k, &c->r);
    walk_pq(k, &c->pq);
    walk_bytes(k, c->part_hash, sizeof c->part_hash);
}

static void walk_skipped(walk *k, skipped_keys *s)
{
    for (uint32_t i = 0; i < s->count; i++) {
        walk_bytes(k, s->key[i].key, KEY32);
        walk_u64(k, &s->key[i].since_ms);
        walk_u32(k, &s->key[i].chain);
        walk_u32(k, &s->key[i].n);
    }
}

/* What walk_core takes, apart from the parts that come and go. */
enum {
    PARTY_BYTES = TACET_ACCOUNT_BYTES + 4 + 32 + 32 + 8,
    INFO_BYTES = TACET_SESSION_ID_BYTES + 2 * PARTY_BYTES + 3 + 5 * 8,
    RATCHET_BYTES = 10 * KEY32 + 4 * 4 + 1 + 1,
    PQ_BYTES = 1 + 3 * 4 + 8 + 1 + KEY32,
    FIXED_BYTES = 1 + INFO_BYTES + RATCHET_BYTES + PQ_BYTES + 32 + 1 + 2,
};

size_t session_export_bytes(const session *s)
{
    const pq_state *p = &s->core.pq;
    size_t n = FIXED_BYTES;
    for (size_t i = 0; i < TACET_RATCHET_CHAINS_MAX && s->core.r.former[i].chain; i++)
        n += KEY32 + 4;
    n += p->has_previous ? KEY32 : 0;
    n += p->step == PQ_CT_OUT || p->step == PQ_SWITCHED ? KEY32 : 0;
    n += p->step == PQ_KEY_OUT ? sizeof p->seed : 0;
    n += p->step == PQ_CT_OUT ? (size_t)TACET_KEM_CIPHERTEXT_BYTES : 0;
    n += s->part ? TACET_FIRST_OVERHEAD_BYTES : 0;
    return n + s->skipped.count * (size_t)SKIPPED_ENTRY_BYTES;
}

int session_export(const session *s, uint8_t *out, size_t room, size_t *out_bytes)
{
    session *readable = (session *)s; /* a writing walk only reads */
    walk k = { .writing = true, .w = writer_over(out, room) };
    write_be(&k.w, STORE_VERSION, 1);
    walk_core(&k, &readable->core);
    write_be(&k.w, s->part != NULL, 1);
    if (s->part)
        write_bytes(&k.w, s->part, TACET_FIRST_OVERHEAD_BYTES);
    write_be(&k.w, s->skipped.count, 2);
    walk_skipped(&k, &readable->skipped);
    if (!writer_ok(&k.w))
        return TACET_E_QUOTA;
    assert(writer_bytes(&k.w) == session_export_bytes(s));
    *out_bytes = writer_bytes(&k.w);
    return TACET_OK;
}

/* The parts of their own blocks: agreement part and skipped keys. */
static int import_blocks(session *s, walk *k)
{
    bool has_part = false;
    walk_bool(k, &has_part);
    const uint8_t *part = has_part ? read_view(&k->r, TACET_FIRST_OVERHEAD_BYTES) : NULL;
    uint32_t count = (uint32_t)walk_be(k, 0, 2, TACET_RATCHET_SKIPPED_MAX);
    if (k->r.bad || reader_left(&k->r) != count * (size_t)SKIPPED_ENTRY_BYTES)
        return TACET_E_MALFORMED;
    /* a part belongs to an initiator that has no answer, and to nobody else */
    if (has_part != (s->core.info.initiator && !s->core.info.answered))
        return TACET_E_MALFORMED;
    if (has_part) {
        s->part = secret_alloc(s->arena, TACET_FIRST_OVERHEAD_BYTES);
        if (!s->part)
            return TACET_E_NOMEM;
        memcpy(s->part, part, TACET_FIRST_OVERHEAD_BYTES);
    }
    if (skipped_reserve(&s->skipped, s->arena, count) != TACET_OK)
        return TACET_E_NOMEM;
    s->skipped.count = count;
    walk_skipped(k, &s->skipped);
    return reader_done(&k->r) ? TACET_OK : TACET_E_MALFORMED;
}

int session_import(session **out, secret_arena *arena, const uint8_t *bytes, size_t n)
{
    walk k = { .writing = false, .r = reader_over(bytes, n) };
    uint64_t version = read_be(&k.r, 1);
    if (k.r.bad || version == 0)
        return TACET_E_MALFORMED;
    if (version > STORE_VERSION)
        return TACET_E_NEWER;
    session *s = secret_alloc(arena, sizeof *s);
    if (!s)
        return TACET_E_NOMEM;
    s->arena = arena;
    walk_core(&k, &s->core);
    int rc = import_blocks(s, &k);
    if (rc == TACET_OK) {
        pq_restore(&s->core.pq);
        *out = s;
    } else {
        session_free(s);
    }
    return rc;
}
