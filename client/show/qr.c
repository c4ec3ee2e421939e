#include "qr.h"
#include <qrencode.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { QUIET_ZONE = 4, INK_BYTES = 3 /* of a half block in UTF-8 */ };

static bool dark(const QRcode *q, int x, int y) { return x >= 0 && y >= 0 && x < q->width && y < q->width && q->data[y * q->width + x] & 1; }

char *qr_text(const char *text, bool dark_is_ink)
{
    static const char *const light[2][2] = { { "█", "▀" }, { "▄", " " } }; /* [upper dark][lower dark] */
    static const char *const ink[2][2] = { { " ", "▄" }, { "▀", "█" } };
    QRcode *q = QRcode_encodeString8bit(text, 0, QR_ECLEVEL_L);
    if (!q)
        return NULL;
    size_t side = (size_t)q->width + 2 * QUIET_ZONE, n = 0;
    char *out = malloc((side + 1) / 2 * (side * INK_BYTES + 1) + 1);
    for (int y = -QUIET_ZONE; out && y < q->width + QUIET_ZONE; y += 2) {
        for (int x = -QUIET_ZONE; x < q->width + QUIET_ZONE; x++) {
            const char *dot = (dark_is_ink ? ink : light)[dark(q, x, y)][dark(q, x, y + 1)];
            size_t bytes = strlen(dot);
            memcpy(out + n, dot, bytes);
            n += bytes;
        }
        out[n++] = '\n';
    }
    if (out)
        out[n] = '\0';
    QRcode_free(q);
    return out;
}

bool qr_print(const char *text, bool color)
{
    char *picture = qr_text(text, color);
    for (char *line = picture; line && *line;) {
        size_t n = strcspn(line, "\n");
        printf("%s%.*s%s\n", color ? "\033[30;107m" : "", (int)n, line, color ? "\033[0m" : "");
        line += n + (line[n] == '\n');
    }
    free(picture);
    return picture != NULL;
}
