/* history-fill HOME NAME COUNT: writes COUNT messages into the conversation NAME of the profile HOME/default, half of them incoming, as if they had
 * come over years: made up words whose frequencies fall as those of a language do. For measuring; nothing may run on the profile meanwhile. */
#include "base/env.h"
#include "engine/unlock.h"
#include "storage/vault.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { WORDS = 20000, WORDS_IN_TEXT_MAX = 18, IN_ONE_TRANSACTION = 20000, MINUTES_APART = 3 };

static uint64_t state = 0x9e3779b97f4a7c15u;

/* xorshift64*. */
static uint64_t draw(void)
{
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return state * 0x2545f4914f6cdd1du;
}

/* Word number n, of syllables. */
static size_t word(char *out, uint64_t n)
{
    static const char consonant[] = "bdfghklmnprstvwz", vowel[] = "aeiou";
    size_t at = 0;
    for (n += 7; n > 0; n /= 80) {
        out[at++] = consonant[n % 16];
        out[at++] = vowel[n / 16 % 5];
    }
    return at;
}

static size_t text_make(char *out)
{
    size_t at = 0, words = 1 + draw() % WORDS_IN_TEXT_MAX;
    for (size_t i = 0; i < words; i++) {
        uint64_t bound = 1 + draw() % WORDS; /* twice: low numbers are frequent */
        at += word(out + at, draw() % bound);
        out[at++] = ' ';
    }
    return at - 1;
}

static int message_put(vault *v, int64_t contact, uint64_t number, uint64_t at_ms)
{
    char text[WORDS_IN_TEXT_MAX * 12];
    vault_message m = {
        .contact = contact, .kind = VAULT_TEXT, .handed = true, .read = true, .outgoing = number % 2, .time_ms = at_ms, .received_ms = at_ms
    };
    uint64_t id[2] = { draw(), number };
    memcpy(m.id, id, sizeof m.id);
    m.state = m.outgoing ? VAULT_READ : VAULT_RECEIVED;
    m.text = (vault_blob){ (const uint8_t *)text, text_make(text) };
    return vault_message_add(v, &m);
}

static int fill(vault *v, int64_t contact, uint64_t count)
{
    uint64_t now_ms = (uint64_t)time(NULL) * 1000, step_ms = MINUTES_APART * 60000ull;
    int rc = TACET_OK;
    state ^= now_ms; /* filled twice, it has twice as many */
    for (uint64_t i = 0; rc == TACET_OK && i < count; i++) {
        if (i % IN_ONE_TRANSACTION == 0)
            rc = vault_begin(v);
        if (rc == TACET_OK)
            rc = message_put(v, contact, i, now_ms - (count - i) * step_ms);
        if (rc == TACET_OK && (i % IN_ONE_TRANSACTION == IN_ONE_TRANSACTION - 1 || i + 1 == count))
            rc = vault_commit(v);
    }
    return rc;
}

int main(int argc, char **argv)
{
    profile p;
    engine_error error = { 0 };
    uint8_t key[TACET_DATABASE_KEY_BYTES];
    vault *v = NULL;
    vault_contact c;
    if (argc != 4) {
        fprintf(stderr, "usage: history-fill HOME NAME COUNT\n");
        return EXIT_USAGE;
    }
    if (profile_open(&p, argv[1], "default", false, &error) != TACET_OK || unlock_open(&p, NULL, key, NULL, &error) != TACET_OK) {
        fprintf(stderr, "history-fill: %s\n", error.message);
        return error.exit;
    }
    int rc = vault_open(&v, p.vault, key);
    if (rc == TACET_OK)
        rc = vault_contact_by_alias(v, argv[2], &c);
    if (rc == TACET_OK)
        rc = fill(v, c.id, strtoull(argv[3], NULL, 10));
    vault_close(v);
    profile_close(&p);
    if (rc != TACET_OK)
        fprintf(stderr, "history-fill: status %d\n", rc);
    return rc == TACET_OK ? EXIT_DONE : EXIT_FAILED;
}
