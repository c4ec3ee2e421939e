/* tests/unit/storage/faulty.h: a disk that fails on command, and memory. An SQLite VFS over the usual one, made the default. It counts what changes the disk,
 * can make one such step fail, or the power go: then everything fails, and faulty_restart leaves in the files what a disk may hold: what was synced,
 * and of each later write all, nothing, or some of its sectors. New files may be gone until they were synced, deleted ones may be back. */
#ifndef TESTS_STORAGE_FAULTY_H
#define TESTS_STORAGE_FAULTY_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum { STEP_OPEN = 1, STEP_WRITE = 2, STEP_SYNC = 4, STEP_TRUNCATE = 8, STEP_DELETE = 16, STEP_ANY = 31 } faulty_step;

void faulty_install(void); /* once a process, before the first connection; more often is fine */
/* Counts steps of these kinds from now on; the k-th of them (from 1) fails with this code and errno, once; k 0: none. */
void faulty_fail(unsigned kinds, uint64_t k, int sqlite_code, int error);
/* At the k-th step (any kind) the power goes. `random` decides what survives. */
void faulty_power_loss(uint64_t k, uint64_t random);
bool faulty_power_is_off(void);
/* At the k-th step (any kind) the process is killed, a write half done. What it had written stays: it is the process that goes, not the machine. */
void faulty_kill(uint64_t k);
/* Writes what survived into the files and switches the power on. Every connection must be closed. */
void faulty_restart(void);
/* Forgets all files and counts. */
void faulty_reset(void);
uint64_t faulty_steps(void); /* since the last of the three above; of the kinds asked for */
/* How often these bytes went through a write, and how many temporary files were opened, since the last call of this. NULL: stop looking. */
void faulty_watch(const void *marker, size_t bytes);
uint64_t faulty_seen(void);
uint64_t faulty_temporary(void);
/* false: SQLite gets no memory until true is said. The first call of a process comes before its first connection. */
void faulty_memory(bool there);
#endif
