/* What somebody put where our unfinished folder, or a part of it, should be: never followed, never written into, and said to be what it is. */
#include "base/reader.h"
#include "base/writer.h"
#include "file_target.h"
#include "protocol/content.h"
#include "scratch.h"
#include "transfer/manifest.h"
#include <fcntl.h>

enum { BYTES_EACH = 10 };
static const target_plan plan = { .make = true, .name = "x", .tag = "abcdefgh", .form = FILE_FORM_FOLDER };

/* The whole stream of a folder with `file` and `sub/file`. */
static size_t stream_make(uint8_t out[512])
{
    static const manifest_entry entries[] = { { MANIFEST_FILE, 0644, 1, BYTES_EACH, "file", 4 },
                                              { MANIFEST_FOLDER, 0755, 1, 0, "sub", 3 },
                                              { MANIFEST_FILE, 0644, 1, BYTES_EACH, "sub/file", 8 } };
    manifest_out m = { 0 };
    for (size_t i = 0; i < ROWS(entries); i++)
        ck_assert_int_eq(manifest_add(&m, &entries[i]), TACET_OK);
    writer w = writer_over(out, 512);
    write_be(&w, m.used, MANIFEST_LENGTH_BYTES);
    memcpy(out + MANIFEST_LENGTH_BYTES, m.bytes, m.used);
    size_t n = MANIFEST_LENGTH_BYTES + m.used;
    memset(out + n, 'x', 2 * BYTES_EACH);
    manifest_out_free(&m);
    return n + 2 * BYTES_EACH;
}

static void plant_link(const char *at) { ck_assert_int_eq(symlink(in_scratch("victim"), at), 0); }
static void plant_file(const char *at) { ck_assert_int_eq(link(in_scratch("victim/file"), at), 0); }
static void plant_folder(const char *at) { ck_assert_int_eq(mkdir(at, 0700), 0); }

static const struct {
    const char *name, *at; /* NULL: the unfinished folder itself, before it is made */
    void (*plant)(const char *at);
} planted[] = {
    { "F05 a link for the folder that is to be made", NULL, plant_link },
    { "F05 a file for it", NULL, plant_file },
    { "F05 a link for a folder in it", "sub", plant_link },
    { "F05 a file for a folder in it", "sub", plant_file },
    { "F05 a link for a file", "file", plant_link },
    { "F05 a second name of a file", "file", plant_file },
    { "F05 a folder for a file", "file", plant_folder },
};

static trouble all_of_it(target_plan p, const char *tree, const char *at, void (*plant)(const char *at))
{
    uint8_t stream[512];
    char saved[4096], where[1024];
    bool done = false, later = false;
    file_target *t = NULL;
    p.size = stream_make(stream);
    (void)snprintf(where, sizeof where, "%s/%s", tree, at ? at : "");
    if (plant && !at)
        plant(tree);
    trouble bad = file_target_open(&t, &p, &p.stamp, &done, saved, sizeof saved);
    if (plant && at && !bad)
        plant(where);
    if (!bad)
        bad = file_target_write(t, 0, stream, p.size, &later);
    if (!bad)
        bad = file_target_finish(t, saved, sizeof saved);
    file_target_close(t);
    return bad;
}

START_TEST(F05_what_is_planted_is_not_followed)
{
    char tree_part[FILE_NAME_ROOM], tree[1024];
    target_plan p = plan;
    scratch_make();
    ck_assert_int_eq(mkdir(in_scratch("victim"), 0700), 0);
    int fd = open(in_scratch("victim/file"), O_WRONLY | O_CREAT | O_EXCL, 0600);
    ck_assert_int_ge(fd, 0);
    close(fd);
    p.folder = in_scratch("downloads");
    ck_assert_int_eq(mkdir(p.folder, 0700), 0);
    file_name_part(tree_part, "x.d", p.tag, sizeof p.tag);
    (void)snprintf(tree, sizeof tree, "%s/%s", p.folder, tree_part);
    trouble bad = all_of_it(p, tree, planted[_i].at, planted[_i].plant);
    ck_assert_msg(bad == TROUBLE_PART_CHANGED, "%s: %s", planted[_i].name, trouble_word(bad));
    struct stat s;
    ck_assert_int_eq(stat(in_scratch("victim/file"), &s), 0);
    ck_assert_int_eq(s.st_size, 0);
    ck_assert_int_ne(rmdir(in_scratch("victim")), 0);
    ck_assert_int_eq(unlink(in_scratch("victim/file")), 0);
    ck_assert_int_eq(rmdir(in_scratch("victim")), 0); /* nothing else was in it */
}
END_TEST

START_TEST(whole_where_nothing_is_planted)
{
    struct stat s;
    target_plan p = plan;
    scratch_make();
    p.folder = in_scratch("downloads");
    ck_assert_int_eq(all_of_it(p, "", NULL, NULL), TROUBLE_NONE);
    ck_assert_int_eq(stat(in_scratch("downloads/x/sub/file"), &s), 0);
    ck_assert_int_eq(s.st_size, BYTES_EACH);
}
END_TEST

/* F16: what an earlier build began, under a name made of the blob's id, is removed as well; what only has that name is not. */
START_TEST(F16_begun_by_an_earlier_build)
{
    char part[FILE_NAME_ROOM], tree_part[FILE_NAME_ROOM], where[1024], tree[1024];
    struct stat s;
    bool folder = _i & 1, ours = _i & 2;
    target_plan p = plan;
    scratch_make();
    p.folder = in_scratch("downloads");
    p.form = folder ? FILE_FORM_FOLDER : FILE_FORM_FILE;
    ck_assert_int_eq(mkdir(p.folder, 0700), 0);
    file_name_part(part, "x", p.blob, 4);
    file_name_part(tree_part, "x.d", p.blob, 4);
    (void)snprintf(where, sizeof where, "%s/%s", p.folder, part);
    (void)snprintf(tree, sizeof tree, "%s/%s", p.folder, tree_part);
    int fd = open(where, O_WRONLY | O_CREAT | O_EXCL, 0600);
    ck_assert_int_ge(fd, 0);
    close(fd);
    ck_assert_int_eq(mkdir(tree, 0700), 0);
    ck_assert_int_eq(stat(folder ? tree : where, &s), 0);
    p.stamp = s.st_ino + !ours;
    ck_assert(file_target_discard(&p));
    ck_assert_int_eq(access(where, F_OK), ours ? -1 : 0);
    ck_assert_int_eq(access(tree, F_OK), ours && folder ? -1 : 0);
}
END_TEST

SUITE("file target", LOOP(F16_begun_by_an_earlier_build, 4), LOOP(F05_what_is_planted_is_not_followed, ROWS(planted)),
      TEST(whole_where_nothing_is_planted))
