/* server/op.h: what rides in an io_uring completion: 8 bits operation, 24 bits slot, 32 bits generation of the slot. Never a bare descriptor: a
 * completion that comes late for a slot used anew finds nobody. */
#ifndef SERVER_OP_H
#define SERVER_OP_H
#include <stdint.h>

typedef enum { OP_NONE = 0, OP_ACCEPT, OP_RECV, OP_SEND, OP_IPC_RECV, OP_IPC_SEND, OP_CANCEL, OP_ATTEMPT } net_op;

static inline uint64_t op_pack(net_op op, uint32_t slot, uint32_t generation)
{
    return (uint64_t)op << 56 | (uint64_t)(slot & 0xffffffu) << 32 | generation;
}
static inline net_op op_of(uint64_t tag) { return (net_op)(tag >> 56); }
static inline uint32_t op_slot(uint64_t tag) { return (uint32_t)(tag >> 32) & 0xffffffu; }
static inline uint32_t op_generation(uint64_t tag) { return (uint32_t)tag; }
#endif
