/* What is set about files: how large one may be to be taken without asking, and the folder they are saved in. */
#include "files.h"
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SET_AUTO "auto_download"
#define SET_FOLDER "downloads"

/* XDG_DOWNLOAD_DIR="$HOME/…" of user-dirs.dirs, as the desktop has it. */
static bool xdg_downloads(const char *home, char *out, size_t room)
{
    char path[VAULT_FILE_PATH_ROOM], line[VAULT_FILE_PATH_ROOM];
    const char *config = getenv("XDG_CONFIG_HOME");
    bool found = false;
    if (snprintf(path, sizeof path, "%s%s/user-dirs.dirs", config && *config == '/' ? config : home, config && *config == '/' ? "" : "/.config") >=
        (int)sizeof path)
        return false;
    FILE *f = fopen(path, "re");
    while (f && !found && fgets(line, sizeof line, f)) {
        static const char key[] = "XDG_DOWNLOAD_DIR=\"";
        char *value = strncmp(line, key, sizeof key - 1) == 0 ? line + sizeof key - 1 : NULL, *end = value ? strchr(value, '"') : NULL;
        if (!end)
            continue;
        *end = '\0';
        bool at_home = strncmp(value, "$HOME/", 6) == 0;
        if (at_home || *value == '/')
            found = snprintf(out, room, "%s%s", at_home ? home : "", at_home ? value + 5 : value) < (int)room;
    }
    if (f)
        (void)fclose(f);
    return found;
}

static void default_folder(char *out, size_t room)
{
    const char *home = getenv("HOME");
    const struct passwd *who = home && *home == '/' ? NULL : getpwuid(geteuid());
    if (who)
        home = who->pw_dir;
    if (!home || *home != '/')
        home = "/";
    if (!xdg_downloads(home, out, room))
        (void)snprintf(out, room, "%s/Downloads", strcmp(home, "/") == 0 ? "" : home);
}

int files_settings_load(engine *e)
{
    files *f = e->files;
    size_t n = 0;
    int rc = vault_number_get(e->vault, SET_AUTO, &f->auto_download);
    if (rc == TACET_E_NOT_FOUND)
        f->auto_download = FILES_AUTO_DOWNLOAD_BYTES;
    if (rc >= 0)
        rc = vault_setting_get(e->vault, SET_FOLDER, f->folder, sizeof f->folder - 1, &n);
    f->folder[rc == TACET_OK ? n : 0] = '\0';
    if (!f->folder[0])
        default_folder(f->folder, sizeof f->folder);
    return rc == TACET_E_NOT_FOUND ? TACET_OK : rc;
}

/* False: the call has been completed with an error. */
bool files_settings(engine *e, json_t *params, engine_done done, void *ctx)
{
    json_t *most = json_object_get(params, SET_AUTO), *folder = json_object_get(params, SET_FOLDER);
    const char *path = json_string_value(folder);
    if ((most && !(json_is_integer(most) && json_integer_value(most) >= 0)) ||
        (folder && (!path || (*path && *path != '/') || strlen(path) >= sizeof e->files->folder))) {
        complete_bad_param(e, done, ctx, "settings", most && !json_is_integer(most) ? SET_AUTO : SET_FOLDER);
        return false;
    }
    if (!most && !folder)
        return true;
    int rc = txn_begin(e);
    if (rc == TACET_OK && most)
        rc = vault_number_put(e->vault, SET_AUTO, (uint64_t)json_integer_value(most));
    if (rc == TACET_OK && folder)
        rc = vault_setting_put(e->vault, SET_FOLDER, path, strlen(path));
    rc = txn_end(e, rc);
    if (rc == TACET_OK)
        rc = files_settings_load(e);
    if (rc != TACET_OK)
        complete_status(e, done, ctx, rc);
    return rc == TACET_OK;
}

void files_settings_json(const engine *e, json_t *o)
{
    json_object_set_new(o, SET_AUTO, json_integer((json_int_t)e->files->auto_download));
    json_object_set_new(o, SET_FOLDER, json_string(e->files->folder));
}
