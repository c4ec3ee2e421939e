/* base/status.h: the one list of outcomes.
 * < 0  a fault of ours or of the machine: pass it up unchanged, never match on it in the middle of the house.
 * > 0  a verdict about what somebody gave us: the direct caller acts on it and does not forward it to a peer as it is.
 * Out-parameters are written only on TACET_OK unless a header says otherwise. */
#ifndef BASE_STATUS_H
#define BASE_STATUS_H

enum tacet_status {
    TACET_OK = 0,

    TACET_E_MALFORMED = 1, /* not the shape it must have */
    TACET_E_VERSION,       /* a version we do not speak */
    TACET_E_FORGED,        /* authentication failed: tag, signature or commitment */
    TACET_E_REPLAY,        /* seen before */
    TACET_E_GAP,           /* further ahead than the limit */
    TACET_E_QUOTA,         /* a limit of space or count */
    TACET_E_RATE,          /* a limit of rate */
    TACET_E_KEY,           /* a public key that is not canonical, of the wrong type, or of small order */
    TACET_E_EXPIRED,       /* past its time */
    TACET_E_FORK,          /* same version, other contents */
    TACET_E_NOT_FOUND,     /* no such thing */
    TACET_E_EXISTS,        /* there is one already */
    TACET_E_PASSPHRASE,    /* the passphrase does not open it */
    TACET_E_REFUSED,       /* not allowed here or now */
    TACET_E_AGAIN,         /* not complete yet: give more bytes or call later */
    TACET_E_TRANSPORT,     /* the record stream is broken; the connection must be closed */
    TACET_E_HANDSHAKE,     /* the handshake failed; the connection must be closed */
    TACET_E_BUSY,          /* somebody else holds it */
    TACET_E_NEWER,         /* made by a newer version of this program */

    TACET_E_NOMEM = -1,
    TACET_E_IO = -2,      /* errno holds the cause where there is one */
    TACET_E_FULL = -3,    /* no space left on the device, or disk quota */
    TACET_E_CORRUPT = -4, /* our own stored data is damaged */
    TACET_E_LOCKING = -5, /* memory could not be locked: RLIMIT_MEMLOCK */
    TACET_E_BUG = -6,     /* a broken promise between our own parts */
    TACET_E_READONLY = -7,
};

#define TACET_MUST_USE __attribute__((warn_unused_result))

/* A short stable word for logs and tests ("forged", "quota"), never NULL. */
const char *tacet_status_word(int status);

#endif
