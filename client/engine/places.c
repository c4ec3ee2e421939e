/* Which files run, and which of those that come to us have a place: only with a place a file is open, watched and written, so places bound memory and
 * descriptors. A place is for what moves. Who has one and gets no chunk gives it up as soon as another can use it, and comes back later; no contact keeps
 * more of them, or more runs at all, than is fair while others wait (F15). */
#include "files.h"
#include <string.h>

/* --- places ----------------------------------------------------------------------------------------------------------------------------------- */
bool place_has(const engine *e, const file_run *r)
{
    size_t i = 0;
    while (i < FILES_ACTIVE_MAX && e->files->place[i] != r)
        i++;
    return i < FILES_ACTIVE_MAX;
}

static size_t places_of(const engine *e, int64_t contact)
{
    size_t n = 0;
    for (size_t i = 0; i < FILES_ACTIVE_MAX; i++)
        n += e->files->place[i] && e->files->place[i]->contact == contact;
    return n;
}

static bool waits(const engine *e, const file_run *r) { return mono_ms(e) < r->watch_at_ms; }

static bool has_no_use(const engine *e, const file_run *r)
{
    return r->jobs == 0 && (r->ended || r->bad || (download_whole(&r->down) ? !r->f.has_root : waits(e, r)));
}

static bool could_use(const engine *e, const file_run *r)
{
    if (r->ended || r->bad || r->f.outgoing || place_has(e, r))
        return false;
    if (download_whole(&r->down))
        return r->f.has_root;
    return r->slot < ENGINE_SLOTS_MAX && e->slots[r->slot].up && !waits(e, r);
}

/* Whose contact has fewest, then who had none for longest. */
static file_run *next(const engine *e)
{
    file_run *best = NULL;
    size_t few = 0;
    for (file_run *r = e->files->runs; r; r = r->next) {
        if (!could_use(e, r))
            continue;
        size_t n = places_of(e, r->contact);
        if (!best || n < few || (n == few && r->placed_ms < best->placed_ms)) {
            best = r;
            few = n;
        }
    }
    return best;
}

/* Its link ends when it gives way, for others as well: that must not be done again and again. */
static uint64_t can_go_at(const engine *e, const file_run *r) { return r->slot < ENGINE_SLOTS_MAX ? e->slots[r->slot].cut_again_ms : 0; }

static uint64_t stands_still_at(const engine *e, const file_run *r)
{
    uint64_t still = r->moved_ms + FILES_STALL_MS, go = can_go_at(e, r);
    return still > go ? still : go;
}

/* Who has to give way to w: who has stood still longest, else somebody of a contact that has at least two more than w's. NULL: nobody, or not yet. */
static file_run *gives_way(const engine *e, const file_run *w)
{
    file_run *still = NULL, *rich = NULL;
    size_t mine = places_of(e, w->contact);
    for (size_t i = 0; i < FILES_ACTIVE_MAX; i++) {
        file_run *r = e->files->place[i];
        if (!r || r->ended || download_whole(&r->down) || mono_ms(e) < can_go_at(e, r))
            continue;
        if (r->jobs == 0 && mono_ms(e) >= stands_still_at(e, r) && (!still || r->moved_ms < still->moved_ms))
            still = r;
        if (places_of(e, r->contact) >= mine + 2 && (!rich || r->placed_ms > rich->placed_ms))
            rich = r;
    }
    return still ? still : rich;
}

/* --- links -------------------------------------------------------------------------------------------------------------------------------------- */
bool place_wants_link(const engine *e, const file_run *r)
{
    return !r->ended && !r->bad && !r->f.outgoing && (place_has(e, r) || (!download_whole(&r->down) && !waits(e, r)));
}

/* On a link that one of these uses anyway, or on one more. */
static bool may_wait(const file_run **on, size_t *count, size_t placed, const file_run *r)
{
    bool more = *count < placed + FILES_LINKS_MAX;
    for (size_t i = 0; i < *count; i++) {
        if (strcmp(on[i]->relay, r->relay) == 0)
            return true;
        more = more && (i < placed || on[i]->contact != r->contact);
    }
    if (more)
        on[(*count)++] = r;
    return more;
}

/* In the order of their beginning; whose relay is away, or has nothing of it, waits without a link, and another has its turn. */
void places_links(engine *e)
{
    const file_run *on[FILES_ACTIVE_MAX + FILES_LINKS_MAX];
    size_t placed = 0;
    for (size_t i = 0; i < FILES_ACTIVE_MAX; i++)
        if (e->files->place[i])
            on[placed++] = e->files->place[i];
    size_t count = placed;
    for (file_run *r = e->files->runs; r; r = r->next) {
        if (place_has(e, r) || !place_wants_link(e, r))
            continue;
        if (may_wait(on, &count, placed, r))
            download_wait(e, r);
        else if (r->slot < ENGINE_SLOTS_MAX)
            download_link_down(r);
    }
}

/* --- turns --------------------------------------------------------------------------------------------------------------------------------------- */
void place_leave(engine *e, const file_run *r)
{
    for (size_t i = 0; i < FILES_ACTIVE_MAX; i++)
        if (e->files->place[i] == r)
            e->files->place[i] = NULL;
}

/* When the next of them will have stood still for too long; who does already, and is still at work, is looked at again. */
static uint64_t turn_at(const engine *e)
{
    uint64_t at = UINT64_MAX, mono = mono_ms(e);
    for (size_t i = 0; i < FILES_ACTIVE_MAX; i++) {
        uint64_t still = e->files->place[i] ? stands_still_at(e, e->files->place[i]) : mono;
        uint64_t mine = still > mono ? still : mono + FILES_TELL_MS;
        at = mine < at ? mine : at;
    }
    return at;
}

static void give(engine *e, size_t i, file_run *r)
{
    e->files->place[i] = r;
    r->placed_ms = r->moved_ms = mono_ms(e);
}

/* The relay takes this as the end of the watch. Others on this link begin theirs anew, and do not stand still meanwhile. */
static void cut(engine *e, size_t slot)
{
    for (size_t i = 0; i < FILES_ACTIVE_MAX; i++)
        if (e->files->place[i] && e->files->place[i]->slot == slot)
            e->files->place[i]->moved_ms = mono_ms(e);
    e->slots[slot].cut_again_ms = mono_ms(e) + FILES_CUT_MS;
    slot_close(e, slot);
}

void places_turn(engine *e)
{
    files *f = e->files;
    bool leaving = false;
    file_run *w = NULL;
    for (size_t i = 0; i < FILES_ACTIVE_MAX; i++) {
        file_run *r = f->place[i];
        if (r && has_no_use(e, r)) {
            r->target = file_target_close(r->target);
            f->place[i] = NULL;
        }
        leaving = leaving || (f->place[i] && waits(e, f->place[i])); /* as soon as its jobs are back */
    }
    for (size_t i = 0; i < FILES_ACTIVE_MAX; i++)
        if (!f->place[i] && (w = next(e)) != NULL)
            give(e, i, w);
    w = next(e);
    f->turn_at_ms = w ? turn_at(e) : UINT64_MAX;
    file_run *r = w && !leaving ? gives_way(e, w) : NULL;
    if (r) {
        download_later_on(e, r);
        if (r->slot < ENGINE_SLOTS_MAX)
            cut(e, r->slot);
        e->files_due_ms = 0;
    }
}

/* --- runs ----------------------------------------------------------------------------------------------------------------------------------------- */
static size_t runs_of(const engine *e, int64_t contact)
{
    size_t n = 0;
    e->files->counted++;
    for (const file_run *r = e->files->runs; r; r = r->next)
        n += !r->ended && !r->f.outgoing && r->contact == contact;
    return n;
}

/* What is known of the runs while rows are begun: looked for only when one may have been added or ended. */
typedef struct {
    bool known;
    file_run *youngest; /* of the contact that has most, as far as it can go; NULL: none can */
    size_t most;
    int64_t refused; /* the contact there was no room for last; 0: there was */
} runs_known;

static void look_at_runs(engine *e, runs_known *k)
{
    *k = (runs_known){ .known = true };
    for (file_run *r = e->files->runs; r; r = r->next) {
        size_t n = r->ended || r->f.outgoing || r->jobs || place_has(e, r) ? 0 : runs_of(e, r->contact);
        if (n > 0 && n >= k->most) {
            k->most = n;
            k->youngest = r;
        }
    }
}

/* Of too many, the youngest of the contact that has most makes room for one of a contact that has fewer. */
static bool make_room(engine *e, const vault_file_due *due, runs_known *k)
{
    size_t all = 0;
    for (file_run *r = e->files->runs; r && !(k->known && !due->outgoing); r = r->next)
        all += !r->ended && r->f.outgoing == due->outgoing;
    if (due->outgoing || (!k->known && all < FILES_RUNS_MAX))
        return all < FILES_RUNS_MAX;
    if (!k->known)
        look_at_runs(e, k);
    bool room = k->youngest && k->most >= runs_of(e, due->contact) + 2;
    if (room)
        file_run_end(e, k->youngest);
    k->known = !room;
    k->refused = room ? 0 : due->contact;
    return room;
}

bool files_begin(engine *e)
{
    vault_file_due due[64];
    runs_known known = { 0 };
    size_t count = 1;
    int rc = TACET_OK, bad = TACET_OK;
    e->files->left = false;
    for (int64_t after = 0; rc == TACET_OK && count > 0; after = count ? due[count - 1].row : after) {
        rc = vault_file_running(e->vault, after, due, sizeof due / sizeof *due, &count);
        for (size_t i = 0; rc == TACET_OK && i < count; i++) {
            if ((!due[i].outgoing && known.known && due[i].contact == known.refused) || file_run_find(e, due[i].row))
                continue;
            bool room = make_room(e, &due[i], &known);
            int one = room ? file_run_start(e, due[i].row) : TACET_OK;
            bad = one < 0 ? one : bad;
            e->files->left = e->files->left || !room;
        }
    }
    if (rc == TACET_OK)
        rc = bad;
    if (rc != TACET_OK) {
        e->files->begin_at_ms = mono_ms(e) + FILES_WATCH_RETRY_MAX_MS;
        engine_fail(e, rc);
    }
    return rc == TACET_OK;
}
