/* One sentence of the table, its places filled. */
#include "base/status.h"
#include "sentence_table.h"
#include <assert.h>
#include <stddef.h>
#include <string.h>

/* Appends as much of `text` as fits; the end of a sentence may be cut, never the code. */
static size_t append(char *out, size_t room, size_t used, const char *text, size_t n)
{
    size_t fits = room - 1 - used < n ? room - 1 - used : n;
    memcpy(out + used, text, fits);
    return used + fits;
}

void sentence_fill(engine_error *out, sentence which, const char *one, const char *two, const char *three)
{
    assert(which < SAY_COUNT && sentence_table[which].code);
    const char *argument[] = { one, two, three };
    size_t used = 0;
    for (const char *p = sentence_table[which].text; *p; p++) {
        if (p[0] == '$' && p[1] >= '1' && p[1] <= '3') {
            const char *a = argument[p[1] - '1'];
            used = append(out->message, sizeof out->message, used, a ? a : "", a ? strlen(a) : 0);
            p++;
        } else {
            used = append(out->message, sizeof out->message, used, p, 1);
        }
    }
    out->message[used] = '\0';
    out->code = sentence_table[which].code;
    out->exit = sentence_table[which].exit;
}

const char *sentence_code(sentence which)
{
    assert(which < SAY_COUNT && sentence_table[which].code);
    return sentence_table[which].code;
}

const char *sentence_text(sentence which)
{
    assert(which < SAY_COUNT && sentence_table[which].code);
    return sentence_table[which].text;
}

void sentence_repeat(engine_error *out, const char *code, int exit, const char *message)
{
    size_t used = append(out->message, sizeof out->message, 0, message, strlen(message));
    out->message[used] = '\0';
    out->exit = exit > EXIT_DONE && exit <= EXIT_TIMEOUT ? exit : EXIT_FAILED;
    out->code = "failed";
    for (int i = 0; code && i < SAY_COUNT; i++)
        if (strcmp(sentence_table[i].code, code) == 0)
            out->code = sentence_table[i].code;
}

sentence sentence_of_status(int status)
{
    static const struct {
        int status;
        sentence say;
    } row[] = {
        { TACET_E_NOMEM, SAY_NO_MEMORY },       { TACET_E_IO, SAY_IO },           { TACET_E_FULL, SAY_DISK_FULL },
        { TACET_E_CORRUPT, SAY_VAULT_DAMAGED }, { TACET_E_LOCKING, SAY_LOCKING }, { TACET_E_READONLY, SAY_READ_ONLY },
        { TACET_E_NEWER, SAY_VAULT_NEWER },     { TACET_E_BUSY, SAY_VAULT_BUSY }, { TACET_E_REFUSED, SAY_VAULT_UNSAFE },
        { TACET_E_PASSPHRASE, SAY_PASSPHRASE },
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++)
        if (row[i].status == status)
            return row[i].say;
    return SAY_INTERNAL;
}
