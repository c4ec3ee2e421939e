/* Which files run, and which of those that come to us have a place: only with a place a file is open, watched and written, so places bound memory and
 * descriptors. A place is for what moves. Who has one and gets no chunk gives it up as soon as another can use it, and comes back later; no contact keeps
 * more of them, or more runs at all, than is fair while others wait (F15). */
#include "files.h"

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

static bool stands_still(const engine *e, const file_run *r) { return r->jobs == 0 && mono_ms(e) >= r->moved_ms + FILES_STALL_MS; }

/* Who has to give way to w: who has stood still longest, else somebody of a contact that has at least two more than w's. NULL: nobody. */
static file_run *gives_way(const engine *e, const file_run *w)
{
    file_run *still = NULL, *rich = NULL;
    size_t mine = places_of(e, w->contact);
    for (size_t i = 0; i < FILES_ACTIVE_MAX; i++) {
        file_run *r = e->files->place[i];
        if (!r || r->ended || download_whole(&r->down))
            continue;
        if (stands_still(e, r) && (!still || r->moved_ms < still->moved_ms))
            still = r;
        if (places_of(e, r->contact) >= mine + 2 && (!rich || r->placed_ms > rich->placed_ms))
            rich = r;
    }
    return still ? still : rich;
}

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
        uint64_t still = e->files->place[i] ? e->files->place[i]->moved_ms + FILES_STALL_MS : mono;
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
            slot_close(e, r->slot); /* the relay takes this as the end of the watch; others on this link begin theirs anew */
        e->files_due_ms = 0;
    }
}

/* --- runs ----------------------------------------------------------------------------------------------------------------------------------------- */
static size_t runs_of(const engine *e, bool outgoing, int64_t contact)
{
    size_t n = 0;
    for (const file_run *r = e->files->runs; r; r = r->next)
        n += !r->ended && r->f.outgoing == outgoing && r->contact == contact;
    return n;
}

/* Of too many, the youngest of the contact that has most makes room for one of a contact that has fewer. */
static bool make_room(engine *e, const vault_file_due *due)
{
    size_t all = 0, most = 0, mine = runs_of(e, due->outgoing, due->contact);
    file_run *youngest = NULL;
    for (file_run *r = e->files->runs; r; r = r->next)
        all += !r->ended && r->f.outgoing == due->outgoing;
    if (all < FILES_RUNS_MAX || due->outgoing)
        return all < FILES_RUNS_MAX;
    for (file_run *r = e->files->runs; r; r = r->next) {
        size_t n = r->ended || r->f.outgoing || r->jobs || place_has(e, r) ? 0 : runs_of(e, false, r->contact);
        if (n >= mine + 2 && n >= most) {
            most = n;
            youngest = r;
        }
    }
    if (youngest)
        file_run_end(e, youngest);
    return youngest != NULL;
}

bool files_begin(engine *e)
{
    vault_file_due due[64];
    size_t count = 1;
    int rc = TACET_OK, bad = TACET_OK;
    e->files->left = false;
    for (int64_t after = 0; rc == TACET_OK && count > 0; after = count ? due[count - 1].row : after) {
        rc = vault_file_running(e->vault, after, due, sizeof due / sizeof *due, &count);
        for (size_t i = 0; rc == TACET_OK && i < count; i++) {
            if (file_run_find(e, due[i].row))
                continue;
            bool room = make_room(e, &due[i]);
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
