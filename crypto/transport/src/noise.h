/* noise.h (private): what is inside a handshake object, and the pattern code with payloads, which the published Noise vectors need and the
 * protocol never uses. */
#ifndef TRANSPORT_NOISE_H
#define TRANSPORT_NOISE_H
#include "symmetric.h"
#include "transport/handshake.h"

enum {
    NOISE_KEM_PUBLIC_BYTES = 1184,
    NOISE_KEM_SECRET_BYTES = 2400,
    NOISE_KEM_CIPHERTEXT_BYTES = 1088,
    NOISE_KEM_SEED_BYTES = 64,
    NOISE_KEM_COINS_BYTES = 32,
    NOISE_MESSAGES_MAX = 3,
    NOISE_TOKENS_MAX = 4,
};

/* Noise §7 and the HFS extension. TOKEN_END fills a row. */
typedef enum { TOKEN_END, TOKEN_E, TOKEN_S, TOKEN_EE, TOKEN_ES, TOKEN_SE, TOKEN_E1, TOKEN_EKEM1 } noise_token;

typedef struct {
    const char *name;
    bool initiator_static; /* the initiator has a static key and sends it */
    unsigned messages;
    uint8_t tokens[NOISE_MESSAGES_MAX][NOISE_TOKENS_MAX];
} noise_pattern;

struct handshake {
    const noise_pattern *pattern;
    const tacet_env *env;
    bool initiator, dead, split;
    unsigned at; /* the message that comes next */
    symmetric sym;
    uint8_t s_secret[32], s_public[32], e_secret[32], e_public[32]; /* ours */
    uint8_t rs[32], re[32];                                         /* theirs */
    union {
        uint8_t secret[NOISE_KEM_SECRET_BYTES]; /* initiator: of e1 */
        uint8_t remote[NOISE_KEM_PUBLIC_BYTES]; /* responder: e1 itself */
    } kem;
};

/* FIPS 203 §7.2: every 12-bit coefficient of the encapsulation key is below q. */
bool noise_kem_key_ok(const uint8_t key[NOISE_KEM_PUBLIC_BYTES]);
size_t noise_message_bytes(const handshake *h, size_t payload_bytes);
/* As handshake_write and handshake_read, with a payload. `out` has room for noise_message_bytes(h, payload_bytes). */
TACET_MUST_USE int noise_write(handshake *h, uint8_t *out, const uint8_t *payload, size_t payload_bytes);
/* `payload` has room for payload_bytes, which the message's length must agree with. */
TACET_MUST_USE int noise_read(handshake *h, const uint8_t *message, size_t message_bytes, uint8_t *payload, size_t payload_bytes);
#endif
