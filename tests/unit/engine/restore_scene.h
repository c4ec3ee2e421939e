/* Alice and bob in a world of engines (world.h), a backup of alice's, and whoever is restored from it. */
#ifndef TESTS_ENGINE_RESTORE_SCENE_H
#define TESTS_ENGINE_RESTORE_SCENE_H
#include "identity/backup.h"
#include "state.h"
#include "suite.h"
#include "world.h"
#include <string.h>
#include <unistd.h>

static char room[65536];
static const uint8_t key[BACKUP_KEY_BYTES] = "thirty-two bytes of a file's key";

static inline const char *path_of(const world *w, size_t who)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/backup", w->person[who].dir);
    return path;
}

static inline char *hex(const uint8_t *bytes, size_t n)
{
    static char text[2][2 * BACKUP_HEAD_BYTES + 1];
    static int turn;
    turn = !turn;
    hex_encode(text[turn], bytes, n);
    return text[turn];
}

static inline json_t *backup_params(const char *path)
{
    uint8_t head[BACKUP_HEAD_BYTES];
    ck_assert_int_eq(backup_head_make(head, key, "pass", 4, (keyfile_cost){ 1, 8 }, env_system()), TACET_OK);
    json_t *p = json_pack("{ss ss}", "path", path, "head", hex(head, sizeof head));
    json_object_set_new(p, "key", json_string(hex(key, sizeof key)));
    return p;
}

static inline void backup(world *w, size_t who)
{
    (void)unlink(path_of(w, who));
    json_decref(must(w, who, "backup", backup_params(path_of(w, who))));
}

static inline json_t *restore_params(const char *path) { return json_pack("{ss ss}", "path", path, "key", hex(key, sizeof key)); }

/* alice and bob know each other, and there is a backup of alice's. */
static inline world *pair(size_t *a, size_t *b)
{
    world *w = world_new();
    *a = world_join(w, "alice");
    *b = world_join(w, "bob");
    world_befriend(w, *a, *b);
    world_send(w, *a, "bob", "from alice");
    world_send(w, *b, "alice", "from bob");
    world_advance(w, 10000);
    (void)world_received(w, *a, room, sizeof room);
    (void)world_received(w, *b, room, sizeof room);
    return w;
}
#endif
