/* The messages between net and store: every truncation waits, every lie ends the channel. */
#include "server/ipc.h"
#include "server/limits.h"
#include "suite.h"
#include <string.h>

static const struct {
    const char *what;
    ipc_side from;
    uint8_t type;
    uint32_t slot, generation, bytes;
    int want;
} row[] = {
    { "opened", IPC_FROM_NET, IPC_OPENED, 3, 1, 8, TACET_OK },
    { "ready", IPC_FROM_NET, IPC_READY, 0, 0, 4, TACET_OK },
    { "frame", IPC_FROM_NET, IPC_FRAME_IN, 65535, 0xffffffff, 131072, TACET_OK },
    { "keys", IPC_FROM_STORE, IPC_KEYS, 1, 1, 64, TACET_OK },
    { "stop", IPC_FROM_STORE, IPC_STOP, 0, 0, 0, TACET_OK },
    { "frame of nothing", IPC_FROM_NET, IPC_FRAME_IN, 1, 1, 0, TACET_E_MALFORMED },
    { "frame too long", IPC_FROM_NET, IPC_FRAME_IN, 1, 1, 131073, TACET_E_MALFORMED },
    { "keys from net", IPC_FROM_NET, IPC_KEYS, 1, 1, 64, TACET_E_MALFORMED },
    { "opened from store", IPC_FROM_STORE, IPC_OPENED, 1, 1, 8, TACET_E_MALFORMED },
    { "slot out of range", IPC_FROM_NET, IPC_OPENED, RELAY_SLOTS_MAX, 1, 8, TACET_E_MALFORMED },
    { "generation 0", IPC_FROM_NET, IPC_OPENED, 1, 0, 8, TACET_E_MALFORMED },
    { "worker message with a slot", IPC_FROM_NET, IPC_READY, 1, 0, 4, TACET_E_MALFORMED },
    { "type 0", IPC_FROM_NET, 0, 1, 1, 8, TACET_E_MALFORMED },
    { "type between", IPC_FROM_NET, 15, 1, 1, 8, TACET_E_MALFORMED },
    { "type beyond", IPC_FROM_NET, 255, 1, 1, 8, TACET_E_MALFORMED },
    { "length 2^32 - 1", IPC_FROM_NET, IPC_FRAME_IN, 1, 1, 0xffffffff, TACET_E_MALFORMED },
};

static size_t raw_message(uint8_t *out, int i)
{
    uint32_t fields[] = { row[i].bytes, row[i].slot, row[i].generation };
    size_t at = 0;
    for (int f = 0; f < 3; f++) {
        for (int b = 3; b >= 0; b--)
            out[at++] = (uint8_t)(fields[f] >> (8 * b));
        if (f == 0)
            out[at++] = row[i].type;
    }
    return at;
}

START_TEST(P14_ipc_reads_or_refuses)
{
    static uint8_t bytes[IPC_MESSAGE_MAX_BYTES + 1];
    size_t head = raw_message(bytes, _i), at = 0;
    ck_assert_uint_eq(head, IPC_HEAD_BYTES);
    ipc_message m;
    int got = ipc_next(&m, row[_i].from, bytes, sizeof bytes, &at);
    ck_assert_msg(got == row[_i].want, "%s: got %d", row[_i].what, got);
    if (got != TACET_OK) {
        ck_assert_uint_eq(at, 0);
        return;
    }
    size_t whole = IPC_HEAD_BYTES + row[_i].bytes;
    ck_assert_uint_eq(at, whole);
    ck_assert_uint_eq(m.type, row[_i].type);
    ck_assert_uint_eq(m.slot, row[_i].slot);
    ck_assert_uint_eq(m.generation, row[_i].generation);
    ck_assert_uint_eq(m.bytes, row[_i].bytes);
    ck_assert_ptr_eq(m.payload, bytes + IPC_HEAD_BYTES);
    size_t step = whole > 4096 ? 977 : 1;
    for (size_t cut = 0; cut < whole; cut += step) {
        at = 0;
        ck_assert_int_eq(ipc_next(&m, row[_i].from, bytes, cut, &at), TACET_E_AGAIN);
        ck_assert_uint_eq(at, 0);
    }
}
END_TEST

/* A lie is told from its head alone: nothing is waited for, nothing is kept. */
START_TEST(P14_ipc_lie_is_seen_in_the_head)
{
    uint8_t bytes[IPC_HEAD_BYTES];
    size_t head = raw_message(bytes, _i), at = 0;
    ipc_message m;
    int want = row[_i].want != TACET_OK ? row[_i].want : row[_i].bytes ? TACET_E_AGAIN : TACET_OK;
    ck_assert_int_eq(ipc_next(&m, row[_i].from, bytes, head, &at), want);
}
END_TEST

START_TEST(queue_keeps_order_and_its_limit)
{
    ipc_queue q;
    ipc_queue_init(&q, 64 * 1024);
    uint8_t payload[1000];
    unsigned put = 0, got = 0;
    for (unsigned turn = 0; turn < 2000; turn++) {
        memset(payload, (int)(put & 0xff), sizeof payload);
        unsigned burst = 1 + turn * 7 % 5;
        for (unsigned i = 0; i < burst; i++) {
            memset(payload, (int)(put & 0xff), sizeof payload);
            int rc = ipc_put_copy(&q, IPC_FRAME_OUT, 1, put + 1, payload, 2 + put % 900);
            if (rc == TACET_E_QUOTA) {
                ck_assert_uint_gt(q.used, 64 * 1024 - 1000 - IPC_HEAD_BYTES);
                break;
            }
            ck_assert_int_eq(rc, TACET_OK);
            put++;
        }
        ck_assert_uint_le(q.used, 64 * 1024);
        size_t at = 0;
        ipc_message m;
        for (unsigned i = 0; i < 3 && ipc_next(&m, IPC_FROM_STORE, ipc_queued(&q), q.used, &at) == TACET_OK; i++) {
            ck_assert_uint_eq(m.generation, got + 1);
            ck_assert_uint_eq(m.bytes, 2 + got % 900);
            for (size_t b = 0; b < m.bytes; b += 97)
                ck_assert_uint_eq(m.payload[b], got & 0xff);
            got++;
        }
        ipc_written(&q, at);
    }
    ck_assert_uint_gt(got, 1000);
    ipc_queue_free(&q);
}
END_TEST

START_TEST(queue_refuses_a_message_that_no_reader_would_take)
{
    ipc_queue q;
    ipc_queue_init(&q, 64 * 1024 * 1024);
    ck_assert_ptr_null(ipc_put(&q, IPC_FRAME_OUT, 1, 1, RELAY_IPC_PAYLOAD_MAX_BYTES + 1));
    ck_assert_ptr_nonnull(ipc_put(&q, IPC_FRAME_OUT, 1, 1, RELAY_IPC_PAYLOAD_MAX_BYTES));
    ipc_queue_free(&q);
}
END_TEST

SUITE("ipc", LOOP(P14_ipc_reads_or_refuses, ROWS(row)), LOOP(P14_ipc_lie_is_seen_in_the_head, ROWS(row)), TEST(queue_keeps_order_and_its_limit),
      TEST(queue_refuses_a_message_that_no_reader_would_take))
