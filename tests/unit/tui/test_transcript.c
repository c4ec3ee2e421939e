/* The transcript: pages, places that do not move, receipts that do not go back. */
#include "suite.h"
#include "transcript.h"
#include <locale.h>
#include <string.h>

static json_t *message(int number, const char *text)
{
    char id[33], at[40];
    snprintf(id, sizeof id, "%032d", number);
    snprintf(at, sizeof at, "2026-01-%02dT10:%02d:00Z", 1 + number / 100, number % 60);
    return json_pack("{s:s,s:s,s:s,s:s,s:b,s:s}", "event", "message", "id", id, "text", text, "sent_at", at, "outgoing", number % 2, "state",
                     "queued");
}

static json_t *page(int from, int to)
{
    json_t *all = json_array();
    for (int i = from; i < to; i++) {
        char text[40];
        snprintf(text, sizeof text, "number %d", i);
        json_array_append_new(all, message(i, text));
    }
    return all;
}

static transcript t;
static void begin(void)
{
    ck_assert_ptr_nonnull(setlocale(LC_CTYPE, "C.UTF-8"));
    t = (transcript){ 0 };
    json_t *p = page(250, 350);
    ck_assert(transcript_page(&t, PAGE_NEWEST, p, 100, 40));
    json_decref(p);
}

static void shows(size_t height, const char *first, const char *last)
{
    log_row rows[50];
    size_t n = transcript_rows(&t, 40, height, rows);
    ck_assert_uint_eq(n, height);
    ck_assert_str_eq(rows[0].of->text, first);
    ck_assert_str_eq(rows[n - 1].of->text, last);
}

START_TEST(scrolls_and_grows_at_both_ends)
{
    begin();
    shows(10, "number 340", "number 349");
    ck_assert(transcript_scroll(&t, 20, 40, 10));
    shows(10, "number 320", "number 329");
    json_t *m = message(350, "comes meanwhile");
    ck_assert_ptr_nonnull(transcript_add(&t, m, 40));
    ck_assert_ptr_nonnull(transcript_add(&t, m, 40)); /* twice is once */
    json_decref(m);
    ck_assert_uint_eq(t.count, 101);
    shows(10, "number 320", "number 329"); /* the view has not moved */
    ck_assert(!transcript_scroll(&t, 1000, 40, 10));
    json_t *p = page(200, 250);
    ck_assert(transcript_page(&t, PAGE_OLDER, p, 100, 40));
    json_decref(p);
    ck_assert(t.whole);
    ck_assert(transcript_scroll(&t, -100000, 40, 10));
    shows(10, "number 341", "comes meanwhile");
    transcript_reveal(&t, transcript_find(&t, "00000000000000000000000000000210"), 40, 10);
    log_row rows[10];
    size_t n = transcript_rows(&t, 40, 10, rows), seen = 0;
    for (size_t i = 0; i < n; i++)
        seen += strcmp(rows[i].of->text, "number 210") == 0;
    ck_assert_uint_eq(seen, 1);
    transcript_clear(&t);
}
END_TEST

START_TEST(receipts_only_go_up)
{
    static const struct {
        const char *state, *want;
    } row[] = { { "stored", "stored" }, { "queued", "stored" }, { "read", "read" }, { "delivered", "read" }, { "nonsense", "read" } };
    begin();
    const char *id = "00000000000000000000000000000301";
    for (size_t i = 0; i < ROWS(row); i++) {
        ck_assert(transcript_state(&t, id, row[i].state));
        ck_assert_str_eq(transcript_find(&t, id)->state, row[i].want);
    }
    ck_assert(!transcript_state(&t, "0", "read"));
    transcript_drop(&t, id);
    ck_assert_ptr_null(transcript_find(&t, id));
    transcript_clear(&t);
}
END_TEST

START_TEST(every_place_and_width_fills_the_screen)
{
    begin();
    json_t *m = message(351, "a much longer text, with 漢字 and 😀, that needs several rows\nand has a line of its own");
    ck_assert_ptr_nonnull(transcript_add(&t, m, 40));
    json_decref(m);
    log_row rows[50];
    for (size_t columns = 2; columns < 60; columns++)
        for (size_t height = 1; height < 30; height += 3)
            for (size_t scroll = 0; scroll < 120; scroll += 7) {
                t.scroll = scroll;
                ck_assert_uint_eq(transcript_rows(&t, columns, height, rows), height);
            }
    transcript_clear(&t);
}
END_TEST

START_TEST(P05_texts_are_harmless_and_gaps_are_marked)
{
    json_t *p = json_pack("[{s:s,s:s,s:s},{s:s,s:i,s:s},{s:s,s:s}]", "event", "message", "id", "1", "text", "\033]0;title\007\u202e", "event", "gap",
                          "missing", 2, "id", "2", "event", "notice", "text", "history\nforked");
    ck_assert_ptr_nonnull(p);
    t = (transcript){ 0 };
    ck_assert(transcript_page(&t, PAGE_NEWEST, p, 100, 40));
    json_decref(p);
    ck_assert_str_eq(t.item[0].text, "\\x1b]0;title\\x07\\u{202e}");
    ck_assert_str_eq(t.item[1].text, "── 2 messages missing ──");
    ck_assert_str_eq(t.item[2].text, "── history\\nforked ──");
    transcript_clear(&t);
}
END_TEST

/* A long way up and down again: never more than TRANSCRIPT_MAX entries, every step shows what follows, and the ends are known. */
START_TEST(a_long_history_is_a_window)
{
    ck_assert_ptr_nonnull(setlocale(LC_CTYPE, "C.UTF-8"));
    t = (transcript){ 0 };
    json_t *p = page(9800, 10000);
    ck_assert(transcript_page(&t, PAGE_NEWEST, p, 200, 40));
    json_decref(p);
    ck_assert(t.newest && !t.whole);
    for (int first = 9800; first > 0; first -= 200) {
        (void)transcript_scroll(&t, 1000000, 40, 10);
        log_row before[10], after[10];
        size_t n = transcript_rows(&t, 40, 10, before);
        char top[16], below[16];
        snprintf(top, sizeof top, "%s", before[n - 1].of->text);
        p = page(first - 200, first);
        ck_assert(transcript_page(&t, PAGE_OLDER, p, 200, 40));
        json_decref(p);
        n = transcript_rows(&t, 40, 10, after);
        snprintf(below, sizeof below, "%s", after[n - 1].of->text);
        ck_assert_str_eq(top, below); /* the view has not moved */
        ck_assert_uint_le(t.count, TRANSCRIPT_MAX);
    }
    ck_assert(!t.newest);
    ck_assert(!t.whole);
    p = page(0, 0);
    ck_assert(transcript_page(&t, PAGE_OLDER, p, 200, 40));
    json_decref(p);
    ck_assert(t.whole);
    ck_assert_str_eq(t.item[0].text, "number 0");
    for (int at = TRANSCRIPT_MAX - 1; at < 9999; at += 199) {
        (void)transcript_scroll(&t, -1000000, 40, 10);
        log_row before[10], after[10];
        size_t n = transcript_rows(&t, 40, 10, before);
        const char *last = before[n - 1].of->text;
        char name[16];
        snprintf(name, sizeof name, "number %d", at);
        ck_assert_str_eq(last, name);
        p = page(at, at + 200 < 10000 ? at + 200 : 10000); /* its first one is there already */
        ck_assert(transcript_page(&t, PAGE_NEWER, p, 200, 40));
        json_decref(p);
        n = transcript_rows(&t, 40, 10, after);
        ck_assert_str_eq(after[n - 1].of->text, name);
        ck_assert_uint_le(t.count, TRANSCRIPT_MAX);
    }
    ck_assert(t.newest);
    ck_assert(!t.whole);
    ck_assert_str_eq(t.item[t.count - 1].text, "number 9999");
    transcript_clear(&t);
}
END_TEST

START_TEST(P05_files_move_on_and_their_names_are_harmless)
{
    json_t *p = json_pack("[{s:s,s:s,s:s,s:s,s:I,s:i},{s:s,s:s,s:s,s:s,s:i,s:b}]", "event", "file", "id", "f", "name", "a\033[2J\n.txt", "state",
                          "offered", "size", (json_int_t)412 << 20, "have", 0, "event", "file", "id", "g", "name", "mine", "state", "sending", "size",
                          10, "outgoing", 1);
    t = (transcript){ 0 };
    ck_assert_ptr_nonnull(p);
    ck_assert(transcript_page(&t, PAGE_NEWEST, p, 100, 40));
    json_decref(p);
    ck_assert_str_eq(t.item[0].text, "▤ a\\x1b[2J\\n.txt  412 MiB");
    json_t *progress = json_pack("{s:s,s:s,s:i,s:i,s:i}", "event", "progress", "id", "f", "have", 1, "of", 4, "bytes_per_s", 1000);
    ck_assert(transcript_file(&t, progress));
    json_decref(progress);
    ck_assert_uint_eq(t.item[0].have, (uint64_t)103 << 20);
    ck_assert_uint_eq(t.item[0].bytes_per_s, 1000);
    json_t *done = json_pack("{s:s,s:s,s:s,s:s}", "event", "file", "id", "f", "state", "complete", "saved_to", "/home/x/\033]0;t\007");
    ck_assert(transcript_file(&t, done));
    json_decref(done);
    ck_assert_str_eq(t.item[0].state, "complete");
    ck_assert_str_eq(t.item[0].saved, "/home/x/\\x1b]0;t\\x07");
    log_row rows[10];
    size_t n = transcript_rows(&t, 60, 10, rows), bars = 0;
    for (size_t i = 0; i < n; i++)
        bars += rows[i].kind == ROW_FILE;
    ck_assert_uint_eq(bars, 2);
    transcript_clear(&t);
}
END_TEST

SUITE("transcript", TEST(scrolls_and_grows_at_both_ends), TEST(receipts_only_go_up), TEST(every_place_and_width_fills_the_screen),
      TEST(P05_texts_are_harmless_and_gaps_are_marked), TEST(a_long_history_is_a_window), TEST(P05_files_move_on_and_their_names_are_harmless))
