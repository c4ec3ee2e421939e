#include "transcript.h"
#include "harmless.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *word(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));
    return s ? s : "";
}

static time_t time_of(const char *rfc3339)
{
    struct tm utc = { 0 };
    return strptime(rfc3339, "%Y-%m-%dT%H:%M:%S", &utc) ? timegm(&utc) : 0;
}

static char *text_of(const json_t *m, entry_kind kind)
{
    char *text = NULL;
    long long missing = (long long)json_integer_value(json_object_get(m, "missing"));
    if (kind == ENTRY_GAP)
        return asprintf(&text, "── %lld message%s missing ──", missing, missing == 1 ? "" : "s") < 0 ? NULL : text;
    const char *said = json_string_value(json_object_get(m, "text"));
    if (kind == ENTRY_TEXT)
        return harmless_copy(said ? said : "(this needs a newer tacet)", HARMLESS_MANY_LINES, 0);
    char *shown = harmless_copy(said ? said : "", HARMLESS_ONE_LINE, 0);
    if (!shown || asprintf(&text, "── %s ──", shown) < 0)
        text = NULL;
    free(shown);
    return text;
}

static bool entry_fill(entry *e, const json_t *m)
{
    const char *event = word(m, "event"), *sent = word(m, "sent_at");
    *e = (entry){ .kind = strcmp(event, "gap") == 0      ? ENTRY_GAP
                          : strcmp(event, "notice") == 0 ? ENTRY_NOTICE
                                                         : ENTRY_TEXT,
                  .outgoing = json_is_true(json_object_get(m, "outgoing")),
                  .suspect = json_is_true(json_object_get(m, "time_suspect")),
                  .at = time_of(*sent ? sent : word(m, "received_at")) };
    (void)snprintf(e->id, sizeof e->id, "%s", word(m, "id"));
    (void)snprintf(e->state, sizeof e->state, "%s", word(m, "state"));
    e->text = text_of(m, e->kind);
    return e->text != NULL;
}

void transcript_clear(transcript *t)
{
    for (size_t i = 0; i < t->count; i++)
        free(t->item[i].text);
    free(t->item);
    *t = (transcript){ 0 };
}

static bool reserve(transcript *t, size_t more)
{
    if (t->count + more <= t->room)
        return true;
    size_t room = (t->count + more) * 2;
    entry *grown = realloc(t->item, room * sizeof *grown);
    if (!grown)
        return false;
    t->item = grown;
    t->room = room;
    return true;
}

/* Whether a day separator stands above the entry. */
static bool new_day(const transcript *t, size_t i)
{
    struct tm a, b;
    if (i == 0)
        return true;
    if (!localtime_r(&t->item[i - 1].at, &a) || !localtime_r(&t->item[i].at, &b))
        return false;
    return a.tm_year != b.tm_year || a.tm_yday != b.tm_yday;
}

static size_t text_rows(entry *e, size_t columns)
{
    if (e->rows == 0 || e->rows_columns != columns) {
        e->rows = e->kind == ENTRY_TEXT ? line_count(e->text, strlen(e->text), columns) : 1;
        e->rows_columns = columns;
    }
    return e->rows;
}

/* The sentence at the beginning, the day and the text. */
static size_t rows_at(transcript *t, size_t i, size_t columns)
{
    return (i == 0 && t->whole) + (size_t)new_day(t, i) + text_rows(&t->item[i], columns);
}

/* n entries made of a page; NULL: no memory. */
static entry *page_entries(const json_t *page)
{
    size_t n = json_array_size(page), i = 0;
    entry *made = calloc(n + 1, sizeof *made);
    while (made && i < n && entry_fill(&made[i], json_array_get(page, i)))
        i++;
    if (made && i < n) {
        for (size_t k = 0; k < i; k++)
            free(made[k].text);
        free(made);
        made = NULL;
    }
    return made;
}

bool transcript_newest(transcript *t, const json_t *page, size_t asked)
{
    size_t n = json_array_size(page);
    entry *made = page_entries(page);
    if (!made)
        return false;
    transcript_clear(t);
    *t = (transcript){ .item = made, .count = n, .room = n + 1, .whole = n < asked };
    return true;
}

bool transcript_older(transcript *t, const json_t *page, size_t asked, size_t columns)
{
    size_t n = json_array_size(page);
    entry *made = page_entries(page);
    (void)columns;
    if (!made || !reserve(t, n)) {
        for (size_t i = 0; made && i < n; i++)
            free(made[i].text);
        free(made);
        return false;
    }
    memmove(t->item + n, t->item, t->count * sizeof *t->item);
    memcpy(t->item, made, n * sizeof *made);
    t->count += n;
    t->whole = n < asked;
    free(made);
    return true;
}

entry *transcript_find(const transcript *t, const char *id)
{
    for (size_t i = t->count; i-- > 0;)
        if (strcmp(t->item[i].id, id) == 0)
            return &t->item[i];
    return NULL;
}

entry *transcript_add(transcript *t, const json_t *message, size_t columns)
{
    entry made, *there = transcript_find(t, word(message, "id"));
    if (there && *there->id)
        return there;
    if (!reserve(t, 1) || !entry_fill(&made, message))
        return NULL;
    t->item[t->count++] = made;
    if (t->scroll > 0)
        t->scroll += rows_at(t, t->count - 1, columns);
    return &t->item[t->count - 1];
}

void transcript_drop(transcript *t, const char *id)
{
    entry *e = transcript_find(t, id);
    if (!e)
        return;
    free(e->text);
    size_t after = (size_t)(t->item + t->count - (e + 1));
    memmove(e, e + 1, after * sizeof *e);
    t->count--;
}

static int rank(const char *state)
{
    static const char *const order[] = { "waiting", "held", "queued", "stored", "delivered", "read", "expired", "failed" };
    for (int i = 0; i < (int)(sizeof order / sizeof *order); i++)
        if (strcmp(order[i], state) == 0)
            return i;
    return -1;
}

bool transcript_state(transcript *t, const char *id, const char *state)
{
    entry *e = transcript_find(t, id);
    if (e && rank(state) > rank(e->state))
        (void)snprintf(e->state, sizeof e->state, "%s", state);
    return e != NULL;
}

static size_t rows_all(transcript *t, size_t columns)
{
    size_t all = 0;
    for (size_t i = 0; i < t->count; i++)
        all += rows_at(t, i, columns);
    return all;
}

bool transcript_scroll(transcript *t, long rows, size_t columns, size_t height)
{
    size_t all = rows_all(t, columns), most = all > height ? all - height : 0;
    if (rows < 0)
        t->scroll = t->scroll > (size_t)-rows ? t->scroll - (size_t)-rows : 0;
    else
        t->scroll += (size_t)rows;
    if (t->scroll < most)
        return true;
    t->scroll = most;
    return false;
}

void transcript_reveal(transcript *t, const entry *e, size_t columns, size_t height)
{
    size_t below = 0;
    for (size_t i = t->count; i-- > 0 && &t->item[i] != e;)
        below += rows_at(t, i, columns);
    t->scroll = below > height / 2 ? below - height / 2 : 0;
    (void)transcript_scroll(t, 0, columns, height);
}

/* All rows of one entry, in order; *n counts them. */
static void entry_rows(transcript *t, size_t i, size_t columns, size_t from, log_row *out, size_t room, size_t *n)
{
    entry *e = &t->item[i];
    size_t at = 0, last = text_rows(e, columns), k = 0;
    bool begin = i == 0 && t->whole;
    if (begin && at++ >= from && *n < room)
        out[(*n)++] = (log_row){ .kind = ROW_BEGIN, .of = e };
    if (new_day(t, i) && at++ >= from && *n < room)
        out[(*n)++] = (log_row){ .kind = ROW_DAY, .of = e };
    line_walk w = lines_of(e->text, strlen(e->text), columns);
    text_line line = { 0, strlen(e->text), 0 };
    while (k < last && (e->kind != ENTRY_TEXT || line_take(&w, &line))) {
        if (at++ >= from && *n < room)
            out[(*n)++] = (log_row){ .kind = ROW_TEXT, .of = e, .first = k == 0, .last = k + 1 == last, .line = line };
        k++;
    }
}

size_t transcript_rows(transcript *t, size_t columns, size_t height, log_row *out)
{
    (void)transcript_scroll(t, 0, columns, height); /* a resize may have left it beyond the end */
    size_t need = t->scroll + height, have = 0, first = t->count, n = 0;
    while (first > 0 && have < need)
        have += rows_at(t, --first, columns);
    size_t skip = have > need ? have - need : 0, show = have > t->scroll ? have - skip - t->scroll : 0;
    for (size_t i = first; i < t->count && n < show; i++) {
        entry_rows(t, i, columns, i == first ? skip : 0, out, show < height ? show : height, &n);
    }
    return n;
}
