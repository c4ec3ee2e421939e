/* session/declassify.h: a verdict that was reached over secrets and may now be branched on. In test builds under valgrind (tests/unit/session/
 * test_timing.c) the secrets are marked undefined; this marks a verdict defined again, so that every other branch on a secret is reported. */
#ifndef SESSION_DECLASSIFY_H
#define SESSION_DECLASSIFY_H
#if defined(TACET_TESTING) && defined(__has_include)
#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#define DECLASSIFY(at, bytes) ((void)VALGRIND_MAKE_MEM_DEFINED((at), (bytes)))
#endif
#endif
#ifndef DECLASSIFY
#define DECLASSIFY(at, bytes) ((void)(at), (void)(bytes))
#endif
#endif
