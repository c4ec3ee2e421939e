/* base/fd.h: what every writer of files needs. */
#ifndef BASE_FD_H
#define BASE_FD_H
#include <stdbool.h>
#include <stddef.h>

/* All n bytes, however many calls that takes; false: errno says why, and some may be written. For files: it waits. */
bool fd_write_all(int fd, const void *bytes, size_t n);
#endif
