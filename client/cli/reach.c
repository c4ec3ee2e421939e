/* From the arguments to an engine: the profile's folder, the key of its vault when this process has to open it, the caller, and the signals that
 * stop it. */
#include "cli.h"
#include "engine/socks.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ARENA_BYTES = 16 * 1024 };

/* --- signals ----------------------------------------------------------------------------------------------------------------------------- */

static int stop_pipe[2] = { -1, -1 };
static volatile sig_atomic_t stop_signal;

static void on_stop(int signal)
{
    int was = errno;
    stop_signal = signal;
    (void)!write(stop_pipe[1], "x", 1);
    errno = was;
}

/* The first signal asks, the second one ends the process the hard way. */
static bool signals_catch(void)
{
    static const int which[] = { SIGINT, SIGTERM, SIGHUP };
    if (stop_pipe[0] >= 0)
        return true;
    if (pipe2(stop_pipe, O_CLOEXEC | O_NONBLOCK) != 0)
        return false;
    for (size_t i = 0; i < sizeof which / sizeof *which; i++) {
        struct sigaction before, act = { .sa_handler = on_stop, .sa_flags = (int)(SA_RESETHAND | SA_RESTART) };
        sigemptyset(&act.sa_mask);
        if (sigaction(which[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN) /* nohup stays nohup */
            (void)sigaction(which[i], &act, NULL);
    }
    return true;
}

int stopped(cli *c, const caller_news *n, engine_error *why)
{
    c->stopped = true;
    if (n->error.code) {
        *why = n->error;
        return why->exit;
    }
    c->interrupted = stop_signal ? stop_signal : SIGTERM;
    sentence_fill(why, SAY_STOPPED, NULL, NULL, NULL);
    return why->exit;
}

/* --- the key ------------------------------------------------------------------------------------------------------------------------------- */

int passphrase_get(cli *c, const char *prompt, passphrase *out, engine_error *error)
{
    if (c->args.given[OPT_PASSPHRASE_FILE])
        return passphrase_from_file(out, c->arena, c->args.text[OPT_PASSPHRASE_FILE], error);
    if (c->args.given[OPT_PASSPHRASE_FD])
        return passphrase_from_fd(out, c->arena, (int)c->args.number[OPT_PASSPHRASE_FD], error);
    if (c->screen_away)
        c->screen_away();
    int rc = prompt ? passphrase_from_terminal(out, c->arena, prompt, error) : passphrase_choose(out, c->arena, sentence_text(SAY_ASK_NEW), error);
    if (c->screen_back)
        c->screen_back();
    return rc;
}

/* Without the lock: nobody waits while somebody types. */
static int key_prepare(void *ctx, engine_error *error)
{
    cli *c = ctx;
    passphrase given = { 0 };
    int rc = unlock_open(&c->profile, NULL, c->key, &c->way, error);
    if (rc == TACET_E_AGAIN) {
        rc = passphrase_get(c, sentence_text(SAY_ASK), &given, error);
        if (rc == TACET_OK)
            rc = unlock_open(&c->profile, &given, c->key, &c->way, error);
        passphrase_free(&given, c->arena);
    }
    return rc == TACET_OK ? EXIT_DONE : error->exit;
}

static int key_give(void *ctx, uint8_t key[32], engine_error *error)
{
    cli *c = ctx;
    (void)error;
    memcpy(key, c->key, TACET_DATABASE_KEY_BYTES);
    return EXIT_DONE;
}

static void key_forget(void *ctx)
{
    cli *c = ctx;
    sodium_memzero(c->key, TACET_DATABASE_KEY_BYTES);
}

/* --- the way there -------------------------------------------------------------------------------------------------------------------------- */

int folder_reach(cli *c, bool create, engine_error *why)
{
    int rc = c->arena ? TACET_OK : secret_arena_new(&c->arena, ARENA_BYTES);
    if (rc != TACET_OK) {
        sentence_fill(why, sentence_of_status(rc), "1", strerror(errno), NULL);
        return why->exit;
    }
    if (!c->key && (c->key = secret_alloc(c->arena, TACET_DATABASE_KEY_BYTES)) == NULL) {
        sentence_fill(why, SAY_NO_MEMORY, NULL, NULL, NULL);
        return why->exit;
    }
    const char *name = c->args.given[OPT_PROFILE] ? c->args.text[OPT_PROFILE] : "default";
    c->profile_opened = profile_open(&c->profile, c->args.text[OPT_HOME], name, create, why) == TACET_OK;
    return c->profile_opened ? EXIT_DONE : why->exit;
}

static bool proxy_good(const cli *c)
{
    socks_proxy p;
    const char *text = c->args.text[OPT_PROXY];
    bool good = !text || (strlen(text) <= CALLER_PROXY_MAX_CHARS && (strcmp(text, "none") == 0 || socks_proxy_parse(&p, text) == TACET_OK));
    sodium_memzero(&p, sizeof p);
    return good;
}

int profile_reach(cli *c, bool create)
{
    engine_error why = { 0 };
    if (c->profile_opened)
        return EXIT_DONE;
    if (!proxy_good(c)) {
        sentence_fill(&why, SAY_BAD_PROXY, NULL, NULL, NULL);
        return fail_why(c, &why);
    }
    int exit = folder_reach(c, create, &why);
    return exit == EXIT_DONE ? EXIT_DONE : fail_why(c, &why);
}

static const char *environment(const char *name, const char *otherwise)
{
    const char *text = getenv(name);
    return text && *text ? text : getenv(otherwise);
}

int caller_reach(cli *c, bool attach_only, int (*prepare)(void *, engine_error *), int (*key)(void *, uint8_t[32], engine_error *), engine_error *why)
{
    if (!signals_catch()) {
        sentence_fill(why, SAY_IO, "a pipe", strerror(errno), NULL);
        return why->exit;
    }
    const char *proxy = c->args.text[OPT_PROXY];
    caller_options o = { .profile_dir = c->profile.dir,
                         .vault_path = c->profile.vault,
                         .env = env_system(),
                         .proxy = proxy,
                         .proxy_otherwise = environment("ALL_PROXY", "all_proxy"),
                         .no_proxy = environment("NO_PROXY", "no_proxy"),
                         .attach_only = attach_only,
                         .stop_fd = stop_pipe[0],
                         .prepare = prepare,
                         .key = key,
                         .forget = key_forget,
                         .key_ctx = c,
                         .working = c->working,
                         .working_ctx = c->working_ctx };
    int exit = caller_open(&c->caller, &o, why);
    if (exit == EXIT_DONE && proxy && !attach_only && !caller_is_host(c->caller)) {
        sentence_fill(why, SAY_PROXY_OF_HOST, NULL, NULL, NULL);
        c->caller = caller_close(c->caller);
        exit = why->exit;
    }
    if (exit != EXIT_DONE && stop_signal)
        c->interrupted = stop_signal;
    return exit;
}

int vault_reach(cli *c, engine_error *why)
{
    c->way = UNLOCK_BY_PLAIN_SLOT;
    int exit = caller_reach(c, false, key_prepare, key_give, why);
    if (exit != EXIT_DONE && c->way == UNLOCK_BY_KEYRING && strcmp(why->code, "vault-damaged") == 0) {
        /* Maybe the keyring's key is of an earlier vault in this place: only the passphrase can tell. */
        engine_error forgotten;
        if (unlock_forget(&c->profile, &forgotten) == TACET_OK)
            exit = caller_reach(c, false, key_prepare, key_give, why);
    }
    return exit;
}

int engine_reach(cli *c)
{
    engine_error why = { 0 };
    if (c->caller)
        return EXIT_DONE;
    int exit = profile_reach(c, false);
    if (exit != EXIT_DONE)
        return exit;
    exit = vault_reach(c, &why);
    return exit == EXIT_DONE ? EXIT_DONE : fail_why(c, &why);
}

int engine_ask(cli *c, const char *method, json_t *params, int timeout_ms, json_t **result)
{
    engine_error why = { 0 };
    int exit = engine_reach(c);
    if (exit != EXIT_DONE) {
        json_decref(params);
        return exit;
    }
    exit = caller_call(c->caller, method, params, timeout_ms, result, &why);
    if (exit == EXIT_DONE)
        return EXIT_DONE;
    if (stop_signal) {
        c->interrupted = stop_signal;
        if (c->follows) /* the end that was asked for is no error */
            return why.exit;
    }
    return fail_why(c, &why);
}

int engine_sync(cli *c)
{
    json_t *state = NULL;
    int exit = engine_ask(c, "sync", NULL, c->relay_ms, &state);
    if (exit != EXIT_DONE)
        return exit;
    bool online = json_is_true(json_object_get(state, "online"));
    json_decref(state);
    return online ? EXIT_DONE : fail(c, SAY_NO_RELAY, NULL, NULL, NULL);
}

void cli_leave(cli *c)
{
    c->caller = caller_close(c->caller);
    if (c->profile_opened)
        profile_close(&c->profile);
    c->profile_opened = false;
    c->arena = secret_arena_free(c->arena);
    c->key = NULL;
}
