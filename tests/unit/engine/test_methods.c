/* The table of methods: what is asked is held against it, and docs/RPC.md says what it, the sentences and the events say. */
#include "methods.h"
#include "suite.h"
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- what a method takes -------------------------------------------------------------------------------------------------------------------- */
static const struct {
    const char *method, *params, *wrong; /* wrong NULL: fits; params NULL: none given */
    bool unknown;
} row[] = {
    { "whoami", NULL, NULL, false },
    { "whoami", "{}", NULL, false },
    { "whoami", "{\"a\":1}", "a", true },
    { "rename", NULL, "name", false },
    { "rename", "{\"name\":\"bob\"}", "to", false },
    { "rename", "{\"name\":\"bob\",\"to\":\"rob\"}", NULL, false },
    { "rename", "{\"name\":\"bob\",\"to\":7}", "to", false },
    { "rename", "{\"name\":\"bob\",\"to\":null}", "to", false },
    { "rename", "{\"name\":\"bob\",\"to\":\"rob\",\"too\":\"x\"}", "too", true },
    { "rename", "{\"name\":\"bob\",\"to\":\"rob\",\"nam\":\"x\"}", "nam", true },
    { "rename", "{\"name\":\"bob\",\"to\":\"rob\",\"\":\"x\"}", "", true },
    { "send", "{\"to\":\"bob\",\"text\":\"hi\",\"id\":\"0123456789abcdef0123456789abcdef\"}", NULL, false },
    { "send", "{\"to\":\"bob\",\"text\":\"hi\",\"id\":\"0123456789abcdef0123456789abcde\"}", "id", false },
    { "send", "{\"to\":\"bob\",\"text\":\"hi\",\"id\":null}", NULL, false },
    { "send", "{\"to\":\"bob\",\"text\":\"hi\",\"reply\":\"0123456789abcdef0123456789abcdef\"}", "reply", true },
    { "send", "{\"to\":\"bob\",\"text\":\"hi\",\"waits\":1}", "waits", false },
    { "receive", "{\"limit\":\"ten\"}", "limit", false },
    { "receive", "{\"limit\":10,\"peek\":true,\"cursor\":\"c\"}", NULL, false },
    { "handed", "{}", "ids", false },
    { "handed", "{\"ids\":\"x\"}", "ids", false },
    { "handed", "{\"ids\":[]}", NULL, false },
    { "cursors", "{\"a-name-that-is-longer-than-thirty-two-characters\":1}", "a-name-that-is-longer-than-thir", true },
};
START_TEST(parameters_fit_or_the_first_that_does_not_is_named)
{
    const engine_method *m = method_find(row[_i].method);
    json_t *params = row[_i].params ? json_loads(row[_i].params, 0, NULL) : NULL;
    char wrong[METHOD_PARAM_ROOM];
    bool unknown = false;
    ck_assert_ptr_nonnull(m);
    bool fit = method_fits(m, params, wrong, &unknown);
    ck_assert_msg(fit == (row[_i].wrong == NULL), "%s %s", row[_i].method, row[_i].params);
    if (!fit) {
        ck_assert_str_eq(wrong, row[_i].wrong);
        ck_assert_msg(unknown == row[_i].unknown, "%s %s", row[_i].method, row[_i].params);
    }
    json_decref(params);
}
END_TEST

/* A type that nobody knows would refuse every value. */
START_TEST(each_row_is_whole)
{
    for (size_t i = 0; i < method_count; i++) {
        const engine_method *m = &method_table[i];
        ck_assert_msg(m->name && m->call && m->params, "row %zu", i);
        ck_assert_ptr_eq(method_find(m->name), m);
        for (const char *p = strchr(m->params, ':'); p; p = strchr(p + 1, ':')) {
            char type[16];
            snprintf(type, sizeof type, " %.*s ", (int)strcspn(p + 1, " "), p + 1);
            ck_assert_msg(strstr(" text id ids names int bool ", type) != NULL, "%s: %s", m->name, m->params);
        }
    }
    ck_assert_ptr_null(method_find("who"));
}
END_TEST

/* --- docs/RPC.md ------------------------------------------------------------------------------------------------------------------------------ */
static char *file_read(const char *path)
{
    char *text = NULL;
    size_t room = 0;
    FILE *f = fopen(path, "r");
    ck_assert_msg(f != NULL, "%s", path);
    ck_assert_int_ge(getdelim(&text, &room, '\0', f), 0);
    fclose(f);
    return text;
}

/* "to:text text?:id" as the document writes it. */
static void params_written(char out[512], const char *spec)
{
    size_t n = 0;
    out[0] = '\0';
    for (const char *p = spec; *p; p += strspn(p, " ")) {
        size_t name = strcspn(p, "?:"), whole = strcspn(p, " ");
        bool optional = p[name] == '?';
        size_t type = name + (optional ? 2 : 1);
        n += (size_t)snprintf(out + n, 512 - n, "%s`%.*s`%s %.*s", n ? ", " : "", (int)name, p, optional ? "?" : "", (int)(whole - type), p + type);
        p += whole;
    }
}

START_TEST(the_document_has_every_method_with_its_parameters_and_no_other)
{
    char *doc = file_read(SOURCE_ROOT "/docs/RPC.md");
    size_t rows = 0;
    for (size_t i = 0; i < method_count; i++) {
        char params[512], line[640];
        params_written(params, method_table[i].params);
        snprintf(line, sizeof line, "\n| `%s` | %s | ", method_table[i].name, params);
        ck_assert_msg(strstr(doc, line) != NULL, "docs/RPC.md lacks the row:%s", line);
    }
    char *section = strstr(doc, "\n## Methods"), *end = section ? strstr(section, "\n## Objects") : NULL;
    ck_assert(section && end);
    for (char *at = strstr(section, "\n| `"); at && at < end; at = strstr(at + 1, "\n| `")) {
        char name[32];
        snprintf(name, sizeof name, "%.*s", (int)strcspn(at + 4, "`"), at + 4);
        bool hosts = strcmp(name, "subscribe") == 0 || strcmp(name, "lock") == 0;
        ck_assert_msg(hosts || method_find(name), "docs/RPC.md has a method that does not exist: %s", name);
        rows++;
    }
    ck_assert_uint_eq(rows, method_count + 2);
    free(doc);
}
END_TEST

START_TEST(the_document_has_every_error)
{
    char *doc = file_read(SOURCE_ROOT "/docs/RPC.md");
    for (int i = 0; i < SAY_COUNT; i++) {
        engine_error e = { 0 };
        sentence_fill(&e, (sentence)i, "", "", "");
        if (e.exit == EXIT_DONE)
            continue; /* no error, but something that is said to people */
        char head[32], code[64], line[4096];
        snprintf(head, sizeof head, "\n| %d | %d |", e.exit, -32000 - e.exit);
        snprintf(code, sizeof code, "`%s`", e.code);
        const char *at = strstr(doc, head);
        ck_assert_msg(at != NULL, "docs/RPC.md lacks exit %d", e.exit);
        snprintf(line, sizeof line, "%.*s", (int)strcspn(at + 1, "\n"), at + 1);
        ck_assert_msg(strstr(line, code) != NULL, "docs/RPC.md lacks %s among the errors with exit %d", code, e.exit);
    }
    free(doc);
}
END_TEST

START_TEST(the_document_has_every_object_and_event)
{
    static const char maker[] = "json_event(\"";
    char *doc = file_read(SOURCE_ROOT "/docs/RPC.md");
    size_t found = 0;
    glob_t sources;
    ck_assert_int_eq(glob(SOURCE_ROOT "/client/engine/*.c", 0, NULL, &sources), 0);
    for (size_t i = 0; i < sources.gl_pathc; i++) {
        char *text = file_read(sources.gl_pathv[i]);
        for (char *at = strstr(text, maker); at; at = strstr(at + 1, maker), found++) {
            char word[64];
            const char *name = at + sizeof maker - 1;
            snprintf(word, sizeof word, "`%.*s`", (int)strcspn(name, "\""), name);
            ck_assert_msg(strstr(doc, word) != NULL, "docs/RPC.md lacks %s (%s)", word, sources.gl_pathv[i]);
        }
        free(text);
    }
    ck_assert_uint_gt(found, 20);
    globfree(&sources);
    free(doc);
}
END_TEST

SUITE("methods", LOOP(parameters_fit_or_the_first_that_does_not_is_named, ROWS(row)), TEST(each_row_is_whole),
      TEST(the_document_has_every_method_with_its_parameters_and_no_other), TEST(the_document_has_every_error),
      TEST(the_document_has_every_object_and_event))
