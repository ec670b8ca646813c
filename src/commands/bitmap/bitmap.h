/* The range of bit offsets, for all bit commands. */
#pragma once

#include "commands/handlers.h"

/* Bits of the longest value. */
#define BITS_MAX ((uint64_t)STRING_MAX * 8)

/* Reads the offset of a bit; with a `width` other than 0 also "#N", the place of the Nth integer of `width` bits.
 * Answers Redis's error and returns false where it is none, or beyond BITS_MAX. */
bool request_bit_offset(struct session *s, struct slice text, unsigned width, uint64_t *offset);
