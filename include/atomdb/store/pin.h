/* Values that are being sent: their bytes stay where they are until the last client that reads them is done, whatever
 * happens to the key meanwhile. So a large value is copied by nobody but the kernel, piece by piece.
 *
 * While the key has the value, a loan costs its tenant nothing; once it has it no more (overwritten, deleted, evicted,
 * expired, dropped), the block is the loan's, is charged to the tenant, and goes with the last return. What would
 * change a lent value in place makes another block instead. After a crash there is nobody to send to: such a block is
 * free.
 *
 * A value that is half sent goes on in the next process: this one tells it the block and the place (loan_place), keeps
 * the blocks that have no key (shard_keep_lent) and saves the shard; the next one lends them again (loan_claim), and
 * then frees what nobody claimed (shard_drop_lent).
 *
 * For the tenant's own worker; every loan is returned before the tenant or the shard ends. */
#pragma once

#include "atomdb/store/keyspace.h"

/* Values of at least this are lent. */
#define LOAN_MIN ((size_t)1 << 20)

struct loan;

/* Lends the value of `e`, whose bytes keyspace_value tells, of at least LOAN_MIN bytes. NULL: no memory. */
struct loan *loan_take(struct tenant *t, const struct entry *e);
/* Takes one loan_take back; NULL is fine. */
void loan_return(struct loan *l);

/* The place of bytes of a lent value, for the next process. */
struct loan_place {
	uint32_t block;
	uint64_t offset, length; /* bytes, within it */
};
struct loan_place loan_place(const struct loan *l, struct slice bytes);
/* Lends what the process before named so, and tells where it is now. NULL: no such value is the tenant's (the place may
 * be anything), or no memory. */
struct loan *loan_claim(struct tenant *t, const struct loan_place *place, struct slice *bytes);
