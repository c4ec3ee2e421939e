/* What the committer's page cache holds is the system's again once nothing has been asked of it for a while: else a relay that took a storm of logins keeps
 * 64 MiB for as long as it lives. */
#include "parts.h"
#include <malloc.h>

enum {
    QUIET_TURNS = 3,  /* of cleaning that found nothing to do, a second each */
    QUIET_PAGES = 64, /* asked of the cache since the last of them: cleaning itself looks at a few */
};

static int pages_asked(relay_store *s, uint64_t *out)
{
    static const int counter[] = { SQLITE_DBSTATUS_CACHE_HIT, SQLITE_DBSTATUS_CACHE_MISS };
    *out = 0;
    for (size_t i = 0; i < sizeof counter / sizeof *counter; i++) {
        int value = 0, highest = 0;
        if (sqlite3_db_status(s->db->db, counter[i], &value, &highest, 0) != SQLITE_OK)
            return TACET_E_BUG;
        *out += (unsigned)value;
    }
    return TACET_OK;
}

int rest_if_quiet(relay_store *s)
{
    uint64_t asked = 0, before = s->rest.asked;
    int rc = pages_asked(s, &asked);
    if (rc != TACET_OK)
        return rc;
    s->rest.asked = asked;
    if (asked - before > QUIET_PAGES) {
        s->rest.quiet = 0;
    } else if (s->rest.quiet < QUIET_TURNS && ++s->rest.quiet == QUIET_TURNS) {
        (void)sqlite3_db_release_memory(s->db->db); /* always SQLITE_OK: it frees what it can */
        (void)malloc_trim(0);
    }
    return TACET_OK;
}
