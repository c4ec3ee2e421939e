/* Where a profile lives, and P13: what others could change or read is refused. */
#include "engine/profile.h"
#include "scratch.h"
#include <fcntl.h>

static profile p;
static engine_error error;

static const struct {
    const char *what, *said, *tacet_home, *xdg, *home, *want; /* %s: the scratch folder */
} homes[] = {
    { "--home wins", "%s/a", "%s/b", "%s/c", "%s/d", "a/default" },
    { "then TACET_HOME", NULL, "%s/b", "%s/c", "%s/d", "b/default" },
    { "an empty TACET_HOME is none", NULL, "", "%s/c", "%s/d", "c/tacet/default" },
    { "then XDG", NULL, NULL, "%s/c", "%s/d", "c/tacet/default" },
    { "a relative XDG_DATA_HOME is none", NULL, NULL, "c", "%s/d", "d/.local/share/tacet/default" },
    { "then HOME", NULL, NULL, NULL, "%s/d", "d/.local/share/tacet/default" },
};
static void set(const char *name, const char *pattern)
{
    char value[512];
    if (!pattern) {
        unsetenv(name);
        return;
    }
    const char *rest = strncmp(pattern, "%s", 2) == 0 ? pattern + 2 : pattern;
    snprintf(value, sizeof value, "%s%s", rest == pattern ? "" : scratch, rest);
    setenv(name, value, 1);
}
START_TEST(home_is_found_in_this_order)
{
    char said[512];
    scratch_make();
    set("TACET_HOME", homes[_i].tacet_home);
    set("XDG_DATA_HOME", homes[_i].xdg);
    set("HOME", homes[_i].home);
    snprintf(said, sizeof said, "%s/a", scratch);
    int rc = profile_open(&p, homes[_i].said ? said : NULL, "default", true, &error);
    ck_assert_msg(rc == TACET_OK, "%s: %s", homes[_i].what, error.message);
    ck_assert_msg(strcmp(p.dir, in_scratch(homes[_i].want)) == 0, "%s: %s", homes[_i].what, p.dir);
    ck_assert_uint_eq(mode_of(p.dir), 0700);
    profile_close(&p);
    profile_close(&p);
}
END_TEST

START_TEST(what_is_made_is_closed_whatever_the_umask)
{
    scratch_make();
    umask(0);
    ck_assert_int_eq(profile_open(&p, in_scratch("deep/er"), "default", true, &error), TACET_OK);
    ck_assert_uint_eq(mode_of(in_scratch("deep")), 0700);
    ck_assert_uint_eq(mode_of(in_scratch("deep/er")), 0700);
    ck_assert_uint_eq(mode_of(in_scratch("deep/er/default")), 0700);
    profile_close(&p);
}
END_TEST

START_TEST(nothing_is_made_unasked)
{
    struct stat s;
    scratch_make();
    ck_assert_int_eq(profile_open(&p, in_scratch("none"), "default", false, &error), TACET_E_NOT_FOUND);
    ck_assert_str_eq(error.code, "no-account");
    ck_assert_int_eq(error.exit, EXIT_NOT_FOUND);
    ck_assert_int_eq(p.fd, -1);
    ck_assert_int_ne(stat(in_scratch("none"), &s), 0);
    ck_assert_int_eq(profile_open(&p, scratch, "default", false, &error), TACET_E_NOT_FOUND);
    ck_assert_int_ne(stat(in_scratch("default"), &s), 0);
}
END_TEST

START_TEST(paths_are_resolved)
{
    scratch_make();
    ck_assert_int_eq(mkdir(in_scratch("real"), 0700), 0);
    ck_assert_int_eq(symlink("real", in_scratch("way")), 0);
    ck_assert_int_eq(chdir(scratch), 0);
    ck_assert_int_eq(profile_open(&p, "way/../way/.", "alice", true, &error), TACET_OK);
    ck_assert_str_eq(p.dir, in_scratch("real/alice"));
    ck_assert_str_eq(p.vault, in_scratch("real/alice/vault.db"));
    ck_assert_str_eq(p.key_file, in_scratch("real/alice/vault.key"));
    profile_close(&p);
    ck_assert_int_eq(chdir("/"), 0);
}
END_TEST

static const struct {
    const char *name;
    bool ok;
} names[] = {
    { "default", true },
    { "Alice", true },
    { "a.b_c-9", true },
    { "9", true },
    { "abcdefghijklmnopqrstuvwxyz012345", true },
    { "abcdefghijklmnopqrstuvwxyz0123456", false },
    { "", false },
    { ".", false },
    { "..", false },
    { "../x", false },
    { "a/b", false },
    { "/a", false },
    { "-a", false },
    { ".a", false },
    { "a b", false },
    { "a\n", false },
    { "\xc3\xa9", false },
};
START_TEST(profile_names)
{
    scratch_make();
    int rc = profile_open(&p, scratch, names[_i].name, true, &error);
    ck_assert_msg(rc == (names[_i].ok ? TACET_OK : TACET_E_MALFORMED), "%s: %d", names[_i].name, rc);
    if (!names[_i].ok)
        ck_assert_str_eq(error.code, "bad-profile");
    profile_close(&p);
}
END_TEST

START_TEST(a_path_that_is_too_long_is_refused)
{
    char said[PROFILE_PATH_BYTES + 8];
    memset(said, 'a', sizeof said - 1);
    said[0] = '/';
    said[sizeof said - 1] = '\0';
    ck_assert_int_eq(profile_open(&p, said, "default", true, &error), TACET_E_MALFORMED);
    said[PROFILE_PATH_BYTES - 4] = '\0';
    ck_assert_int_eq(profile_open(&p, said, "default", true, &error), TACET_E_MALFORMED);
    ck_assert_str_eq(error.code, "no-home");
}
END_TEST

static const struct {
    const char *what;
    bool home; /* which of the two is bent */
    mode_t mode;
    bool ok;
} modes[] = {
    { "home as made", true, 0700, true },
    { "home that others may list", true, 0755, true },
    { "home that the group may write", true, 0770, false },
    { "home that all may write", true, 0707, false },
    { "home like /tmp", true, 01777, false },
    { "folder as made", false, 0700, true },
    { "folder without write", false, 0500, true },
    { "folder that the group may list", false, 0740, false },
    { "folder that the group may enter", false, 0710, false },
    { "folder that all may write", false, 0702, false },
    { "folder that all may enter", false, 0701, false },
    { "folder 0755", false, 0755, false },
};
START_TEST(P13_open_folders_are_refused)
{
    scratch_make();
    ck_assert_int_eq(profile_open(&p, in_scratch("home"), "default", true, &error), TACET_OK);
    profile_close(&p);
    ck_assert_int_eq(chmod(in_scratch(modes[_i].home ? "home" : "home/default"), modes[_i].mode), 0);
    for (int create = 0; create < 2; create++) {
        int rc = profile_open(&p, in_scratch("home"), "default", create, &error);
        ck_assert_msg(rc == (modes[_i].ok ? TACET_OK : TACET_E_REFUSED), "%s: %d", modes[_i].what, rc);
        if (!modes[_i].ok) {
            ck_assert_str_eq(error.code, "permissions");
            ck_assert_ptr_nonnull(strstr(error.message, in_scratch(modes[_i].home ? "home" : "home/default")));
            ck_assert_int_eq(p.fd, -1);
        }
        profile_close(&p);
    }
    /* refused, not repaired */
    ck_assert_uint_eq(mode_of(in_scratch(modes[_i].home ? "home" : "home/default")), modes[_i].mode);
}
END_TEST

START_TEST(P13_folders_of_another_user_are_refused)
{
    const char *which = _i ? "home" : "home/default";
    scratch_make();
    if (geteuid() != 0) { /* only root can give a folder away; for others root's are foreign */
        ck_assert_int_eq(profile_open(&p, "/", "etc", false, &error), TACET_E_REFUSED);
        ck_assert_str_eq(error.code, "foreign-owner");
        return;
    }
    ck_assert_int_eq(profile_open(&p, in_scratch("home"), "default", true, &error), TACET_OK);
    profile_close(&p);
    ck_assert_int_eq(chown(in_scratch(which), 65534, 65534), 0);
    ck_assert_int_eq(profile_open(&p, in_scratch("home"), "default", false, &error), TACET_E_REFUSED);
    ck_assert_str_eq(error.code, "foreign-owner");
    ck_assert_ptr_nonnull(strstr(error.message, in_scratch(which)));
}
END_TEST

START_TEST(P13_a_symbolic_link_is_no_profile)
{
    scratch_make();
    ck_assert_int_eq(mkdir(in_scratch("real"), 0700), 0);
    ck_assert_int_eq(symlink("real", in_scratch("default")), 0);
    ck_assert_int_eq(profile_open(&p, scratch, "default", true, &error), TACET_E_IO);
    ck_assert_int_eq(p.fd, -1);
}
END_TEST

START_TEST(a_read_only_home_is_said)
{
    scratch_make();
    if (geteuid() == 0) { /* root may write everywhere */
        ck_assert_int_eq(chown(scratch, 65534, 65534), 0);
        ck_assert_int_eq(setresgid(65534, 65534, 65534), 0);
        ck_assert_int_eq(setresuid(65534, 65534, 65534), 0);
    }
    ck_assert_int_eq(chmod(scratch, 0500), 0);
    ck_assert_int_eq(profile_open(&p, scratch, "default", true, &error), TACET_E_READONLY);
    ck_assert_str_eq(error.code, "read-only");
    ck_assert_int_eq(profile_open(&p, in_scratch("deeper"), "default", true, &error), TACET_E_READONLY);
    ck_assert_int_eq(chmod(scratch, 0700), 0);
}
END_TEST

SUITE("profile", LOOP(home_is_found_in_this_order, ROWS(homes)), TEST(what_is_made_is_closed_whatever_the_umask), TEST(nothing_is_made_unasked),
      TEST(paths_are_resolved), LOOP(profile_names, ROWS(names)), TEST(a_path_that_is_too_long_is_refused),
      LOOP(P13_open_folders_are_refused, ROWS(modes)), LOOP(P13_folders_of_another_user_are_refused, 2), TEST(P13_a_symbolic_link_is_no_profile),
      TEST(a_read_only_home_is_said))
