/* See raw_client.h. */
#include "raw_client.h"
#include <arpa/inet.h>
#include <check.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "identity/link.h"

enum { TIMEOUT_S = 10 };

/* --- sockets ------------------------------------------------------------------------------------------------------------------------------ */
int raw_connect(uint16_t port)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct timeval t = { TIMEOUT_S, 0 };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t) != 0 || connect(fd, (struct sockaddr *)&a, sizeof a) != 0) {
        if (fd >= 0)
            close(fd);
        return -1;
    }
    return fd;
}

bool raw_write(int fd, const void *bytes, size_t n)
{
    const uint8_t *at = bytes;
    while (n) {
        ssize_t w = send(fd, at, n, MSG_NOSIGNAL);
        if (w < 0 && errno == EINTR)
            continue;
        if (w <= 0)
            return false;
        at += w;
        n -= (size_t)w;
    }
    return true;
}

bool raw_read(int fd, void *bytes, size_t n)
{
    uint8_t *at = bytes;
    while (n) {
        ssize_t r = recv(fd, at, n, 0);
        if (r < 0 && errno == EINTR)
            continue;
        if (r <= 0)
            return false;
        at += r;
        n -= (size_t)r;
    }
    return true;
}

bool raw_is_cut(int fd, unsigned ms)
{
    struct pollfd p = { fd, POLLIN, 0 };
    char byte;
    if (poll(&p, 1, (int)ms) <= 0)
        return false;
    return recv(fd, &byte, 1, MSG_DONTWAIT) <= 0;
}

/* --- handshake ------------------------------------------------------------------------------------------------------------------------------ */
static size_t put_message(uint8_t *out, handshake *h)
{
    size_t n = handshake_message_bytes(h);
    out[0] = (uint8_t)(n >> 8);
    out[1] = (uint8_t)n;
    return handshake_write(h, out + 2) == TACET_OK ? 2 + n : 0;
}

static bool get_message(int fd, handshake *h)
{
    uint8_t head[2], message[TACET_HANDSHAKE_MESSAGE_MAX_BYTES];
    if (!raw_read(fd, head, 2))
        return false;
    size_t n = (size_t)head[0] << 8 | head[1];
    return n <= sizeof message && raw_read(fd, message, n) && handshake_read(h, message, n) == TACET_OK;
}

static bool greet(raw_client *c, handshake *h)
{
    handshake_keys keys;
    preamble_encode(c->sent_first, TACET_WIRE_VERSION, c->role);
    size_t n = put_message(c->sent_first + TACET_PREAMBLE_BYTES, h);
    if (!n || !raw_write(c->fd, c->sent_first, TACET_PREAMBLE_BYTES + n) || !get_message(c->fd, h))
        return false;
    if (c->role == TACET_ROLE_MAILBOX && (!put_message(c->sent_third, h) || !raw_write(c->fd, c->sent_third, sizeof c->sent_third)))
        return false;
    if (handshake_split(h, &keys) != TACET_OK)
        return false;
    memcpy(c->out.key, keys.send, 32);
    memcpy(c->in.key, keys.receive, 32);
    memcpy(c->hash, keys.hash, 64);
    return true;
}

bool raw_open(raw_client *c, uint16_t port, const uint8_t relay_key[32], tacet_role role, const person *p)
{
    uint8_t prologue[TACET_PREAMBLE_BYTES];
    handshake *h = NULL;
    *c = (raw_client){ .role = role, .next_id = 1, .fd = raw_connect(port) };
    if (c->fd < 0)
        return false;
    preamble_encode(prologue, TACET_WIRE_VERSION, role);
    int rc = handshake_initiator_new(&h, role == TACET_ROLE_MAILBOX ? HANDSHAKE_XKHFS : HANDSHAKE_NKHFS, env_system(), prologue, sizeof prologue,
                                     role == TACET_ROLE_MAILBOX ? p->tk.secret : NULL, relay_key);
    bool good = rc == TACET_OK && greet(c, h);
    handshake_free(h);
    if (!good)
        raw_close(c);
    return good;
}

void raw_close(raw_client *c)
{
    if (c->fd >= 0)
        close(c->fd);
    frame_stream_free(&c->stream);
    c->fd = -1;
}

/* --- frames -------------------------------------------------------------------------------------------------------------------------------- */
uint32_t raw_say(raw_client *c, frame *f)
{
    static uint8_t body[4 + TACET_FRAME_MAX_BYTES], record[TACET_RECORD_MAX_BYTES];
    size_t n, sealed;
    f->id = f->id ? f->id : c->next_id++;
    ck_assert_int_eq(frame_encode(f, body + 4, sizeof body - 4, &n), TACET_OK);
    for (int i = 0; i < 4; i++)
        body[i] = (uint8_t)(n >> (24 - 8 * i));
    n += 4;
    for (size_t at = 0; at < n;) {
        size_t part = n - at < TACET_RECORD_STREAM_MAX_BYTES ? n - at : TACET_RECORD_STREAM_MAX_BYTES;
        ck_assert_int_eq(record_seal(&c->out, record, &sealed, body + at, part), TACET_OK);
        if (!raw_write(c->fd, record, sealed))
            return 0;
        at += part;
    }
    return f->id;
}

static bool next_record(raw_client *c)
{
    size_t whole;
    if (!raw_read(c->fd, c->record, TACET_RECORD_HEAD_BYTES) || record_length(c->record, &whole) != TACET_OK)
        return false;
    return raw_read(c->fd, c->record + TACET_RECORD_HEAD_BYTES, whole - TACET_RECORD_HEAD_BYTES) &&
           record_open(&c->in, c->record, whole, &c->left, &c->left_bytes) == TACET_OK;
}

bool raw_hear(raw_client *c, frame *out)
{
    const uint8_t *body;
    size_t n;
    for (;;) {
        int rc = frame_stream_next(&c->stream, &c->left, &c->left_bytes, &body, &n);
        if (rc == TACET_OK)
            return frame_decode(out, body, n) == TACET_OK;
        if (rc != TACET_E_AGAIN || c->fd < 0 || !next_record(c))
            return false;
    }
}

bool raw_ask(raw_client *c, frame *f, frame *reply)
{
    uint32_t id = raw_say(c, f);
    while (id && raw_hear(c, reply))
        if (reply->id == id)
            return true;
    return false;
}

unsigned raw_code(raw_client *c, frame *f)
{
    static frame reply;
    if (!raw_ask(c, f, &reply))
        return 1000;
    return reply.kind == FRAME_ERROR ? reply.error.code : 0;
}

/* --- the relay ------------------------------------------------------------------------------------------------------------------------------- */
static const char *tacetd(void)
{
    const char *path = getenv("TACETD");
    ck_assert_msg(path != NULL, "TACETD names the program to test");
    return path;
}

static pid_t start(char *const argv[], int out_fd, int err_fd)
{
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        if (out_fd >= 0)
            dup2(out_fd, 1);
        if (err_fd >= 0)
            dup2(err_fd, 2);
        execv(argv[0], argv);
        _exit(127);
    }
    return pid;
}

static int finish(pid_t pid)
{
    int status;
    while (waitpid(pid, &status, 0) < 0)
        ck_assert_int_eq(errno, EINTR);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static int command(char *out, size_t room, char *const argv[])
{
    int pipe_[2];
    size_t n = 0;
    ck_assert_int_eq(pipe2(pipe_, O_CLOEXEC), 0);
    pid_t pid = start(argv, pipe_[1], -1);
    close(pipe_[1]);
    for (ssize_t got; n + 1 < room && (got = read(pipe_[0], out + n, room - 1 - n)) > 0;)
        n += (size_t)got;
    out[n] = 0;
    close(pipe_[0]);
    return finish(pid);
}

int relay_command(const relay *r, char *out, size_t room, const char *word, ...)
{
    char *argv[16] = { (char *)(uintptr_t)tacetd(), (char *)(uintptr_t)word, (char *)(uintptr_t) "--data", (char *)(uintptr_t)r->dir };
    va_list more;
    va_start(more, word);
    for (int i = 4; i < 13 && (argv[i] = va_arg(more, char *)); i++)
        ;
    va_end(more);
    return command(out, room, argv);
}

pid_t relay_begin_command(const relay *r, const char *word)
{
    char *argv[] = { (char *)(uintptr_t)tacetd(), (char *)(uintptr_t)word, (char *)(uintptr_t) "--data", (char *)(uintptr_t)r->dir, NULL };
    return start(argv, -1, -1);
}

void relay_init(relay *r, const char *ini)
{
    char line[512], path[128];
    *r = (relay){ .out_fd = -1, .err_fd = -1 };
    const char *where = getenv("TMPDIR");
    snprintf(r->dir, sizeof r->dir, "%s/tacet-relay.XXXXXX", where ? where : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(r->dir));
    ck_assert_int_eq(relay_command(r, line, sizeof line, "init", "--listen", "127.0.0.1:0", NULL), 0);
    relay_address a;
    line[strcspn(line, "\n")] = 0;
    ck_assert_msg(relay_address_parse(&a, line) == TACET_OK, "init printed: %s", line);
    memcpy(r->key, a.key, 32);
    r->port = a.port;
    if (!ini)
        return;
    snprintf(path, sizeof path, "%s/tacetd.ini", r->dir);
    FILE *f = fopen(path, "a");
    ck_assert_ptr_nonnull(f);
    fputs(ini, f);
    fclose(f);
}

void relay_run(relay *r)
{
    char path[128], line[600];
    int pipe_[2];
    char *argv[] = { (char *)(uintptr_t)tacetd(), (char *)(uintptr_t) "run", (char *)(uintptr_t) "--data", r->dir, NULL };
    snprintf(path, sizeof path, "%s.err", r->dir);
    r->err_fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    ck_assert_int_ge(r->err_fd, 0);
    ck_assert_int_eq(pipe2(pipe_, O_CLOEXEC), 0);
    r->pid = start(argv, pipe_[1], r->err_fd);
    close(pipe_[1]);
    r->out_fd = pipe_[0];
    struct pollfd p = { r->out_fd, POLLIN, 0 };
    ck_assert_msg(poll(&p, 1, 20000) == 1, "no ready line in 20 s, see %s", path);
    ssize_t n = read(r->out_fd, line, sizeof line - 1);
    line[n > 0 ? n : 0] = 0;
    ck_assert_msg(strncmp(line, "ready tacet://", 14) == 0, "run printed \"%s\", see %s", line, path);
}

int relay_end(relay *r, int signal_)
{
    kill(r->pid, signal_);
    int code = finish(r->pid);
    r->pid = 0;
    close(r->out_fd);
    close(r->err_fd);
    return code;
}

/* What a sanitizer had to say about any of the relay's processes. */
static void log_is_clean(const relay *r)
{
    char path[128], line[1024];
    snprintf(path, sizeof path, "%s.err", r->dir);
    FILE *f = fopen(path, "r");
    while (f && fgets(line, sizeof line, f))
        ck_assert_msg(!strstr(line, "runtime error:") && !strstr(line, "Sanitizer"), "see %s: %s", path, line);
    if (f)
        fclose(f);
}

void relay_remove(relay *r)
{
    char path[512];
    if (r->pid)
        relay_end(r, SIGTERM);
    log_is_clean(r);
    DIR *d = opendir(r->dir);
    for (struct dirent *e; d && (e = readdir(d));) {
        snprintf(path, sizeof path, "%s/%s", r->dir, e->d_name);
        unlink(path);
    }
    if (d)
        closedir(d);
    rmdir(r->dir);
    snprintf(path, sizeof path, "%s.err", r->dir);
    unlink(path);
}

/* The process's parent and the tick of its start; false: gone, or a zombie. */
static bool stat_of(pid_t pid, int *parent, unsigned long long *started)
{
    char path[64], text[1024], state;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *f = fopen(path, "r");
    if (!f)
        return false;
    size_t n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    text[n] = 0;
    const char *after = strrchr(text, ')'); /* state, parent, 17 others, start */
    return after &&
           sscanf(after + 1, " %c %d %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %llu", &state, parent, started) == 3 &&
           state != 'Z';
}

pid_t relay_child(const relay *r, unsigned which)
{
    struct {
        pid_t pid;
        unsigned long long started;
    } found[64], t;
    unsigned n = 0;
    DIR *d = opendir("/proc");
    for (struct dirent *e; d && (e = readdir(d)) && n < 64;) {
        int parent;
        found[n].pid = isdigit((unsigned char)e->d_name[0]) ? (pid_t)strtol(e->d_name, NULL, 10) : 0;
        if (found[n].pid && stat_of(found[n].pid, &parent, &found[n].started) && parent == r->pid)
            n++;
    }
    if (d)
        closedir(d);
    for (unsigned i = 0; i < n; i++) /* the oldest first: numbers of processes wrap around */
        for (unsigned j = i + 1; j < n; j++)
            if (found[j].started < found[i].started) {
                t = found[i];
                found[i] = found[j];
                found[j] = t;
            }
    return which < n ? found[which].pid : 0;
}

uint64_t relay_status(const relay *r, const char *name)
{
    char text[8192], key[64];
    ck_assert_int_eq(relay_command(r, text, sizeof text, "status", "--json", NULL), 0);
    snprintf(key, sizeof key, "\"%s\":", name);
    const char *at = strstr(text, key);
    ck_assert_msg(at != NULL, "no %s in %s", name, text);
    return strtoull(at + strlen(key), NULL, 10);
}

void raw_join(raw_client *c, const relay *r, person *p)
{
    uint8_t proof[64], hash[32];
    person_make(p, (uint64_t)time(NULL));
    ck_assert(raw_open(c, r->port, r->key, TACET_ROLE_MAILBOX, p));
    frame f = person_register(p, c->hash, proof);
    ck_assert_uint_eq(raw_code(c, &f), 0);
    token_hash(hash, p->token);
    f = tokens_of(TOKEN_DELIVERY, hash, NULL);
    ck_assert_uint_eq(raw_code(c, &f), 0);
    token_hash(hash, p->request_token);
    f = tokens_of(TOKEN_REQUEST, hash, NULL);
    ck_assert_uint_eq(raw_code(c, &f), 0);
}
