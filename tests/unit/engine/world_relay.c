#include "world_relay.h"
#include "identity/prekey.h"
#include "suite.h"
#include <string.h>

static void answer(world *w, const connection *c, frame *f, uint32_t id)
{
    static uint8_t bytes[TACET_FRAME_MAX_BYTES];
    size_t n;
    f->id = id;
    ck_assert_int_eq(frame_encode(f, bytes, sizeof bytes, &n), TACET_OK);
    connection_tell(w, c, bytes, n);
}

static void answer_error(world *w, const connection *c, uint32_t id, error_code code)
{
    frame f = { .kind = FRAME_ERROR };
    f.error.code = (uint16_t)code;
    f.error.cls = (uint8_t)error_class_of(code);
    f.error.text = (view){ (const uint8_t *)"no", 2 };
    answer(w, c, &f, id);
}

static void answer_ok(world *w, const connection *c, uint32_t id)
{
    frame f = { .kind = FRAME_OK };
    answer(w, c, &f, id);
}

static world_account *account_by(world *w, const uint8_t *account)
{
    for (size_t i = 0; i < WORLD_PEOPLE; i++)
        if (w->account[i].used && memcmp(w->account[i].account, account, 32) == 0)
            return &w->account[i];
    return NULL;
}

static world_account *account_at(world *w, const connection *c)
{
    for (size_t i = 0; i < WORLD_PEOPLE; i++)
        if (w->account[i].used && memcmp(w->account[i].transport, c->transport, 32) == 0)
            return &w->account[i];
    return NULL;
}

void relay_push(world *w, world_account *a)
{
    connection *c = a->link ? connection_find(a->person, a->link) : NULL;
    for (size_t i = 0; c && a->subscribed && !w->hold && i < a->boxed; i++) {
        world_envelope *v = &a->box[i];
        if (v->gone || v->delivered)
            continue;
        frame f = { .kind = FRAME_DELIVER };
        f.deliver.number = v->number;
        f.deliver.token_kind = v->token_kind;
        f.deliver.token_hash = (view){ v->token_hash, 32 };
        f.deliver.hour_s = w->person[a->person].env.wall_ms / 1000 / 3600 * 3600;
        f.deliver.ciphertext = (view){ v->bytes, v->n };
        answer(w, c, &f, 0);
        v->delivered = true;
    }
}

void relay_hang_up(world *w, const connection *c)
{
    for (size_t i = 0; i < WORLD_PEOPLE; i++)
        if (w->account[i].link == c->link && w->account[i].person == c->person) {
            w->account[i].link = 0;
            w->account[i].subscribed = false;
            for (size_t k = 0; k < w->account[i].boxed; k++)
                w->account[i].box[k].delivered = false;
        }
}

static void on_register(world *w, connection *c, const frame *f)
{
    device_list l;
    uint8_t object[96];
    ck_assert_int_eq(device_list_decode(&l, f->register_.list.at, f->register_.list.bytes), TACET_OK);
    memcpy(object, c->hash, 64);
    memcpy(object + 64, l.hash, 32);
    ck_assert_int_eq(object_verify(f->register_.proof.at, SIGN_REGISTER, &l.account, 0, object, sizeof object, l.ik), TACET_OK);
    const device_entry *d = device_list_find(&l, f->register_.device);
    ck_assert(d && memcmp(d->transport, c->transport, 32) == 0);
    world_account *a = account_by(w, l.account.bytes);
    for (size_t i = 0; !a; i++)
        if (!w->account[i].used)
            a = &w->account[i];
    if (!a->used) {
        *a = (world_account){ .used = true, .person = c->person, .box = calloc(WORLD_ENVELOPES, sizeof *a->box) };
        memcpy(a->account, l.account.bytes, 32);
        memcpy(a->transport, c->transport, 32);
        memcpy(a->list[0], f->register_.list.at, f->register_.list.bytes);
        a->list_bytes[0] = f->register_.list.bytes;
        a->lists = 1;
        a->device = f->register_.device;
    }
    answer_ok(w, c, f->id);
}

/* The next list; the device that it names in the place of the one that was there is where it comes from. */
static void on_devices(world *w, connection *c, const frame *f)
{
    device_list l, known;
    uint8_t object[96];
    ck_assert_int_eq(device_list_decode(&l, f->devices.list.at, f->devices.list.bytes), TACET_OK);
    memcpy(object, c->hash, 64);
    memcpy(object + 64, l.hash, 32);
    ck_assert_int_eq(object_verify(f->devices.proof.at, SIGN_DEVICES_CHANGE, &l.account, 0, object, sizeof object, l.ik), TACET_OK);
    world_account *a = account_by(w, l.account.bytes);
    const device_entry *d = device_list_find_transport(&l, c->transport);
    ck_assert(a && d && a->lists < ROWS(a->list));
    ck_assert_int_eq(device_list_decode(&known, a->list[a->lists - 1], a->list_bytes[a->lists - 1]), TACET_OK);
    int follows = device_list_follows(&known, &l);
    if (follows == TACET_OK) {
        if (a->link)
            connection_end(w, a->person, a->link);
        for (size_t i = 0; i < a->boxed; i++)
            a->box[i].gone = true;
        a->keys = 0;
        a->link = 0;
        a->subscribed = false;
        a->person = c->person;
        a->device = d->id;
        memcpy(a->transport, c->transport, 32);
        memcpy(a->list[a->lists], f->devices.list.at, f->devices.list.bytes);
        a->list_bytes[a->lists++] = f->devices.list.bytes;
    }
    if (follows == TACET_OK || follows == TACET_E_REPLAY)
        answer_ok(w, c, f->id);
    else
        answer_error(w, c, f->id, ERROR_STALE_LIST);
}

static void on_name(world *w, connection *c, const frame *f)
{
    directory_entry entry;
    world_account *a = account_at(w, c);
    ck_assert_int_eq(directory_entry_decode(&entry, f->publish_name.entry.at, f->publish_name.entry.bytes, w->person[c->person].env.wall_ms / 1000),
                     TACET_OK);
    for (size_t i = 0; i < WORLD_PEOPLE; i++)
        if (w->account[i].used && &w->account[i] != a && strcmp(w->account[i].name, entry.name) == 0) {
            answer_error(w, c, f->id, ERROR_NAME_TAKEN);
            return;
        }
    snprintf(a->name, sizeof a->name, "%s", entry.name);
    memcpy(a->entry, f->publish_name.entry.at, sizeof a->entry);
    answer_ok(w, c, f->id);
}

/* By how much it is past its time on the relay's clock; up to 0: it is in time. */
static int64_t late_by_s(const world *w, const connection *c, const uint8_t *encoded)
{
    uint64_t expires_s = 0;
    for (size_t i = 13; i < 21; i++)
        expires_s = expires_s << 8 | encoded[i];
    return (int64_t)(w->person[c->person].env.wall_ms / 1000) + w->relay_clock_s - (int64_t)expires_s;
}

/* Handed out, and counted: not when it has expired. */
static bool lies_there(const world *w, const connection *c, const world_prekey *k)
{
    bool lasts = k->bytes[0] == PREKEY_SIGNED || k->bytes[0] == PREKEY_KEM_LAST_RESORT;
    return !k->gone && (lasts || w->old_bundles || late_by_s(w, c, k->bytes) < 0);
}

static void counts(world *w, connection *c, const frame *f)
{
    world_account *a = account_at(w, c);
    if (!a) {
        answer_error(w, c, f->id, ERROR_NOT_REGISTERED);
        return;
    }
    frame r = { .kind = FRAME_PREKEY_COUNTS };
    for (size_t i = 0; i < a->keys; i++)
        if (lies_there(w, c, &a->key[i])) {
            r.prekey_counts.one_time += a->key[i].bytes[0] == PREKEY_ONE_TIME;
            r.prekey_counts.kem += a->key[i].bytes[0] == PREKEY_KEM_ONE_TIME;
        }
    r.prekey_counts.handed_out = a->handed_out;
    answer(w, c, &r, f->id);
}

static void on_prekeys(world *w, connection *c, const frame *f)
{
    world_account *a = account_at(w, c);
    for (uint32_t i = 0; i < f->publish_prekeys.prekeys.count; i++)
        if (late_by_s(w, c, f->publish_prekeys.prekeys.item[i].at) > TACET_PREKEY_TOLERANCE_S) {
            answer_error(w, c, f->id, ERROR_EXPIRED);
            return;
        }
    for (uint32_t i = 0; i < f->publish_prekeys.prekeys.count; i++) {
        const view *v = &f->publish_prekeys.prekeys.item[i];
        uint8_t kind = v->at[0];
        for (size_t k = 0; k < a->keys; k++)
            if (a->key[k].bytes[0] == kind && (kind == PREKEY_SIGNED || kind == PREKEY_KEM_LAST_RESORT || memcmp(a->key[k].bytes, v->at, 5) == 0))
                a->key[k].gone = true; /* the newest lasts; of one id there is one */
        ck_assert_uint_lt(a->keys, WORLD_PREKEYS);
        memcpy(a->key[a->keys].bytes, v->at, v->bytes);
        a->key[a->keys].gone = false;
        a->key[a->keys++].n = v->bytes;
    }
    counts(w, c, f);
}

static void on_tokens(world *w, connection *c, const frame *f)
{
    world_account *a = account_at(w, c);
    if (!a) {
        answer_error(w, c, f->id, ERROR_NOT_REGISTERED);
        return;
    }
    for (size_t i = 0; i < a->tokens; i++)
        if (f->tokens.kind == TOKEN_REQUEST && a->token_kinds[i] == TOKEN_REQUEST)
            a->token_kinds[i] = 0;
    for (uint32_t k = 0; k < f->tokens.add.count; k++) {
        ck_assert_uint_lt(a->tokens, ROWS(a->token));
        memcpy(a->token[a->tokens], f->tokens.add.item[k].at, 32);
        a->token_kinds[a->tokens++] = f->tokens.kind;
    }
    for (uint32_t k = 0; k < f->tokens.remove.count; k++) {
        for (size_t i = 0; i < a->tokens; i++)
            if (memcmp(a->token[i], f->tokens.remove.item[k].at, 32) == 0)
                a->token_kinds[i] = 0;
        for (size_t i = 0; i < a->boxed; i++)
            if (memcmp(a->box[i].token_hash, f->tokens.remove.item[k].at, 32) == 0)
                a->box[i].gone = true;
    }
    answer_ok(w, c, f->id);
}

static void on_subscribe(world *w, connection *c, const frame *f)
{
    world_account *a = account_at(w, c);
    if (!a) {
        answer_error(w, c, f->id, ERROR_NOT_REGISTERED);
        return;
    }
    a->link = c->link;
    a->person = c->person;
    a->subscribed = true;
    answer_ok(w, c, f->id);
    relay_push(w, a);
    frame r = { .kind = FRAME_CAUGHT_UP };
    r.caught_up.number = w->next_number;
    answer(w, c, &r, 0);
}

static void on_ack(world *w, connection *c, const frame *f)
{
    world_account *a = account_at(w, c);
    for (uint32_t k = 0; k < f->ack.ids.count; k++)
        for (size_t i = 0; i < a->boxed; i++)
            if (a->box[i].number == f->ack.ids.item[k])
                a->box[i].gone = true;
    answer_ok(w, c, f->id);
}

static void on_send(world *w, connection *c, const frame *f)
{
    uint8_t hash[32];
    world_account *a = account_by(w, f->send.account.at);
    uint8_t kind = 0;
    w->person[c->person].sends++;
    token_hash(hash, f->send.token.at);
    for (size_t i = 0; a && i < a->tokens; i++)
        if (memcmp(a->token[i], hash, 32) == 0)
            kind = a->token_kinds[i] ? a->token_kinds[i] : kind;
    if (w->refuse_sends) {
        answer_error(w, c, f->id, (error_code)w->refuse_sends);
        return;
    }
    if (!kind || a->device != f->send.device) {
        answer_error(w, c, f->id, kind ? ERROR_STALE_DEVICE : ERROR_REFUSED);
        return;
    }
    ck_assert_uint_lt(a->boxed, WORLD_ENVELOPES);
    world_envelope *v = &a->box[a->boxed++];
    *v = (world_envelope){ .token_kind = kind, .n = f->send.ciphertext.bytes, .number = ++w->next_number };
    memcpy(v->token_hash, hash, 32);
    memcpy(v->bytes, f->send.ciphertext.at, v->n);
    if (w->lose_replies) {
        connection_end(w, c->person, c->link);
        return;
    }
    if (w->late_for == c->person + 1) {
        ck_assert_uint_lt(w->late_count, ROWS(w->late));
        w->late[w->late_count++] = (world_late){ c->person, c->link, f->id };
    } else {
        answer_ok(w, c, f->id);
    }
    relay_push(w, a);
}

void world_answer(world *w)
{
    w->late_for = 0;
    for (size_t i = 0; i < w->late_count; i++) {
        const connection *c = connection_find(w->late[i].person, w->late[i].link);
        if (c)
            answer_ok(w, c, w->late[i].id);
    }
    w->late_count = 0;
    world_run(w);
}

static void show_lists(world *w, const connection *c, uint32_t id, const uint8_t account[32], uint64_t after)
{
    world_account *a = account_by(w, account);
    if (!a) {
        answer_error(w, c, id, ERROR_NOT_FOUND);
        return;
    }
    frame r = { .kind = FRAME_LISTS_REPLY };
    for (size_t i = after - a->lists_before; i < a->lists; i++)
        r.lists_reply.lists.item[r.lists_reply.lists.count++] = (view){ a->list[i], a->list_bytes[i] };
    answer(w, c, &r, id);
}

static void on_lists(world *w, connection *c, const frame *f)
{
    w->list_asks++;
    if (w->lists_late_for != c->person + 1) {
        show_lists(w, c, f->id, f->lists.account.at, f->lists.after);
        return;
    }
    ck_assert_uint_lt(w->questions, ROWS(w->question));
    world_question *q = &w->question[w->questions++];
    *q = (world_question){ .to = { c->person, c->link, f->id }, .after = f->lists.after };
    memcpy(q->account, f->lists.account.at, sizeof q->account);
}

void world_answer_lists(world *w)
{
    w->lists_late_for = 0;
    for (size_t i = 0; i < w->questions; i++) {
        const world_question *q = &w->question[i];
        const connection *c = connection_find(q->to.person, q->to.link);
        if (c)
            show_lists(w, c, q->to.id, q->account, q->after);
    }
    w->questions = 0;
    world_run(w);
}

static view take_key(world *w, const connection *c, world_account *a, enum prekey_kind kind)
{
    for (size_t i = 0; i < a->keys; i++)
        if (lies_there(w, c, &a->key[i]) && a->key[i].bytes[0] == kind) {
            if (kind == PREKEY_ONE_TIME || kind == PREKEY_KEM_ONE_TIME) {
                a->key[i].gone = true;
                a->handed_out++;
            }
            return (view){ a->key[i].bytes, a->key[i].n };
        }
    return (view){ NULL, 0 };
}

static void on_bundle(world *w, connection *c, const frame *f)
{
    world_account *a = account_by(w, f->bundle.account.at);
    if (!a || a->device != f->bundle.device) {
        answer_error(w, c, f->id, a ? ERROR_STALE_DEVICE : ERROR_NOT_FOUND);
        return;
    }
    frame r = { .kind = FRAME_BUNDLE_REPLY };
    r.bundle_reply.spk = take_key(w, c, a, PREKEY_SIGNED);
    if (!w->no_one_time) {
        r.bundle_reply.opk = take_key(w, c, a, PREKEY_ONE_TIME);
        r.bundle_reply.kem = take_key(w, c, a, PREKEY_KEM_ONE_TIME);
    }
    if (!r.bundle_reply.kem.bytes)
        r.bundle_reply.kem = take_key(w, c, a, PREKEY_KEM_LAST_RESORT);
    if (w->old_bundles && !--w->old_bundles)
        w->no_one_time = true;
    answer(w, c, &r, f->id);
}

static void on_lookup(world *w, connection *c, const frame *f)
{
    for (size_t i = 0; i < WORLD_PEOPLE; i++) {
        world_account *a = &w->account[i];
        if (a->used && strlen(a->name) == f->lookup.name.bytes && memcmp(a->name, f->lookup.name.at, f->lookup.name.bytes) == 0) {
            frame r = { .kind = FRAME_LOOKUP_REPLY };
            r.lookup_reply.entry = (view){ a->entry, sizeof a->entry };
            answer(w, c, &r, f->id);
            return;
        }
    }
    answer_error(w, c, f->id, ERROR_NOT_FOUND);
}

static void on_info(world *w, connection *c, const frame *f)
{
    frame r = { .kind = FRAME_INFO_REPLY };
    int64_t now = (int64_t)(w->person[c->person].env.wall_ms / 1000) + w->relay_clock_s;
    r.info_reply.incarnation = (view){ w->incarnation, 16 };
    r.info_reply.hour_s = w->relay_hour_s ? w->relay_hour_s : (uint64_t)now / 3600 * 3600;
    r.info_reply.ttl_max_s = TACET_TTL_MAX_S;
    answer(w, c, &r, f->id);
}

/* Uploads are taken, and nothing of them is kept: what can be watched is what the test put into w->blob. */
static void on_upload(world *w, connection *c, const frame *f) { answer_ok(w, c, f->id); }

/* Of a blob of one chunk, which is not there yet. */
static void on_status(world *w, connection *c, const frame *f)
{
    static const uint8_t nothing[1];
    frame r = { .kind = FRAME_BLOB_STATUS_REPLY };
    r.blob_status_reply.chunks = 1;
    r.blob_status_reply.first = f->blob_status.first;
    r.blob_status_reply.bits = (view){ nothing, sizeof nothing };
    answer(w, c, &r, f->id);
}

static void on_drop(world *w, connection *c, const frame *f)
{
    w->drops++;
    answer_ok(w, c, f->id);
}

static void on_watch(world *w, connection *c, const frame *f)
{
    frame r = { .kind = FRAME_CHUNK };
    ck_assert_uint_lt(w->watches, ROWS(w->watched));
    memcpy(w->watched[w->watches++], f->watch.capability.at, 32);
    for (size_t i = 0; i < w->blobs; i++) {
        if (memcmp(w->blob[i].capability, f->watch.capability.at, 32) != 0)
            continue;
        answer_ok(w, c, f->id);
        r.chunk.blob = f->watch.blob;
        r.chunk.chunk = (view){ w->blob[i].chunk, w->blob[i].n };
        if (w->blob[i].n)
            answer(w, c, &r, 0);
        return;
    }
    answer_error(w, c, f->id, ERROR_REFUSED);
}

static void on_echo(world *w, connection *c, const frame *f)
{
    frame r = { .kind = FRAME_ECHO_REPLY };
    r.echo.data = f->echo.data;
    answer(w, c, &r, f->id);
}

void relay_frame(world *w, connection *c, const uint8_t *bytes, size_t n)
{
    static const struct {
        frame_kind kind;
        void (*take)(world *w, connection *c, const frame *f);
    } row[] = {
        { FRAME_REGISTER, on_register }, { FRAME_PUBLISH_NAME, on_name }, { FRAME_PUBLISH_PREKEYS, on_prekeys },
        { FRAME_PREKEY_STATUS, counts }, { FRAME_TOKENS, on_tokens },     { FRAME_SUBSCRIBE, on_subscribe },
        { FRAME_ACK, on_ack },           { FRAME_SEND, on_send },         { FRAME_LISTS, on_lists },
        { FRAME_BUNDLE, on_bundle },     { FRAME_LOOKUP, on_lookup },     { FRAME_INFO, on_info },
        { FRAME_ECHO, on_echo },         { FRAME_DEVICES, on_devices },   { FRAME_BLOB_CREATE, on_upload },
        { FRAME_PUT, on_upload },        { FRAME_HAVE, on_upload },       { FRAME_AGAIN, on_upload },
        { FRAME_BLOB_DROP, on_drop },    { FRAME_WATCH, on_watch },       { FRAME_BLOB_STATUS, on_status },
    };
    frame f;
    ck_assert_int_eq(frame_decode(&f, bytes, n), TACET_OK);
    ck_assert(frame_roles(f.kind) & 1u << c->role);
    for (size_t i = 0; i < ROWS(row); i++)
        if (row[i].kind == f.kind) {
            row[i].take(w, c, &f);
            return;
        }
    ck_abort_msg("the relay was asked %s", frame_kind_word(f.kind));
}
