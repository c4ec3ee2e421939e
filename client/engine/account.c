/* Who we are: keys, name, relay, own device list. The secrets are one blob in the vault and live in the arena while the engine runs. */
#include "state.h"
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

/* Names of settings in the vault. */
#define SET_STAGE "stage"
#define SET_NAME "name"
#define SET_RELAY "relay"
#define SET_DEVICE "device"
#define SET_SECRETS "secrets"
#define SET_LIST "list"
#define SET_TOKEN "request_token"
#define SET_LISTED "listed"
#define SET_READ "read_receipts"
#define SET_PROXY "proxy"

void account_forget(engine *e)
{
    if (e->arena)
        e->me.secret = secret_free(e->arena, e->me.secret);
    memset(&e->me, 0, sizeof e->me);
}

static int load_text(engine *e, const char *name, char *out, size_t room)
{
    size_t n = 0;
    int rc = vault_setting_get(e->vault, name, out, room - 1, &n);
    if (rc == TACET_OK)
        out[n] = '\0';
    return rc;
}

static int load_exact(engine *e, const char *name, void *out, size_t bytes)
{
    size_t n = 0;
    int rc = vault_setting_get(e->vault, name, out, bytes, &n);
    return rc == TACET_OK && n != bytes ? TACET_E_CORRUPT : rc;
}

/* Not there: none was said at init. */
static int load_proxy(engine *e)
{
    int rc = load_text(e, SET_PROXY, e->me.proxy, sizeof e->me.proxy);
    return rc == TACET_E_NOT_FOUND ? TACET_OK : rc;
}

static int load_all(engine *e)
{
    own_account *me = &e->me;
    uint64_t stage = 0, device = 0, listed = 0, read = 1;
    int rc = vault_number_get(e->vault, SET_STAGE, &stage);
    if (rc == TACET_OK)
        rc = vault_number_get(e->vault, SET_DEVICE, &device);
    if (rc == TACET_OK)
        rc = vault_number_get(e->vault, SET_LISTED, &listed);
    if (rc == TACET_OK)
        rc = vault_number_get(e->vault, SET_READ, &read);
    if (rc == TACET_OK)
        rc = load_text(e, SET_NAME, me->name, sizeof me->name);
    if (rc == TACET_OK)
        rc = load_text(e, SET_RELAY, me->relay_text, sizeof me->relay_text);
    if (rc == TACET_OK)
        rc = load_proxy(e);
    if (rc == TACET_OK)
        rc = load_exact(e, SET_TOKEN, me->request_token, sizeof me->request_token);
    if (rc == TACET_OK)
        rc = vault_setting_get(e->vault, SET_LIST, me->signed_list, sizeof me->signed_list, &me->signed_list_bytes);
    if (rc == TACET_OK)
        rc = load_exact(e, SET_SECRETS, me->secret, sizeof *me->secret);
    if (rc != TACET_OK)
        return rc;
    me->stage = (unsigned)stage;
    me->device = (uint32_t)device;
    me->listed = listed != 0;
    me->read_receipts = read != 0;
    return relay_address_parse(&me->relay, me->relay_text) == TACET_OK &&
                   device_list_decode(&me->list, me->signed_list, me->signed_list_bytes) == TACET_OK && device_list_find(&me->list, me->device)
               ? TACET_OK
               : TACET_E_CORRUPT;
}

int account_load(engine *e)
{
    uint64_t stage = ACCOUNT_NONE;
    account_forget(e);
    e->me.secret = secret_alloc(e->arena, sizeof *e->me.secret);
    if (!e->me.secret)
        return TACET_E_NOMEM;
    int rc = vault_number_get(e->vault, SET_STAGE, &stage);
    if (rc == TACET_E_NOT_FOUND)
        return TACET_OK; /* a fresh vault */
    if (rc == TACET_OK)
        rc = load_all(e);
    return rc == TACET_E_NOT_FOUND ? TACET_E_CORRUPT : rc;
}

int account_store(engine *e)
{
    const own_account *me = &e->me;
    const struct {
        const char *name;
        const void *value;
        size_t bytes;
    } blob[] = {
        { SET_NAME, me->name, strlen(me->name) },
        { SET_RELAY, me->relay_text, strlen(me->relay_text) },
        { SET_PROXY, me->proxy, strlen(me->proxy) },
        { SET_TOKEN, me->request_token, sizeof me->request_token },
        { SET_LIST, me->signed_list, me->signed_list_bytes },
    };
    const struct {
        const char *name;
        uint64_t value;
    } number[] = { { SET_STAGE, me->stage }, { SET_DEVICE, me->device }, { SET_LISTED, me->listed }, { SET_READ, me->read_receipts } };
    int rc = TACET_OK;
    for (size_t i = 0; rc == TACET_OK && i < sizeof blob / sizeof *blob; i++)
        rc = vault_setting_put(e->vault, blob[i].name, blob[i].value, blob[i].bytes);
    for (size_t i = 0; rc == TACET_OK && i < sizeof number / sizeof *number; i++)
        rc = vault_number_put(e->vault, number[i].name, number[i].value);
    return rc;
}

int account_device_keys(engine *e)
{
    own_secrets *mine = e->me.secret;
    sign_pair *sign = secret_alloc(e->arena, sizeof *sign);
    dh_pair *dh = secret_alloc(e->arena, sizeof *dh);
    int rc = sign && dh ? TACET_OK : TACET_E_NOMEM;
    if (rc == TACET_OK) {
        sign_pair_generate(sign, e->env);
        memcpy(mine->sign, sign->secret, sizeof mine->sign);
        dh_pair_generate(dh, e->env);
        memcpy(mine->dh, dh->secret, sizeof mine->dh);
        dh_pair_generate(dh, e->env);
        memcpy(mine->transport, dh->secret, sizeof mine->transport);
    }
    secret_free(e->arena, sign);
    secret_free(e->arena, dh);
    return rc;
}

int account_device(const engine *e, device_entry *out)
{
    const own_secrets *mine = e->me.secret;
    device_entry d = { .id = 1, .lowest = TACET_WIRE_VERSION, .highest = TACET_WIRE_VERSION, .created_s = now_s(e) };
    memcpy(d.sign, mine->sign + 32, sizeof d.sign); /* libsodium's form ends with the public key */
    if (crypto_scalarmult_base(d.dh, mine->dh) != 0 || crypto_scalarmult_base(d.transport, mine->transport) != 0)
        return TACET_E_BUG;
    *out = d;
    return TACET_OK;
}

/* Four key pairs, none of which serves two purposes, and a list that names this one device. */
static int make_keys(engine *e)
{
    own_account *me = &e->me;
    sign_pair *ik = secret_alloc(e->arena, sizeof *ik);
    int rc = TACET_E_NOMEM;
    if (ik) {
        sign_pair_generate(ik, e->env);
        rc = account_device_keys(e);
    }
    if (rc == TACET_OK) {
        memcpy(me->secret->ik, ik->secret, sizeof me->secret->ik);
        me->list = (device_list){ .version = 1, .count = 1 };
        memcpy(me->list.ik, ik->public, sizeof me->list.ik);
        rc = account_device(e, &me->list.device[0]);
        me->device = me->list.device[0].id;
    }
    if (rc == TACET_OK)
        rc = device_list_sign(&me->list, me->signed_list, &me->signed_list_bytes, me->secret->ik);
    secret_free(e->arena, ik);
    return rc;
}

int account_store_secrets(engine *e) { return vault_setting_put(e->vault, SET_SECRETS, e->me.secret, sizeof *e->me.secret); }

int account_make(engine *e, const relay_address *relay, const char *name, bool listed)
{
    own_account *me = &e->me;
    char text[TACET_LINK_MAX_CHARS + 1];
    relay_address_format(text, relay);
    if (strlen(text) > TACET_RELAY_ADDRESS_MAX_BYTES || strlen(name) > TACET_NAME_MAX_CHARS)
        return TACET_E_BUG;
    memcpy(me->relay_text, text, strlen(text) + 1);
    me->relay = *relay;
    memset(me->name, 0, sizeof me->name);
    memcpy(me->name, name, strlen(name));
    text_put(me->proxy, sizeof me->proxy, e->proxy); /* what was said at init holds for good */
    me->listed = listed;
    me->read_receipts = true;
    me->stage = ACCOUNT_MADE;
    env_random(e->env, me->request_token, sizeof me->request_token);
    vault_token wish = { .kind = TOKEN_REQUEST, .add = true };
    token_hash(wish.hash, me->request_token);
    int rc = make_keys(e);
    if (rc == TACET_OK)
        rc = account_store_secrets(e);
    if (rc == TACET_OK)
        rc = account_store(e);
    if (rc == TACET_OK)
        rc = vault_token_put(e->vault, &wish);
    if (rc == TACET_OK)
        rc = prekeys_first(e);
    return rc;
}

/* --- replaced ------------------------------------------------------------------------------------------------------------------------ */
static int nothing_leaves(engine *e)
{
    int64_t *ids = NULL;
    size_t count = 0;
    int rc = contacts_all(e->vault, &ids, &count);
    for (size_t i = 0; rc == TACET_OK && i < count; i++) {
        vault_contact c;
        rc = vault_contact_get(e->vault, ids[i], &c);
        if (rc == TACET_OK)
            rc = outbox_cancel(e, &c, VAULT_FAILED);
    }
    free(ids);
    return rc;
}

void account_replaced(engine *e)
{
    engine_error error;
    unsigned before = e->me.stage;
    e->me.stage = ACCOUNT_REPLACED;
    int rc = txn_begin(e);
    if (rc == TACET_OK) {
        rc = account_store(e);
        if (rc == TACET_OK)
            rc = nothing_leaves(e);
        rc = txn_end(e, rc);
    }
    if (rc != TACET_OK) {
        e->me.stage = before;
        engine_fail(e, rc);
        mailbox_break(e);
        return;
    }
    e->lane_count = 0;
    slot_close(e, e->mailbox);
    e->slots[e->mailbox].used = false;
    e->mailbox = ENGINE_SLOTS_MAX;
    sentence_fill(&error, SAY_REPLACED, NULL, NULL, NULL);
    emit(e, json_error(&error));
    e->woken = true;
}

party account_party(const engine *e)
{
    party p = { .account = e->me.list.account, .device = e->me.device, .list_version = e->me.list.version };
    const device_entry *d = device_list_find(&e->me.list, e->me.device);
    memcpy(p.ik, e->me.list.ik, sizeof p.ik);
    if (d)
        memcpy(p.dh, d->dh, sizeof p.dh);
    return p;
}

void account_link(const engine *e, char text[TACET_LINK_MAX_CHARS + 1])
{
    contact_link l = { .relay = e->me.relay, .account = e->me.list.account };
    memcpy(l.name, e->me.name, sizeof l.name);
    memcpy(l.request_token, e->me.request_token, sizeof l.request_token);
    contact_link_format(text, &l);
}

json_t *account_json(const engine *e)
{
    char link[TACET_LINK_MAX_CHARS + 1], account[BASE32_CHARS(TACET_ACCOUNT_BYTES) + 1];
    account_link(e, link);
    base32_encode(account, e->me.list.account.bytes, sizeof e->me.list.account.bytes);
    json_t *o = json_event("whoami"), *devices = json_array();
    for (uint8_t i = 0; i < e->me.list.count; i++) {
        json_t *d = json_object();
        json_object_set_new(d, "id", json_integer(e->me.list.device[i].id));
        json_object_set_new(d, "created_at", json_time(e->me.list.device[i].created_s * 1000));
        json_array_append_new(devices, d);
    }
    json_object_set_new(o, "name", json_string(e->me.name));
    json_object_set_new(o, "account", json_string(account));
    json_object_set_new(o, "link", json_string(link));
    json_object_set_new(o, "relay", json_string(e->me.relay_text));
    json_object_set_new(o, "listed", json_boolean(e->me.listed));
    json_object_set_new(o, "devices", devices);
    return o;
}

void call_whoami(engine *e, json_t *params, engine_done done, void *ctx)
{
    (void)params;
    complete(e, done, ctx, account_json(e), NULL);
}
