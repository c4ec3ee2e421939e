/* P04, P05: text of others on its way to a terminal: what comes out is valid UTF-8 without anything that a terminal obeys, and as long as was said. */
#include "fuzz.h"
#include "harmless.h"

static void must_be_harmless(const char *out, size_t n, bool newlines)
{
    PROMISE(strlen(out) == n);
    for (size_t i = 0; i < n; i++) {
        uint8_t c = (uint8_t)out[i];
        PROMISE((c >= 0x20 && c != 0x7f) || (newlines && c == '\n'));
        PROMISE(!(c == 0xc2 && (uint8_t)out[i + 1] < 0xa0)); /* C1 */
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    enum { INDENT = 4 };
    size_t room = HARMLESS_ROOM(n) + INDENT * (n + 1);
    char *out = malloc(room);
    PROMISE(out != NULL);
    size_t used = harmless_text(out, (const char *)bytes, n, HARMLESS_ONE_LINE, 0);
    PROMISE(used < HARMLESS_ROOM(n));
    must_be_harmless(out, used, false);
    used = harmless_text(out, (const char *)bytes, n, HARMLESS_MANY_LINES, INDENT);
    PROMISE(used < room);
    must_be_harmless(out, used, true);
    free(out);
    return 0;
}
