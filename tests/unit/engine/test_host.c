/* The host over real Unix sockets, in front of an engine made of a few lines. */
#include "engine/host.h"
#include "suite.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* Methods: echo answers with its params, later when told to; fail; receive gives three messages until they are handed over. */
static struct {
    engine_done done[8];
    void *ctx[8];
    size_t waiting;
    char handed[128];
} fake;

static void fake_call(void *ctx, const char *method, json_t *params, engine_done done, void *done_ctx)
{
    (void)ctx;
    engine_error e = { 0 };
    json_t *result = NULL;
    if (strcmp(method, "echo") == 0) {
        result = params ? json_incref(params) : json_object();
    } else if (strcmp(method, "huge") == 0) {
        static char text[HOST_BACKLOG_MAX_BYTES];
        memset(text, 'a', sizeof text - 1);
        result = json_string(text);
    } else if (strcmp(method, "later") == 0) {
        fake.done[fake.waiting] = done;
        fake.ctx[fake.waiting++] = done_ctx;
        return;
    } else if (strcmp(method, "receive") == 0) {
        result = json_array();
        for (const char *id = "abc"; *id; id++)
            if (!strchr(fake.handed, *id))
                json_array_append_new(result, json_pack("{s:s%}", "id", id, (size_t)1));
    } else if (strcmp(method, "handed") == 0) {
        size_t i;
        json_t *id;
        json_array_foreach(json_object_get(params, "ids"), i, id) strcat(fake.handed, json_string_value(id));
        result = json_object();
    } else {
        sentence_fill(&e, SAY_NO_CONTACT, "zoe", NULL, NULL);
    }
    done(done_ctx, result, result ? NULL : &e);
    json_decref(result);
}

static void fake_complete(void)
{
    json_t *result = json_pack("{s:s}", "came", "late");
    for (size_t i = 0; i < fake.waiting; i++)
        fake.done[i](fake.ctx[i], result, NULL);
    fake.waiting = 0;
    json_decref(result);
}

static char dir[64];
static host *h;

static void setup(void)
{
    memset(&fake, 0, sizeof fake);
    snprintf(dir, sizeof dir, "/tmp/tacet-host.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    pid_t holder = 0;
    ck_assert_int_eq(host_open(&h, dir, &holder), TACET_OK);
    host_serve(h, (host_engine){ .call = fake_call });
}

static void teardown(void)
{
    char command[128];
    h = host_free(h);
    snprintf(command, sizeof command, "rm -r %s", dir);
    ck_assert_int_eq(system(command), 0);
}

static int client_connect(void)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    snprintf(at.sun_path, sizeof at.sun_path, "%s/socket", dir);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (connect(fd, (struct sockaddr *)&at, sizeof at) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static void turns(int n)
{
    while (n-- > 0) {
        struct pollfd fds[HOST_POLLFDS_MAX];
        int timeout = 5;
        size_t k = host_pollfds(h, fds, &timeout);
        ck_assert_int_ge(poll(fds, k, timeout), 0);
        host_ready(h, fds, k);
    }
}

static void ask(int fd, const char *line)
{
    size_t n = strlen(line);
    ck_assert_int_eq(send(fd, line, n, MSG_NOSIGNAL), (ssize_t)n);
    ck_assert_int_eq(send(fd, "\n", 1, MSG_NOSIGNAL), 1);
    turns(3);
}

/* Everything that waits on fd; "" when nothing, NULL when the host closed it. */
static const char *got(int fd)
{
    static char text[65536];
    turns(2);
    ssize_t n = recv(fd, text, sizeof text - 1, 0);
    if (n == 0 || (n < 0 && errno == ECONNRESET))
        return NULL;
    text[n > 0 ? n : 0] = '\0';
    return text;
}

static const struct {
    const char *what, *line, *answer;
} row[] = {
    { "an answer", "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"echo\",\"params\":{\"a\":1}}",
      "{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{\"a\":1}}\n" },
    { "text id", "{\"jsonrpc\":\"2.0\",\"id\":\"x\",\"method\":\"echo\"}", "{\"jsonrpc\":\"2.0\",\"id\":\"x\",\"result\":{}}\n" },
    { "a notification", "{\"jsonrpc\":\"2.0\",\"method\":\"echo\"}", "" },
    { "the engine's error", "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"nope\"}", "\"code\":-32005,\"message\":\"there is no contact called zoe" },
    { "its code word", "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"nope\"}", "\"data\":{\"code\":\"no-such-contact\",\"exit\":5}" },
    { "an answer too long", "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"huge\"}", "\"id\":1,\"error\":{\"code\":-32001," },
    { "not JSON", "hello", "\"id\":null,\"error\":{\"code\":-32700" },
    { "cut JSON", "{\"jsonrpc\":\"2.0\",\"id\":1", "-32700" },
    { "NUL-ended lie", "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"echo\"}}", "-32700" },
    { "key twice", "{\"jsonrpc\":\"2.0\",\"id\":1,\"id\":2,\"method\":\"echo\"}", "-32700" },
    { "no version", "{\"id\":1,\"method\":\"echo\"}", "\"id\":1,\"error\":{\"code\":-32600" },
    { "old version", "{\"jsonrpc\":\"1.0\",\"id\":1,\"method\":\"echo\"}", "-32600" },
    { "no method", "{\"jsonrpc\":\"2.0\",\"id\":1}", "-32600" },
    { "method is a number", "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":3}", "-32600" },
    { "params by place", "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"echo\",\"params\":[1]}", "-32600" },
    { "id is an object", "{\"jsonrpc\":\"2.0\",\"id\":{},\"method\":\"echo\"}", "\"id\":null,\"error\":{\"code\":-32600" },
    { "a batch", "[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"echo\"}]", "-32600" },
    { "bad UTF-8", "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"echo\",\"params\":{\"a\":\"\xff\"}}", "-32700" },
    { "control characters stay escaped", "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"echo\",\"params\":{\"a\":\"\\u001b\\u009b\"}}",
      "{\"a\":\"\\u001B\\u009B\"}" },
};

START_TEST(answers_or_refuses_and_goes_on)
{
    int fd = client_connect();
    ask(fd, row[_i].line);
    const char *text = got(fd);
    ck_assert_ptr_nonnull(text);
    ck_assert_msg(*row[_i].answer ? strstr(text, row[_i].answer) != NULL : *text == '\0', "%s: got %s", row[_i].what, text);
    ask(fd, row[0].line);
    ck_assert_str_eq(got(fd), row[0].answer);
    close(fd);
}
END_TEST

START_TEST(lines_arrive_in_pieces_or_many_at_once)
{
    int fd = client_connect();
    for (const char *p = row[0].line; *p; p++) {
        ck_assert_int_eq(send(fd, p, 1, 0), 1);
        turns(1);
    }
    ck_assert_str_eq(got(fd), "");
    char two[512];
    snprintf(two, sizeof two, "\n%s", row[0].line);
    ask(fd, two);
    char want[256];
    snprintf(want, sizeof want, "%s%s", row[0].answer, row[0].answer);
    ck_assert_str_eq(got(fd), want);
    close(fd);
}
END_TEST

START_TEST(a_line_too_long_ends_the_connection)
{
    int fd = client_connect();
    char piece[4096];
    memset(piece, 'a', sizeof piece);
    for (int i = 0; i < 2 * HOST_LINE_MAX_BYTES / 4096; i++) {
        if (send(fd, piece, sizeof piece, MSG_NOSIGNAL) < 0)
            break;
        turns(1);
    }
    const char *text = got(fd);
    ck_assert(!text || strstr(text, "longer than 256 KiB"));
    if (text)
        ck_assert_ptr_null(got(fd));
    close(fd);
}
END_TEST

START_TEST(more_clients_than_the_limit_are_turned_away)
{
    int fd[HOST_CLIENTS_MAX + 1];
    for (int i = 0; i <= HOST_CLIENTS_MAX; i++)
        fd[i] = client_connect();
    turns(3);
    ck_assert_ptr_null(got(fd[HOST_CLIENTS_MAX]));
    ask(fd[0], row[0].line);
    ck_assert_str_eq(got(fd[0]), row[0].answer);
    close(fd[0]);
    turns(3);
    int late = client_connect();
    ask(late, row[0].line);
    ck_assert_str_eq(got(late), row[0].answer);
    close(late);
    for (int i = 1; i <= HOST_CLIENTS_MAX; i++)
        close(fd[i]);
}
END_TEST

START_TEST(S09_the_lock_has_one_holder_and_names_it)
{
    host *second = NULL;
    pid_t holder = 0;
    ck_assert_int_eq(host_open(&second, dir, &holder), TACET_E_BUSY);
    ck_assert_int_eq(holder, getpid());
    ck_assert_ptr_null(second);
    int fd = client_connect(); /* the first one's socket is still there */
    ask(fd, row[0].line);
    ck_assert_str_eq(got(fd), row[0].answer);
    close(fd);
}
END_TEST

START_TEST(S09_a_dead_holder_leaves_nothing_in_the_way)
{
    h = host_free(h);
    pid_t child = fork(), holder = 0;
    if (child == 0) {
        host *mine = NULL;
        _exit(host_open(&mine, dir, &holder) == TACET_OK ? 0 : 1); /* dies with lock and socket */
    }
    int status = 1;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    char path[96];
    struct stat there;
    snprintf(path, sizeof path, "%s/socket", dir);
    ck_assert_int_eq(stat(path, &there), 0);
    ck_assert_int_eq(client_connect(), -1);
    ck_assert_int_eq(host_open(&h, dir, &holder), TACET_OK);
    host_serve(h, (host_engine){ .call = fake_call });
    int fd = client_connect();
    ask(fd, row[0].line);
    ck_assert_str_eq(got(fd), row[0].answer);
    close(fd);
}
END_TEST

START_TEST(the_socket_is_for_us_alone)
{
    char path[96];
    struct stat there;
    snprintf(path, sizeof path, "%s/socket", dir);
    ck_assert_int_eq(stat(path, &there), 0);
    ck_assert_uint_eq(there.st_mode & 0777, 0600);
    if (geteuid() != 0)
        return;
    /* Another user, to whom everything was opened by mistake, is turned away all the same. */
    ck_assert_int_eq(chmod(dir, 0777), 0);
    ck_assert_int_eq(chmod(path, 0777), 0);
    int ready[2];
    ck_assert_int_eq(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        if (setuid(65534) != 0)
            _exit(3);
        int fd = client_connect();
        char byte = 0;
        bool asked = fd >= 0 && send(fd, row[0].line, strlen(row[0].line), MSG_NOSIGNAL) > 0 && send(fd, "\n", 1, MSG_NOSIGNAL) == 1;
        (void)!write(ready[1], "x", 1);
        struct pollfd p = { .fd = fd, .events = POLLIN };
        poll(&p, 1, 5000);
        _exit(asked && recv(fd, &byte, 1, 0) > 0 ? 1 : 0);
    }
    char byte;
    ck_assert_int_eq(read(ready[0], &byte, 1), 1);
    turns(5);
    int status = 1;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
}
END_TEST

START_TEST(events_go_to_subscribers_only)
{
    int one = client_connect(), two = client_connect();
    ask(one, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"subscribe\"}");
    ck_assert_str_eq(got(one), "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n");
    turns(2);
    json_t *event = json_pack("{s:s}", "event", "message");
    host_event(h, event);
    json_decref(event);
    ck_assert_str_eq(got(one), "{\"jsonrpc\":\"2.0\",\"method\":\"event\",\"params\":{\"event\":\"message\"}}\n");
    ck_assert_str_eq(got(two), "");
    close(one);
    close(two);
}
END_TEST

#define RECEIVE "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"receive\"}"
START_TEST(S09_a_message_goes_to_one_caller_only)
{
    int one = client_connect(), two = client_connect();
    ask(two, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"subscribe\"}");
    got(two);
    ask(one, RECEIVE);
    ck_assert_str_eq(got(one), "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":[{\"id\":\"a\"},{\"id\":\"b\"},{\"id\":\"c\"}]}\n");
    ask(two, RECEIVE);
    ck_assert_str_eq(got(two), "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":[]}\n");
    ask(two, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"receive\",\"params\":{\"peek\":true}}");
    ck_assert_ptr_nonnull(strstr(got(two), "\"a\""));
    ask(one, RECEIVE); /* asking again gives the same again */
    ck_assert_ptr_nonnull(strstr(got(one), "\"c\""));
    ask(one, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"handed\",\"params\":{\"ids\":[\"a\"]}}");
    got(one);
    close(one); /* with b and c not handed over: the other one is told, and gets them */
    turns(3);
    ck_assert_ptr_nonnull(strstr(got(two), "\"event\":\"waiting\",\"count\":2"));
    ask(two, RECEIVE);
    ck_assert_str_eq(got(two), "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":[{\"id\":\"b\"},{\"id\":\"c\"}]}\n");
    close(two);
}
END_TEST

START_TEST(S09_cursors_do_not_withhold_from_each_other)
{
    static const char everybody[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"receive\"}";
    static const char of_bot[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"receive\",\"params\":{\"cursor\":\"bot\"}}";
    static const char all[] = "\"result\":[{\"id\":\"a\"},{\"id\":\"b\"},{\"id\":\"c\"}]";
    int one = client_connect(), two = client_connect(), three = client_connect();
    ask(one, everybody);
    ck_assert_ptr_nonnull(strstr(got(one), all));
    ask(two, of_bot);
    ck_assert_ptr_nonnull(strstr(got(two), all));
    ask(three, of_bot); /* the second worker of the same cursor */
    ck_assert_ptr_nonnull(strstr(got(three), "\"result\":[]"));
    ask(one, of_bot);
    ck_assert_ptr_nonnull(strstr(got(one), "\"result\":[]"));
    close(two);
    turns(3);
    ask(three, of_bot);
    ck_assert_ptr_nonnull(strstr(got(three), all));
    close(one);
    close(three);
}
END_TEST

START_TEST(a_late_answer_finds_nobody_and_harms_nobody)
{
    int one = client_connect();
    ask(one, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"later\"}");
    close(one);
    turns(3);
    int two = client_connect(); /* takes the same slot */
    ask(two, row[0].line);
    ck_assert_str_eq(got(two), row[0].answer);
    fake_complete();
    ck_assert_str_eq(got(two), "");
    close(two);
}
END_TEST

START_TEST(half_closed_clients_get_their_answers)
{
    int fd = client_connect();
    ask(fd, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"later\"}");
    shutdown(fd, SHUT_WR);
    turns(3);
    ck_assert_str_eq(got(fd), "");
    fake_complete();
    ck_assert_str_eq(got(fd), "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"came\":\"late\"}}\n");
    turns(2);
    ck_assert_ptr_null(got(fd));
    close(fd);
}
END_TEST

START_TEST(finishing_answers_what_was_asked_and_takes_nothing_more)
{
    int fd = client_connect();
    ask(fd, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"later\"}");
    host_finish(h);
    ck_assert(!host_finished(h));
    ck_assert_int_eq(client_connect(), -1);
    ask(fd, row[0].line);
    ck_assert_str_eq(got(fd), "");
    fake_complete();
    ck_assert_str_eq(got(fd), "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"came\":\"late\"}}\n");
    ck_assert(host_finished(h));
    close(fd);
}
END_TEST

START_TEST(lock_ends_the_host)
{
    int fd = client_connect();
    ck_assert(!host_told_to_end(h));
    ask(fd, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"lock\"}");
    ck_assert_str_eq(got(fd), "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n");
    ck_assert(host_told_to_end(h));
    close(fd);
}
END_TEST

START_TEST(too_many_questions_wait_their_turn)
{
    int fd = client_connect();
    for (int i = 0; i < HOST_CALLS_MAX; i++) {
        ask(fd, "{\"jsonrpc\":\"2.0\",\"method\":\"later\"}");
        if (fake.waiting == 8) /* the fake's own room */
            fake_complete();
    }
    fake_complete();
    ask(fd, row[0].line);
    ck_assert_str_eq(got(fd), row[0].answer);
    close(fd);
}
END_TEST

SUITE("host", tcase_add_checked_fixture(tc, setup, teardown), LOOP(answers_or_refuses_and_goes_on, ROWS(row)),
      TEST(lines_arrive_in_pieces_or_many_at_once), TEST(a_line_too_long_ends_the_connection), TEST(more_clients_than_the_limit_are_turned_away),
      TEST(S09_the_lock_has_one_holder_and_names_it), TEST(S09_a_dead_holder_leaves_nothing_in_the_way), TEST(the_socket_is_for_us_alone),
      TEST(events_go_to_subscribers_only), TEST(S09_a_message_goes_to_one_caller_only), TEST(S09_cursors_do_not_withhold_from_each_other),
      TEST(a_late_answer_finds_nobody_and_harms_nobody), TEST(half_closed_clients_get_their_answers),
      TEST(finishing_answers_what_was_asked_and_takes_nothing_more), TEST(lock_ends_the_host), TEST(too_many_questions_wait_their_turn))
