#include "transfer/trouble.h"
#include <stddef.h>

static const struct {
    const char *word;
    trouble_class cls;
    uint32_t retry_ms;
} table[TROUBLE_COUNT] = {
    [TROUBLE_NONE] = { "none", TROUBLE_RETRY, 0 },
    [TROUBLE_SOURCE_CHANGED] = { "source-changed", TROUBLE_FATAL, 0 },
    [TROUBLE_SOURCE_GONE] = { "source-gone", TROUBLE_FATAL, 0 },
    [TROUBLE_SOURCE_IO] = { "source-unreadable", TROUBLE_FATAL, 0 },
    [TROUBLE_DISK_FULL] = { "disk-full", TROUBLE_RETRY, 5000 },
    [TROUBLE_TARGET_IO] = { "target-unwritable", TROUBLE_ASK, 0 },
    [TROUBLE_TARGET_GONE] = { "no-folder", TROUBLE_ASK, 0 },
    [TROUBLE_PART_CHANGED] = { "part-changed", TROUBLE_FATAL, 0 },
    [TROUBLE_RELAY_QUOTA] = { "relay-quota", TROUBLE_RETRY, 30000 },
    [TROUBLE_RELAY_REFUSED] = { "relay-refused", TROUBLE_FATAL, 0 },
    [TROUBLE_RELAY_GONE] = { "relay-gone", TROUBLE_FATAL, 0 },
    [TROUBLE_CHUNKS_DAMAGED] = { "chunks-damaged", TROUBLE_RETRY, 60000 },
    [TROUBLE_ROOT] = { "wrong-root", TROUBLE_FATAL, 0 },
    [TROUBLE_MANIFEST] = { "bad-manifest", TROUBLE_FATAL, 0 },
    [TROUBLE_COMMITMENT] = { "wrong-commitment", TROUBLE_FATAL, 0 },
    [TROUBLE_WITHDRAWN] = { "withdrawn", TROUBLE_FATAL, 0 },
    [TROUBLE_UNWANTED] = { "unwanted", TROUBLE_FATAL, 0 },
    [TROUBLE_EXPIRED] = { "expired", TROUBLE_FATAL, 0 },
};

static size_t row_of(trouble t) { return (size_t)t < TROUBLE_COUNT ? (size_t)t : TROUBLE_TARGET_IO; }

trouble_class trouble_class_of(trouble t) { return table[row_of(t)].cls; }
uint32_t trouble_retry_ms(trouble t) { return table[row_of(t)].retry_ms; }
const char *trouble_word(trouble t) { return table[row_of(t)].word; }
