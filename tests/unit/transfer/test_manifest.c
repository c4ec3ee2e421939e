/* The manifest of a folder: every rule of PROTOCOL.md §8.1, every truncation, and finding one's way in the stream. */
#include "suite.h"
#include "transfer/manifest.h"
#include <string.h>

typedef struct {
    manifest_kind kind;
    const char *path;
    uint64_t size;
    uint32_t mode;
} line;

static void put(manifest_out *m, const line *l)
{
    manifest_entry e = { l->kind, l->mode, 1700000000, l->size, l->path, (uint16_t)strlen(l->path) };
    ck_assert_int_eq(manifest_add(m, &e), TACET_OK);
}

#define F(path, size)                                                                                                                                \
    {                                                                                                                                                \
        MANIFEST_FILE, path, size, 0644                                                                                                              \
    }
#define D(path)                                                                                                                                      \
    {                                                                                                                                                \
        MANIFEST_FOLDER, path, 0, 0755                                                                                                               \
    }
#define X15 "xxxxxxxxxxxxxxx"
#define X255 X15 X15 X15 X15 X15 X15 X15 X15 X15 X15 X15 X15 X15 X15 X15 X15 X15
#define DEEP31 "a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a"

static const struct {
    const char *what;
    line line[4];
    int want;
} table[] = {
    { "no entry", { { 0 } }, TACET_OK },
    { "a file", { F("a", 3) }, TACET_OK },
    { "an empty file and a folder", { F("a", 0), D("b") }, TACET_OK },
    { "a file in a folder, with something between", { D("a"), F("a-b", 1), F("a/x", 2) }, TACET_OK },
    { "unicode, and 255 bytes", { F(X255, 1), F("\xc3\xa9", 2) }, TACET_OK },
    { "hidden ones are allowed", { D(".git"), F(".git/HEAD", 1) }, TACET_OK },
    { "twice", { F("a", 1), F("a", 1) }, TACET_E_MALFORMED },
    { "descending", { F("b", 1), F("a", 1) }, TACET_E_MALFORMED },
    { "folder missing", { F("a/x", 1) }, TACET_E_MALFORMED },
    { "a file is no folder", { F("a", 1), F("a/x", 1) }, TACET_E_MALFORMED },
    { "folder with a size", { { MANIFEST_FOLDER, "a", 1, 0755 } }, TACET_E_MALFORMED },
    { "unknown kind", { { 3, "a", 0, 0644 } }, TACET_E_MALFORMED },
    { "setuid", { { MANIFEST_FILE, "a", 0, 04755 } }, TACET_E_MALFORMED },
    { "absolute", { F("/etc/passwd", 1) }, TACET_E_MALFORMED },
    { "up", { F("..", 1) }, TACET_E_MALFORMED },
    { "up and away", { D("a"), F("a/../../x", 1) }, TACET_E_MALFORMED },
    { "here", { F(".", 1) }, TACET_E_MALFORMED },
    { "here, inside", { D("a"), F("a/.", 1) }, TACET_E_MALFORMED },
    { "empty component", { D("a"), F("a//x", 1) }, TACET_E_MALFORMED },
    { "ends in a slash", { D("a/") }, TACET_E_MALFORMED },
    { "component of 256", { F(X255 "x", 1) }, TACET_E_MALFORMED },
    { "bad UTF-8", { F("\xff", 1) }, TACET_E_MALFORMED },
    { "empty path", { F("", 1) }, TACET_E_MALFORMED },
    { "33 deep", { D(DEEP31 "/a/a") }, TACET_E_MALFORMED },
};

static uint64_t build(manifest_out *m, const line *lines)
{
    uint64_t sizes = 0;
    for (int i = 0; i < 4 && lines[i].path; i++) {
        put(m, &lines[i]);
        sizes += lines[i].size;
    }
    return MANIFEST_LENGTH_BYTES + m->used + sizes;
}

START_TEST(F04_rules_of_paths)
{
    manifest_out m = { 0 };
    manifest *read = NULL;
    uint64_t stream = build(&m, table[_i].line);
    int rc = manifest_read(&read, m.bytes, m.used, stream);
    ck_assert_msg(rc == table[_i].want, "%s: got %d", table[_i].what, rc);
    if (rc == TACET_OK)
        for (size_t cut = 0; cut < m.used; cut++) { /* a cut between two entries is told by the sizes */
            manifest *part = NULL;
            uint8_t *exact = malloc(cut + 1);
            memcpy(exact, m.bytes, cut);
            ck_assert_int_eq(manifest_read(&part, exact, cut, stream), TACET_E_MALFORMED);
            free(exact);
        }
    manifest_free(read);
    manifest_out_free(&m);
}
END_TEST

START_TEST(F07_sizes_must_add_up)
{
    const line lines[4] = { F("a", 10), F("b", 20) };
    static const int64_t off[] = { -1, 1, -30, 1000 };
    manifest_out m = { 0 };
    manifest *read = NULL;
    uint64_t stream = build(&m, lines);
    for (size_t i = 0; i < ROWS(off); i++)
        ck_assert_int_eq(manifest_read(&read, m.bytes, m.used, stream + (uint64_t)off[i]), TACET_E_MALFORMED);
    const line huge[4] = { F("a", UINT64_MAX - 5), F("b", 20) };
    manifest_out_free(&m);
    stream = build(&m, huge);
    ck_assert_int_eq(manifest_read(&read, m.bytes, m.used, stream), TACET_E_MALFORMED);
    ck_assert_int_eq(manifest_read(&read, m.bytes, MANIFEST_MAX_BYTES + 1, stream), TACET_E_MALFORMED);
    manifest_out_free(&m);
}
END_TEST

START_TEST(every_byte_belongs_to_its_file)
{
    const line lines[4] = { F("a", 3), F("b", 0), D("c"), F("c/d", 5) };
    manifest_out m = { 0 };
    manifest *read = NULL;
    uint64_t stream = build(&m, lines), first = MANIFEST_LENGTH_BYTES + m.used;
    ck_assert_int_eq(manifest_read(&read, m.bytes, m.used, stream), TACET_OK);
    ck_assert_uint_eq(manifest_count(read), 4);
    static const uint32_t owner[] = { 0, 0, 0, 3, 3, 3, 3, 3 };
    for (uint64_t i = 0; i < ROWS(owner); i++)
        ck_assert_uint_eq(manifest_find(read, first + i), owner[i]);
    ck_assert_uint_eq(manifest_offset(read, 3), first + 3);
    ck_assert_int_eq(memcmp(manifest_at(read, 3).path, "c/d", 3), 0);
    manifest_free(read);
    manifest_out_free(&m);
}
END_TEST

START_TEST(no_more_than_65536_entries)
{
    manifest_out m = { 0 };
    char path[16];
    for (uint32_t i = 0; i < MANIFEST_ENTRIES_MAX; i++) {
        snprintf(path, sizeof path, "%06u", i);
        put(&m, &(line){ MANIFEST_FILE, path, 0, 0600 });
    }
    manifest_entry more = { MANIFEST_FILE, 0600, 0, 0, "z", 1 };
    ck_assert_int_eq(manifest_add(&m, &more), TACET_E_QUOTA);
    manifest *read = NULL;
    ck_assert_int_eq(manifest_read(&read, m.bytes, m.used, MANIFEST_LENGTH_BYTES + m.used), TACET_OK);
    manifest_free(read);
    manifest_out_free(&m);
}
END_TEST

SUITE("manifest", LOOP(F04_rules_of_paths, ROWS(table)), TEST(F07_sizes_must_add_up), TEST(every_byte_belongs_to_its_file),
      TEST(no_more_than_65536_entries))
