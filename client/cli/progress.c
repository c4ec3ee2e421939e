#include "cli.h"
#include "harmless.h"
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { LINE_EVERY_MS = 3000, BAR_CELLS = 20, COLUMNS_DEFAULT = 80 };

static size_t columns(void)
{
    struct winsize w;
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 20 ? w.ws_col : COLUMNS_DEFAULT;
}

static void time_left(char out[16], uint64_t seconds)
{
    if (seconds < 100)
        snprintf(out, 16, "%us", (unsigned)seconds);
    else if (seconds < 6000)
        snprintf(out, 16, "%um", (unsigned)(seconds / 60));
    else
        snprintf(out, 16, "%uh", (unsigned)(seconds < 360000000 ? seconds / 3600 : 99999));
}

/* "74 %  96 MiB/s  1s left" */
static void figures(char *out, size_t room, uint64_t have, uint64_t of, uint64_t size, uint64_t rate)
{
    char speed[24], left[16] = "";
    uint64_t done = of ? (uint64_t)((double)size * (double)have / (double)of) : 0;
    say_bytes(speed, rate);
    if (rate)
        time_left(left, (size - done) / rate);
    snprintf(out, room, "%3u %%  %s/s%s%s%s", of ? (unsigned)(have * 100 / of) : 0, speed, rate ? "  " : "", left, rate ? " left" : "");
}

static void bar(const char *name, uint64_t have, uint64_t of, const char *text)
{
    char cells[3 * BAR_CELLS + 1] = "";
    for (unsigned i = 0; i < BAR_CELLS; i++)
        memcpy(cells + 3 * i, (uint64_t)i * of < have * BAR_CELLS ? "█" : "░", 3);
    size_t room = columns() > BAR_CELLS + strlen(text) + 4 ? columns() - BAR_CELLS - strlen(text) - 4 : 0;
    fprintf(stderr, "\r\033[K%.*s  %s  %s", (int)room, room ? name : "", cells, text);
    (void)fflush(stderr);
}

void progress_draw(progress *p, const cli *c, const char *name, uint64_t have, uint64_t of, uint64_t size, uint64_t bytes_per_s)
{
    char text[96];
    uint64_t now = env_mono_ms(env_system());
    if (c->quiet)
        return;
    figures(text, sizeof text, have, of, size, bytes_per_s);
    char *shown = harmless_copy(name, HARMLESS_ONE_LINE, 0);
    if (isatty(STDERR_FILENO)) {
        bar(shown ? shown : "", have, of, text);
        p->bar = true;
    } else if (now - p->said_ms >= LINE_EVERY_MS || p->said_ms == 0) {
        fprintf(stderr, "%s  %s\n", shown ? shown : "", text);
        p->said_ms = now;
    }
    free(shown);
}

static uint64_t number_at(const json_t *o, const char *key) { return (uint64_t)json_integer_value(json_object_get(o, key)); }

void progress_show(progress *p, const cli *c, const json_t *event, const char *name, uint64_t size)
{
    if (c->json) {
        (void)say_json(json_incref((json_t *)event));
        (void)fflush(stdout);
    }
    progress_draw(p, c, name, number_at(event, "have"), number_at(event, "of"), size, number_at(event, "bytes_per_s"));
}

void progress_end(progress *p)
{
    if (p->bar)
        fprintf(stderr, "\r\033[K");
    p->bar = false;
}
