/* server/limits.h: every limit of the relay, with its unit. What both sides of the wire must agree on stands in base/limits.h.
 * The ones marked (ini) are defaults that tacetd.ini may change; see server/config.h. */
#ifndef SERVER_LIMITS_H
#define SERVER_LIMITS_H

enum relay_limits {
    /* processes and connections */
    RELAY_WORKERS_MAX = 16,              /* net processes */
    RELAY_SLOTS_MAX = 131072,            /* connections of one worker; a slot number is below this */
    RELAY_CONNECTIONS_MAX = 131072,      /* of all workers together */
    RELAY_SLOTS_DEFAULT = 16384,         /* (ini) connections of one worker */
    RELAY_HANDSHAKES_PENDING_MAX = 4096, /* of all workers together, begun and not finished */
    RELAY_HANDSHAKE_THREADS_MAX = 8,
    RELAY_REQUESTS_PENDING_MAX = 256,  /* of one connection, asked and not answered: net stops reading from it ... */
    RELAY_REQUESTS_PENDING_HARD = 512, /* ... and store closes it here, because net let more through */

    /* what one address may hold of one worker, so that it leaves room for the others */
    RELAY_ADDRESS_SHARE = 4,                           /* (ini) connections: slots divided by this */
    RELAY_ADDRESS_PENDING_MAX = 1024,                  /* handshakes begun and not finished; more are refused */
    RELAY_ADDRESS_REQUESTS_MAX = 1024,                 /* asked and not answered, over all its connections: none of them is read from above it */
    RELAY_ADDRESS_REQUEST_BYTES_MAX = 8 * 1024 * 1024, /* ... nor above so many bytes of them */
    RELAY_ADDRESS_CHUNK_BYTES_MAX = 16 * 1024 * 1024,  /* the same for its connections that carry chunks of files */
    RELAY_ASK_BURST = 1024,                            /* (ini) requests of one address at full speed, then ... */
    RELAY_ASK_EVERY_US = 250,                          /* (ini) ... one in so many microseconds: what comes faster waits in its socket */
    RELAY_PARKED_LOOKS = 256,                          /* connections that wait for such a share, looked at in one millisecond */
    RELAY_OPEN_IDLE_S = 600,                           /* (ini) an open (role 2) connection that asks nothing for so long is closed */
    RELAY_STRANGER_MS = 60 * 1000,                     /* a mailbox (role 1) connection whose device is still not registered then is closed */
    RELAY_STALL_MS = 60 * 1000,                        /* a peer that takes nothing of what waits for it for so long is gone */
    RELAY_LOOK_MS = 30 * 1000,                         /* each connection is looked at so often: is it stalled, idle, old? */

    /* memory that a process keeps for buffers to come */
    RELAY_HEAP_MMAP_BYTES = 4 * 1024 * 1024, /* blocks above it are the kernel's again when they are freed */
    RELAY_HEAP_KEEP_BYTES = 8 * 1024 * 1024,

    /* io_uring of a net process */
    RELAY_RING_SUBMISSIONS = 4096,
    RELAY_RING_COMPLETIONS = 32768,
    RELAY_RING_BUFFERS = 256, /* a power of two; lent to receives, 4 MiB together */
    RELAY_RING_BUFFER_BYTES = 16 * 1024,
    RELAY_GATHER_US = 30,                         /* a busy net gives more so long to come before its next turn ... */
    RELAY_GATHER_FROM = 4,                        /* ... where busy means that so many connections had something in this one */
    RELAY_LATER_MS = 40,                          /* replies that nobody waits for leave with the next thing for their connection, or so long after */
    RELAY_SEND_RECORDS = 4,                       /* sealed for one send of one connection */
    RELAY_DRAINED_BYTES = 32 * 1024,              /* told to store after so much, or when nothing more waits */
    RELAY_ACCEPT_PAUSE_MS = 100,                  /* no accepting for so long after EMFILE and the like */
    RELAY_KEEPALIVE_IDLE_S = 120,                 /* TCP keepalive: after so long a silence, ... */
    RELAY_KEEPALIVE_EVERY_S = 30,                 /* ... so often, ... */
    RELAY_KEEPALIVE_TRIES = 4,                    /* ... so many times, then the peer is gone */
    RELAY_WAIT_MAX_MS = 60 * 1000,                /* longest wait of a loop */
    RELAY_FLUSH_MAX_MS = 5000,                    /* from a polite close to the end, whatever the peer does */
    RELAY_NET_QUEUE_SOFT_BYTES = 4 * 1024 * 1024, /* waiting for store: above it, nothing more is read from clients ... */
    RELAY_NET_QUEUE_HARD_BYTES = 16 * 1024 * 1024, /* ... and only what must be said anyway gets here; above it, net gives up and is started anew */
    RELAY_IPC_READ_BYTES = 512 * 1024,             /* read from store at once; more than one whole message */
    RELAY_COUNTERS_MS = 1000,                      /* told to store so often, when they changed */

    /* socketpair between net and store */
    RELAY_IPC_PAYLOAD_MAX_BYTES = 132 * 1024,     /* of one message: a whole frame and some small change */
    RELAY_IPC_QUEUE_SOFT_BYTES = 4 * 1024 * 1024, /* waiting to be written to one worker: above it, nothing more is read from that worker */
    RELAY_IPC_QUEUE_MAX_BYTES = 32 * 1024 * 1024, /* ... and frames for it are lost with their connections above this */
    RELAY_OUTPUT_SOFT_BYTES = 256 * 1024,         /* handed to net for one connection and not yet sent: no more deliveries above it */
    RELAY_OUTPUT_HARD_BYTES = 2 * 1024 * 1024,    /* ... and the connection is closed above this */
    RELAY_MEMORY_MAX_BYTES = 64 * 1024 * 1024,    /* requests and messages in memory: above it, nothing more is read from any worker */

    /* rates: a burst, then one in so many milliseconds (ini) */
    RELAY_HANDSHAKE_BURST = 512, /* per address: /32, or /64 in IPv6 */
    RELAY_HANDSHAKE_EVERY_MS = 20,
    RELAY_REGISTER_BURST = 256, /* new devices per address, by new accounts and new lists */
    RELAY_REGISTER_EVERY_MS = 10 * 1000,
    RELAY_BUNDLE_BURST = 6, /* per address; beyond it bundles come without one-time keys */
    RELAY_BUNDLE_EVERY_MS = 10 * 60 * 1000,
    RELAY_BUNDLE_DEVICE_BURST = 60, /* per target device: 60 a day */
    RELAY_BUNDLE_DEVICE_EVERY_MS = 24 * 60 * 1000,
    RELAY_CHANGE_BURST = 256, /* of one device: tokens, prekeys, lists, names, which all have to be verified or written */
    RELAY_CHANGE_EVERY_MS = 200,
    RELAY_CHANGE_REMOVALS = 4, /* so many tokens removed are a change of the whole account's, too */
    RELAY_LIST_BURST = 32,     /* of one account: device lists, and what is new in them beyond one device each */
    RELAY_LIST_EVERY_MS = 10 * 60 * 1000,
    RELAY_REQUEST_BURST = 64, /* contact requests per address */
    RELAY_REQUEST_EVERY_MS = 30 * 1000,
    RELAY_LIMITER_ENTRIES = 65536, /* addresses or devices that one limiter remembers */

    /* mailboxes */
    RELAY_MAILBOXES_MAX = 4 * 1024 * 1024,       /* their numbers; one that is removed frees its own at the next start */
    RELAY_MAILBOX_MESSAGES_MAX = 20000,          /* (ini) waiting in one mailbox */
    RELAY_MAILBOX_BYTES_MAX = 128 * 1024 * 1024, /* (ini) waiting in one mailbox */
    RELAY_MAILBOX_CONTACT_SHARE = 8,             /* once a mailbox is half full, one contact may add the limit divided by this, ... */
    RELAY_MAILBOX_CONTACT_LEAST = 64,            /* ... but so many in any case, ... */
    RELAY_MAILBOX_CONTACT_EVERY_MS = 10 * 1000,  /* ... and then one in so long: it leaves room for the others */
    RELAY_MESSAGE_FREE_MIB = 512,                /* (ini) of the disk: with less, a mailbox may hold ... */
    RELAY_SCARCE_BYTES = 2 * 1024 * 1024,        /* ... so much, in proportion to what is left of that, ... */
    RELAY_SCARCE_LEAST_BYTES = 64 * 1024,        /* ... and this in any case */
    RELAY_SCARCE_MESSAGE_BYTES = 256,            /* what a message counts for besides its bytes */
    RELAY_DEVICE_CONNECTIONS_MAX = 8,            /* of one device at a time */
    RELAY_REQUEST_QUEUE = 32,                    /* waiting under request tokens in one mailbox */
    RELAY_TOKENS_MAX = 4096,                     /* of one account */
    RELAY_PREKEYS_ONE_TIME_MAX = 200,            /* of each kind, of one device, in store */
    RELAY_ROUTES = 65536,                        /* remembered (account, device, token) -> mailbox */

    /* delivery */
    RELAY_ACKS_MAX = 256,                             /* numbers in one ack */
    RELAY_WINDOW_MAX = 256,                           /* envelopes delivered to one device and not acknowledged */
    RELAY_WINDOW_MEMORY_MAX_BYTES = 48 * 1024 * 1024, /* of all windows: above it, none grows beyond its first 8 places (488 bytes a device) */
    RELAY_BACKLOG_MAX_MESSAGES = 64,                  /* read from the store at once for one device */
    RELAY_BACKLOG_MAX_BYTES = 256 * 1024,
    RELAY_HOLD_MAX_US = 2000,            /* how long a message may wait for its acknowledgement before it is written */
    RELAY_HOLD_GROUPS = 4,               /* ... or, where that is longer, as long as so many groups lately took, ... */
    RELAY_HOLD_BUSY_MAX_US = 100 * 1000, /* ... but no longer than this */
    RELAY_TICK_US = 250,                 /* accepts of messages that were never written leave on this tick */
    RELAY_ACK_GATHER_US = 10000,         /* an acknowledgement of what was written waits so long for company before it is written */

    /* blobs */
    RELAY_BLOBS_ACCOUNT_MAX = 4096,                   /* of one account */
    RELAY_BLOBS_OPEN_MAX = 4096,                      /* known in memory: watched, put to, or used a moment ago */
    RELAY_BLOBS_OPEN_SHARE = 512,                     /* ... of these, of one account */
    RELAY_BLOB_WAITING_MAX = 64,                      /* requests that wait until a blob is loaded */
    RELAY_BLOB_WATCHES_MAX = 1024,                    /* of one connection */
    RELAY_BLOBS_EXPIRE_MAX = 64,                      /* in one transaction */
    RELAY_BLOBS_EXPIRE_EVERY_MS = 60 * 1000,          /* looked for so often */
    RELAY_CHUNK_MEMORY_SOFT_BYTES = 18 * 1024 * 1024, /* of chunks in memory: above it, none is held back for its receivers ... */
    RELAY_CHUNK_MEMORY_MAX_BYTES = 28 * 1024 * 1024,  /* ... and above this, `quota` */
    RELAY_CHUNK_HOLD_MAX_MS = 2000,                   /* a chunk waits so long for its receivers, then it is written */
    RELAY_CHUNK_HOLD_IDLE_MS = 300,                   /* ... and no longer than so long after the last sign of life of one that lacks it */
    RELAY_CHUNK_TICK_MS = 20,                         /* looked for so often */
    RELAY_CHUNK_WRITES_MAX = 64,                      /* chunks of one write */
    RELAY_CHUNK_READS_MAX = 8,                        /* chunks of one read */
    RELAY_CHUNK_READS_PENDING_MAX = 4,                /* reads under way, of all watchers */
    RELAY_CHUNK_OUTPUT_BYTES = 512 * 1024,            /* unsent output of a connection above which it gets no more chunks */
    RELAY_BLOB_DONE_RETRY_MS = 1000,                  /* that all have everything could not be written */
    RELAY_BLOB_MARK_EVERY_MS = 100,                   /* what receivers have is written so often; what a sender waits for, at once */
    RELAY_BLOB_ACCOUNT_MIB = 32 * 1024,               /* (ini) set aside for one account */
    RELAY_BLOB_ACCOUNT_SHARE = 8,                     /* (ini) ... and what is free divided by this at most */
    RELAY_BLOB_TOTAL_MIB = 256 * 1024,                /* (ini) set aside for all */
    RELAY_BLOB_FREE_MIB = 1024,                       /* (ini) of the disk, that stay free */

    /* committer */
    RELAY_GROUP_MAX_JOBS = 4096, /* in one transaction */
    RELAY_CLEAN_EVERY_MS = 1000,
    RELAY_EXPIRY_SPEED = 2,               /* (ini) what is stored grows old at most so many times as fast as time passes, whatever the clock says */
    RELAY_AGE_SAVE_EVERY_MS = 600 * 1000, /* how old it is, is written so often */
    RELAY_CLEAN_BUSY_MS = 50,             /* when there was more to clean */
};
#endif
