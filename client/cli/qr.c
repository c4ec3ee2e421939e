/* QR codes of half blocks: two rows of dots to a line of text. Dark on light whatever the terminal's colours are, since many readers want that. */
#include "cli.h"
#include <qrencode.h>

enum { QUIET_ZONE = 4 };

static bool dark(const QRcode *q, int x, int y) { return x >= 0 && y >= 0 && x < q->width && y < q->width && q->data[y * q->width + x] & 1; }

bool qr_print(const char *text, bool color)
{
    QRcode *q = QRcode_encodeString8bit(text, 0, QR_ECLEVEL_L);
    if (!q)
        return false;
    /* Without colours full blocks are the light dots: right on the usual dark terminal. */
    static const char *const light_is_ink[2][2] = { { "█", "▀" }, { "▄", " " } }; /* [upper dark][lower dark] */
    static const char *const dark_is_ink[2][2] = { { " ", "▄" }, { "▀", "█" } };
    for (int y = -QUIET_ZONE; y < q->width + QUIET_ZONE; y += 2) {
        fputs(color ? "\033[30;107m" : "", stdout);
        for (int x = -QUIET_ZONE; x < q->width + QUIET_ZONE; x++)
            fputs((color ? dark_is_ink : light_is_ink)[dark(q, x, y)][dark(q, x, y + 1)], stdout);
        puts(color ? "\033[0m" : "");
    }
    QRcode_free(q);
    return true;
}
