#include "resolve.h"
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct resolver {
    atomic_uint owners; /* the caller, and the thread as long as it runs */
    atomic_bool done;   /* `list` and `rc` belong to the thread before, to the caller after */
    int event, rc;
    struct addrinfo *list;
    char host[256], port[8];
};

static void release(resolver *r)
{
    if (atomic_fetch_sub(&r->owners, 1) != 1)
        return;
    if (r->list)
        freeaddrinfo(r->list);
    if (r->event >= 0)
        close(r->event);
    free(r);
}

static void look_up(resolver *r, int flags)
{
    struct addrinfo hints = { .ai_flags = AI_NUMERICSERV | flags, .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
    r->rc = getaddrinfo(r->host, r->port, &hints, &r->list);
}

static void finish(resolver *r)
{
    atomic_store(&r->done, true);
    (void)eventfd_write(r->event, 1); /* cannot fail: the counter is at 0 */
}

static void *run(void *arg)
{
    resolver *r = arg;
    look_up(r, AI_ADDRCONFIG);
    if (r->rc == EAI_NONAME || r->rc == EAI_ADDRFAMILY || r->rc == EAI_NODATA)
        look_up(r, 0); /* AI_ADDRCONFIG does not count loopback: a machine without a network still has itself */
    finish(r);
    release(r);
    return NULL;
}

/* Signals are the business of the thread that polls. */
static int start_thread(resolver *r)
{
    pthread_t thread;
    pthread_attr_t attr;
    sigset_t all, before;
    if (pthread_attr_init(&attr) != 0)
        return TACET_E_NOMEM;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    atomic_fetch_add(&r->owners, 1);
    int failed = pthread_create(&thread, &attr, run, r);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    if (failed)
        atomic_fetch_sub(&r->owners, 1); /* there is no thread; the caller has its share yet */
    return failed ? TACET_E_NOMEM : TACET_OK;
}

int resolver_new(resolver **out, const char *host, uint16_t port)
{
    resolver *r = calloc(1, sizeof *r);
    if (!r)
        return TACET_E_NOMEM;
    atomic_init(&r->owners, 1);
    r->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int rc = r->event < 0 ? TACET_E_IO : TACET_OK;
    snprintf(r->port, sizeof r->port, "%u", port);
    if (snprintf(r->host, sizeof r->host, "%s", host) >= (int)sizeof r->host)
        rc = TACET_E_IO;
    if (rc == TACET_OK) {
        look_up(r, AI_NUMERICHOST);
        if (r->rc == 0)
            finish(r);
        else
            rc = start_thread(r);
    }
    if (rc != TACET_OK) {
        release(r);
        return rc;
    }
    *out = r;
    return TACET_OK;
}

resolver *resolver_free(resolver *r)
{
    if (r)
        release(r);
    return NULL;
}

int resolver_fd(const resolver *r) { return r->event; }

int resolver_take(resolver *r, resolved *out, size_t room, size_t *count)
{
    if (!atomic_load(&r->done))
        return TACET_E_AGAIN;
    if (r->rc != 0 || !r->list)
        return TACET_E_NOT_FOUND;
    size_t n = 0;
    for (const struct addrinfo *a = r->list; a && n < room; a = a->ai_next)
        if (a->ai_addrlen <= sizeof out[n].addr) {
            memcpy(&out[n].addr, a->ai_addr, a->ai_addrlen);
            out[n++].bytes = a->ai_addrlen;
        }
    *count = n;
    return n ? TACET_OK : TACET_E_NOT_FOUND;
}
