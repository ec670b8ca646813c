/* The check of an entry: 8 bits in its header, by which a crash tells what was damaged from what was written.
 *
 * It is the sum, modulo 256, of all bytes that make the entry what it is, each times an odd number that depends on its
 * place: owner, lengths, deadline, key and value, and what is behind the value up to the next multiple of 16. Left out
 * is what changes as the entry is used: the links, when it was used, and whether a scope made it.
 *
 * What it catches: every change within one byte, and of larger changes 255 in 256. What it does not: changes of the
 * highest bit alone in an even number of bytes, and some of long runs of one byte that become zeros. It is no seal
 * against whoever can write to the memory.
 *
 * In sums of this kind a part can be exchanged without reading the rest, so a few bytes of a large value change at the
 * cost of those. Meanwhile the shard's root names the entry: a process that ends then leaves a check that does not fit,
 * and the next one makes it anew. */
#pragma once

#include "store/keyspace/record.h"

/* The check of an entry of `size` bytes that is going to have this owner; its other parts are in place. */
uint8_t check_of(const struct entry *e, uint32_t owner, size_t size);
/* Whether the check is that of the entry, which is no larger than its block. */
bool check_fits(const struct entry *e);
/* Gives the entry the check that fits. */
void check_renew(struct entry *e);

/* Opens a change in place: of the header, and of bytes `from` to `to` from the entry's start, of those that it has then
 * and those that it will have. One at a time. */
void check_begin(struct shard *s, struct entry *e, size_t from, size_t to);
/* The same for all of a block, also of one that is about to be published. */
void check_begin_whole(struct shard *s, ref block);
/* Ends the change. */
void check_end(struct shard *s);
