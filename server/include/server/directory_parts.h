/* server/directory_parts.h: what the files of the directory share (directory.c: names, prekeys, tokens, lists; directory_accounts.c: registration and
 * devices). Nobody else includes it. */
#ifndef SERVER_DIRECTORY_PARTS_H
#define SERVER_DIRECTORY_PARTS_H
#include "identity/devices.h"
#include "server/directory.h"

/* A refusal is no fault: the group goes on. */
static inline int refuse(request_job *r, error_code why)
{
    r->error = why;
    return TACET_OK;
}
/* The reply, under the request's id. */
TACET_MUST_USE int directory_answer(request_job *r, const frame *f);
TACET_MUST_USE int directory_answer_ok(request_job *r);
/* The newest device list of an account. TACET_E_NOT_FOUND: no such account. */
TACET_MUST_USE int directory_newest(relay_store *s, const uint8_t account[32], device_list *out);

error_code verify_register(const request_job *r, const frame *f);
error_code verify_devices(const request_job *r, const frame *f);
TACET_MUST_USE int run_register(request_job *r, relay_store *s, const frame *f);
TACET_MUST_USE int run_devices(request_job *r, relay_store *s, const frame *f);
#endif
