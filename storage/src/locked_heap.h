/* locked_heap.h: SQLite's memory where a vault is open: all of it holds pages, keys or texts in the clear, so it lies in few large pieces that are locked
 * (as long as RLIMIT_MEMLOCK lets us; what is beyond works all the same), left out of core files, and wiped when given back. SQLCipher's own
 * cipher_memory_security locks and unlocks each allocation by itself: two system calls each, and an munlock frees the whole page, neighbours included. */
#ifndef STORAGE_LOCKED_HEAP_H
#define STORAGE_LOCKED_HEAP_H
#include "base/status.h"
#include <stdbool.h>

/* Before SQLite starts, once a process. False: it has started already, with memory of another kind. */
bool locked_heap_install(void);
/* After a connection was opened or closed: SQLCipher locks and unlocks the memory of its own settings whatever we say, and that opens whole pages. */
void locked_heap_lock_again(void);
#endif
