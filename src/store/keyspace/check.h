/* The check of an entry: 8 bits in its header, by which recovery tells a damaged entry from a sound one.
 *
 * The check is the sum, modulo 256, of all bytes that identify the entry, each times an odd number that depends on its
 * place: owner, lengths, deadline, key, value, and the bytes after the value up to the next multiple of 16. It excludes
 * the parts that change when the entry is used: the links, the time of the last use, and whether an open scope made the
 * entry.
 *
 * It detects every change within one byte, and 255 of 256 larger changes. It does not detect changes of only the
 * highest bit in an even number of bytes, nor some long runs of one byte that become zeros. It does not protect against
 * an attacker who can write to the memory.
 *
 * The sum lets a part be exchanged without reading the rest, so a change of a few bytes costs the same in a large
 * value. During such a change the shard's root names the entry. If the process ends meanwhile, the check does not fit,
 * and recovery renews it.
 *
 * To renew, to begin or to end a change has check points if the changing part has more than CHECK_PIECE bytes. */
#pragma once

#include "store/keyspace/record.h"

/* Returns the check that an entry of `size` bytes has with this owner. The other parts of the entry are in place. */
uint8_t check_of(const struct entry *e, uint32_t owner, size_t size);
/* Bytes that are summed up between two check points. */
#define CHECK_PIECE ((size_t)1 << 20)
/* The same with check points, for an entry of more than CHECK_PIECE bytes. */
uint8_t check_of_long(const struct entry *e, uint32_t owner, size_t size);
/* Returns whether the entry has the right check. The entry must not be larger than its block. */
bool check_fits(const struct entry *e);
/* Sets the check of the entry to the right one. */
void check_renew(struct entry *e);

/* Opens a change in place: of the header, and of bytes [from, to) from the start of the entry, which include those that
 * the change adds. Only one change may be open in a shard. */
void check_begin(struct shard *s, struct entry *e, size_t from, size_t to);
/* Opens a change of a whole block, which may not be published yet. */
void check_begin_whole(struct shard *s, ref block);
/* Ends the open change: sets the check of the entry. */
void check_end(struct shard *s);
