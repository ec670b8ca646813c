/* The range of bit offsets, for all bit commands. */
#pragma once

#include "commands/handlers.h"

/* Bits of the longest string. */
#define BITS_MAX ((uint64_t)STRING_MAX * 8)

/* Reads the offset of a bit. If `width` is not 0, "#N" is the offset of the Nth integer of `width` bits. False: it is
 * not an offset, or not below BITS_MAX, and Redis's error was replied. */
bool request_bit_offset(struct session *s, struct slice text, unsigned width, uint64_t *offset);
