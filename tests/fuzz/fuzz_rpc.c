/* P04: what a process of ours may write into the profile's socket. A real host over a socket pair, with an engine that knows every method and its
 * parameters and does nothing. The first input byte says in which pieces the lines come: the answers do not depend on it, and each is one object a line. */
#include "engine/host.h"
#include "fuzz.h"
#include "methods.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ANSWERS_MAX_BYTES = 4 * 1024 * 1024, QUIET_TURNS = 3 };
typedef struct {
    char bytes[ANSWERS_MAX_BYTES];
    size_t n;
} answers;
static answers whole, cut;

static void fake_call(void *ctx, const char *name, json_t *params, engine_done done, void *done_ctx)
{
    (void)ctx;
    const engine_method *m = method_find(name);
    char wrong[METHOD_PARAM_ROOM] = "";
    bool unknown = false, fits = m && method_fits(m, params, wrong, &unknown);
    engine_error error = { 0 };
    PROMISE(memchr(wrong, 0, sizeof wrong));
    if (!fits)
        sentence_fill(&error, !m ? SAY_UNKNOWN_METHOD : unknown ? SAY_NO_PARAMETER : SAY_BAD_PARAMETER, name, wrong, NULL);
    json_t *result = !fits ? NULL : strcmp(name, "receive") == 0 ? json_pack("[{s:s}{s:s}]", "id", "a", "id", "b") : json_object();
    done(done_ctx, result, fits ? NULL : &error);
    json_decref(result);
}

/* One for all inputs, as its lock and socket take their time; what a client leaves there goes with the client. */
static char dir[] = "/tmp/tacet-fuzz.XXXXXX";
static host *shared;

static void leave(void)
{
    char lock[sizeof dir + sizeof "/lock"];
    host_free(shared);
    snprintf(lock, sizeof lock, "%s/lock", dir);
    (void)unlink(lock);
    (void)rmdir(dir);
}

static host *the_host(void)
{
    pid_t holder = 0;
    if (!shared) {
        PROMISE(mkdtemp(dir) && host_open(&shared, dir, &holder) == TACET_OK && atexit(leave) == 0);
        host_serve(shared, (host_engine){ .call = fake_call });
    }
    return shared;
}

/* So many rounds of the host, and what it said; false: nothing came in any of them. */
static bool turns(host *h, int fd, answers *a, int rounds)
{
    size_t before = a->n;
    for (int i = 0; i < rounds; i++) {
        struct pollfd fds[HOST_POLLFDS_MAX];
        int timeout = 0;
        size_t k = host_pollfds(h, fds, &timeout);
        PROMISE(poll(fds, k, 0) >= 0);
        host_ready(h, fds, k);
        ssize_t got = recv(fd, a->bytes + a->n, sizeof a->bytes - a->n, MSG_DONTWAIT);
        a->n += got > 0 ? (size_t)got : 0;
    }
    PROMISE(a->n < sizeof a->bytes);
    return a->n > before;
}

static void run(answers *a, const uint8_t *bytes, size_t n, size_t piece)
{
    host *h = the_host();
    int fd[2];
    a->n = 0;
    PROMISE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) == 0 && fcntl(fd[0], F_SETFL, O_NONBLOCK) == 0);
    PROMISE(host_adopt(h, fd[0]) == TACET_OK);
    for (size_t at = 0; at < n;) {
        size_t some = n - at < piece ? n - at : piece;
        ssize_t put = send(fd[1], bytes + at, some, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (put < 0 && errno == EPIPE)
            break; /* shown out */
        at += put > 0 ? (size_t)put : 0;
        (void)turns(h, fd[1], a, 1);
    }
    (void)shutdown(fd[1], SHUT_WR);
    while (turns(h, fd[1], a, QUIET_TURNS))
        ;
    close(fd[1]);
    (void)turns(h, -1, a, 1); /* forgets it */
}

static void well_formed(const answers *a)
{
    for (size_t at = 0; at < a->n;) {
        const char *end = memchr(a->bytes + at, '\n', a->n - at);
        PROMISE(end);
        size_t n = (size_t)(end - a->bytes) - at;
        json_t *o = json_loadb(a->bytes + at, n, JSON_REJECT_DUPLICATES, NULL);
        PROMISE(json_is_object(o) && json_object_get(o, "id") && !json_object_get(o, "result") != !json_object_get(o, "error"));
        json_decref(o);
        at += n + 1;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    if (n < 1)
        return 0;
    run(&whole, bytes + 1, n - 1, SIZE_MAX);
    run(&cut, bytes + 1, n - 1, 16 * (size_t)bytes[0] + 1);
    well_formed(&whole);
    PROMISE(whole.n == cut.n && memcmp(whole.bytes, cut.bytes, whole.n) == 0);
    return 0;
}
