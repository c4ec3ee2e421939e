#include "transcript.h"
#include "engine/sentences.h"
#include "field.h"
#include "harmless.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static time_t time_of(const char *rfc3339)
{
    struct tm utc = { 0 };
    return strptime(rfc3339, "%Y-%m-%dT%H:%M:%S", &utc) ? timegm(&utc) : 0;
}

void bytes_say(char *out, uint64_t bytes)
{
    static const char *const unit[] = { "B", "KiB", "MiB", "GiB", "TiB" };
    size_t u = 0;
    double n = (double)bytes;
    while (n >= 1000 && u + 1 < sizeof unit / sizeof *unit) {
        n /= 1024;
        u++;
    }
    (void)snprintf(out, 24, u && n < 10 ? "%.1f %s" : "%.0f %s", n, unit[u]);
}

static uint64_t number(const json_t *o, const char *key)
{
    json_int_t n = json_integer_value(json_object_get(o, key));
    return n > 0 ? (uint64_t)n : 0;
}

static char *file_text(const entry *e)
{
    char *text = NULL, size[24];
    bytes_say(size, e->size);
    return asprintf(&text, "▤ %s  %s", e->name, size) < 0 ? NULL : text;
}

static char *shown_text(const json_t *m, entry_kind kind)
{
    char *text = NULL;
    long long missing = (long long)json_integer_value(json_object_get(m, "missing"));
    if (kind == ENTRY_GAP)
        return asprintf(&text, "── %lld message%s missing ──", missing, missing == 1 ? "" : "s") < 0 ? NULL : text;
    const char *said = json_string_value(json_object_get(m, "text"));
    if (kind == ENTRY_TEXT)
        return harmless_copy(said ? said : sentence_text(SAY_TEXT_NEWER), HARMLESS_MANY_LINES, 0);
    char *shown = harmless_copy(said ? said : "", HARMLESS_ONE_LINE, 0);
    if (!shown || asprintf(&text, "── %s ──", shown) < 0)
        text = NULL;
    free(shown);
    return text;
}

static void entry_free(entry *e)
{
    free(e->text);
    free(e->name);
    free(e->saved);
}

/* What a `file` or `progress` object says about how far it is. */
static void file_progress(entry *e, const json_t *o)
{
    const char *state = text_of(o, "state"), *saved = json_string_value(json_object_get(o, "saved_to"));
    uint64_t of = number(o, "of"), have = number(o, "have");
    if (*state)
        (void)snprintf(e->state, sizeof e->state, "%s", state);
    else if (of)
        (void)snprintf(e->state, sizeof e->state, "%s", e->outgoing ? "sending" : "receiving");
    (void)snprintf(e->trouble, sizeof e->trouble, "%s", text_of(o, "trouble")); /* one of our own words */
    if (json_object_get(o, "have"))                                             /* progress counts chunks */
        e->have = of ? (uint64_t)((double)e->size * (double)(have < of ? have : of) / (double)of) : have;
    if (e->have > e->size)
        e->have = e->size;
    e->bytes_per_s = number(o, "bytes_per_s");
    if (saved) {
        free(e->saved);
        e->saved = harmless_copy(saved, HARMLESS_ONE_LINE, 0);
    }
}

static int day_of(time_t at)
{
    struct tm local;
    return localtime_r(&at, &local) ? local.tm_year * 366 + local.tm_yday : 0;
}

static entry_kind kind_of(const char *event)
{
    static const struct {
        const char *event;
        entry_kind kind;
    } row[] = { { "gap", ENTRY_GAP }, { "notice", ENTRY_NOTICE }, { "file", ENTRY_FILE } };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++)
        if (strcmp(row[i].event, event) == 0)
            return row[i].kind;
    return ENTRY_TEXT;
}

static bool entry_fill(entry *e, const json_t *m)
{
    const char *sent = text_of(m, "sent_at");
    *e = (entry){ .kind = kind_of(text_of(m, "event")),
                  .outgoing = json_is_true(json_object_get(m, "outgoing")),
                  .suspect = json_is_true(json_object_get(m, "time_suspect")),
                  .at = time_of(*sent ? sent : text_of(m, "received_at")),
                  .size = number(m, "size") };
    e->day = day_of(e->at);
    (void)snprintf(e->id, sizeof e->id, "%s", text_of(m, "id"));
    (void)snprintf(e->state, sizeof e->state, "%s", text_of(m, "state"));
    if (e->kind == ENTRY_FILE) {
        e->name = harmless_copy(text_of(m, "name"), HARMLESS_ONE_LINE, 0);
        file_progress(e, m);
    }
    e->text = e->kind != ENTRY_FILE ? shown_text(m, e->kind) : e->name ? file_text(e) : NULL;
    if (!e->text)
        entry_free(e);
    return e->text != NULL;
}

void transcript_clear(transcript *t)
{
    for (size_t i = 0; i < t->count; i++)
        entry_free(&t->item[i]);
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
static bool new_day(const transcript *t, size_t i) { return i == 0 || t->item[i - 1].day != t->item[i].day; }

static size_t text_rows(entry *e, size_t columns)
{
    if (e->rows == 0 || e->rows_columns != columns) {
        bool wraps = e->kind == ENTRY_TEXT || e->kind == ENTRY_FILE;
        e->rows = (wraps ? line_count(e->text, strlen(e->text), columns) : 1) + (e->kind == ENTRY_FILE);
        e->rows_columns = columns;
    }
    return e->rows;
}

/* The sentence at the beginning, the day and the text. */
static size_t rows_at(transcript *t, size_t i, size_t columns)
{
    return (i == 0 && t->whole) + (size_t)new_day(t, i) + text_rows(&t->item[i], columns);
}

static size_t rows_all(transcript *t, size_t columns)
{
    size_t all = 0;
    for (size_t i = 0; i < t->count; i++)
        all += rows_at(t, i, columns);
    return all;
}

static void entries_free(entry *made, size_t n)
{
    for (size_t i = 0; made && i < n; i++)
        entry_free(&made[i]);
    free(made);
}

/* The entries of page[from..n); NULL: no memory. */
static entry *page_entries(const json_t *page, size_t from, size_t n)
{
    entry *made = calloc(n - from + 1, sizeof *made);
    for (size_t i = from; made && i < n; i++)
        if (!entry_fill(&made[i - from], json_array_get(page, i))) {
            entries_free(made, i - from);
            return NULL;
        }
    return made;
}

/* What is too much at the end, or at the beginning. */
static void let_go(transcript *t, bool end, size_t columns)
{
    size_t more = t->count > TRANSCRIPT_MAX ? t->count - TRANSCRIPT_MAX : 0, before = more && end ? rows_all(t, columns) : 0;
    entry *gone = end ? t->item + TRANSCRIPT_MAX : t->item;
    if (more == 0)
        return;
    for (size_t i = 0; i < more; i++)
        entry_free(&gone[i]);
    t->count -= more;
    if (end) {
        size_t below = before - rows_all(t, columns);
        t->scroll = t->scroll > below ? t->scroll - below : 0;
        t->newest = false;
    } else {
        memmove(t->item, t->item + more, t->count * sizeof *t->item);
        t->whole = false;
    }
}

bool transcript_page(transcript *t, page_kind kind, const json_t *page, size_t asked, size_t columns)
{
    size_t n = json_array_size(page), from = 0;
    bool ends = n < asked;
    if (kind == PAGE_NEWER && n > 0 && t->count > 0 && strcmp(text_of(json_array_get(page, 0), "id"), t->item[t->count - 1].id) == 0)
        from = 1;
    entry *made = page_entries(page, from, n);
    if (!made)
        return false;
    if (kind == PAGE_NEWEST || kind == PAGE_MIDDLE) {
        transcript_clear(t);
        *t = (transcript){ .item = made, .count = n, .room = n + 1, .whole = kind == PAGE_NEWEST && ends, .newest = kind == PAGE_NEWEST || ends };
        return true;
    }
    size_t more = n - from, at = kind == PAGE_OLDER ? 0 : t->count, before = kind == PAGE_NEWER ? rows_all(t, columns) : 0;
    if (!reserve(t, more)) {
        entries_free(made, more);
        return false;
    }
    memmove(t->item + at + more, t->item + at, (t->count - at) * sizeof *t->item);
    memcpy(t->item + at, made, more * sizeof *made);
    free(made);
    t->count += more;
    if (kind == PAGE_OLDER)
        t->whole = ends;
    else
        t->newest = ends;
    if (kind == PAGE_NEWER)
        t->scroll += rows_all(t, columns) - before;
    let_go(t, kind == PAGE_OLDER, columns);
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
    entry made, *there = transcript_find(t, text_of(message, "id"));
    if (there && *there->id)
        return there;
    if (!reserve(t, 1) || !entry_fill(&made, message))
        return NULL;
    t->item[t->count++] = made;
    if (t->scroll > 0)
        t->scroll += rows_at(t, t->count - 1, columns);
    else
        let_go(t, false, columns);
    return &t->item[t->count - 1];
}

void transcript_drop(transcript *t, const char *id)
{
    entry *e = transcript_find(t, id);
    if (!e)
        return;
    entry_free(e);
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
    if (e && (e->kind == ENTRY_FILE || rank(state) > rank(e->state)))
        (void)snprintf(e->state, sizeof e->state, "%s", state);
    return e != NULL;
}

bool transcript_file(transcript *t, const json_t *file)
{
    entry *e = transcript_find(t, text_of(file, "id"));
    if (!e || e->kind != ENTRY_FILE)
        return false;
    file_progress(e, file);
    return true;
}

entry *transcript_file_named(const transcript *t, const char *name, bool (*fits)(const entry *e))
{
    for (size_t i = t->count; i-- > 0;) {
        entry *e = &t->item[i];
        if (e->kind == ENTRY_FILE && fits(e) && (!*name || strcmp(name, e->name) == 0 || strcmp(name, e->id) == 0))
            return e;
    }
    return NULL;
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
    size_t at = 0, last = text_rows(e, columns) - (e->kind == ENTRY_FILE), k = 0;
    bool wraps = e->kind == ENTRY_TEXT || e->kind == ENTRY_FILE;
    bool begin = i == 0 && t->whole;
    if (begin && at++ >= from && *n < room)
        out[(*n)++] = (log_row){ .kind = ROW_BEGIN, .of = e };
    if (new_day(t, i) && at++ >= from && *n < room)
        out[(*n)++] = (log_row){ .kind = ROW_DAY, .of = e };
    line_walk w = lines_of(e->text, strlen(e->text), columns);
    text_line line = { 0, strlen(e->text), 0 };
    while (k < last && (!wraps || line_take(&w, &line))) {
        if (at++ >= from && *n < room)
            out[(*n)++] = (log_row){ .kind = ROW_TEXT, .of = e, .first = k == 0, .last = k + 1 == last, .line = line };
        k++;
    }
    if (e->kind == ENTRY_FILE && at >= from && *n < room)
        out[(*n)++] = (log_row){ .kind = ROW_FILE, .of = e };
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
