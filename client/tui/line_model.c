#include "line_model.h"
#include "text_width.h"

line_walk lines_of(const char *text, size_t n, size_t columns)
{
    return (line_walk){ .text = text, .n = n, .columns = columns < LINE_COLUMNS_MIN ? LINE_COLUMNS_MIN : columns };
}

bool line_take(line_walk *w, text_line *out)
{
    if (w->over)
        return false;
    text_line line = { .begin = w->at };
    text_line broken = { 0 }; /* the line as it is when broken at the last blank */
    size_t after_blank = 0, i = w->at;
    bool can_break = false, full = false;
    while (i < w->n && w->text[i] != '\n') {
        cluster c = cluster_at(w->text + i, w->n - i);
        bool blank = c.bytes == 1 && w->text[i] == ' ';
        if (line.columns + (size_t)c.columns > w->columns && !(blank && line.columns == w->columns)) {
            full = true;
            break;
        }
        if (blank && line.bytes > 0) {
            broken = line;
            after_blank = i + 1;
            can_break = true;
            if (line.columns == w->columns) { /* the blank is what does not fit: it is the break */
                full = true;
                break;
            }
        }
        line.columns += (size_t)c.columns;
        line.bytes += c.bytes;
        i += c.bytes;
    }
    if (full && can_break) {
        *out = broken;
        w->at = after_blank;
        if (after_blank < w->n && w->text[after_blank] == '\n')
            w->at++; /* blank and newline are one break */
        else
            w->over = after_blank == w->n;
    } else {
        *out = line;
        w->at = i;
        w->over = !full && i >= w->n;
        if (!full && i < w->n)
            w->at = i + 1; /* the newline */
    }
    return true;
}

size_t line_count(const char *text, size_t n, size_t columns)
{
    line_walk w = lines_of(text, n, columns);
    text_line line;
    size_t count = 0;
    while (line_take(&w, &line))
        count++;
    return count;
}
