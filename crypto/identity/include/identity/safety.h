/* identity/safety.h: the number two people compare. 60 digits: per side H0 = SHA-512(00 00 | typed IK | account), 5,200 times
 * H = SHA-512(H | typed IK), then six 5-byte chunks mod 100,000; the two sides in ascending order of their digits. Symmetric. */
#ifndef IDENTITY_SAFETY_H
#define IDENTITY_SAFETY_H
#include "identity/keys.h"
enum { TACET_SAFETY_DIGITS = 60 };
void safety_number(char out[TACET_SAFETY_DIGITS + 1], const uint8_t ik_one[32], const uint8_t ik_two[32]);
#endif
