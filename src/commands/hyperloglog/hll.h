/* HyperLogLog: how many different elements were seen, about, in 12 KB at most, in Redis's own format. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "atomdb/util/buffer.h"
#include "atomdb/util/slice.h"

#define HLL_REGISTERS  16384
#define HLL_HEADER     16
#define HLL_DENSE_SIZE (HLL_HEADER + HLL_REGISTERS * 6 / 8)
/* Bytes of the longest sparse form that makes sense: an opcode for each register. */
#define HLL_SPARSE_MAX (HLL_HEADER + HLL_REGISTERS)

/* A value that is being worked on: in either form, with room to grow. */
struct hll {
	size_t len;
	uint8_t bytes[HLL_SPARSE_MAX + 8];
};

/* Whether a value says that it is one; the registers may be damaged all the same. */
bool hll_is(struct slice value);
bool hll_is_dense(struct slice value);

/* An empty one, in the sparse form. */
void hll_init(struct hll *h);
/* Copies a value that hll_is; ATOMDB_E_FORMAT where it is too long. */
int hll_load(struct hll *h, struct slice value);

/* All these return ATOMDB_E_FORMAT where the registers are damaged; the value may have changed then. */

/* Adds an element; 1 where that raised a register, else 0. The sparse form becomes dense when it is no longer smaller.
 */
int hll_add(struct hll *h, struct slice element);
/* The same on a dense value, in place. */
bool hll_add_dense(uint8_t *bytes, struct slice element);
/* Whether that would raise a register. */
bool hll_lacks_dense(const uint8_t *bytes, struct slice element);
/* Makes register `index` at least `count` (1 to 63); 1 where that changed it, else 0. */
int hll_raise(struct hll *h, unsigned index, unsigned count);
int hll_make_dense(struct hll *h);
/* Makes each register of `registers` at least what it is in `value`. */
int hll_merge(uint8_t registers[HLL_REGISTERS], struct slice value);
/* Writes the opcodes of a sparse value as text, as PFDEBUG DECODE shows them: 0 or -ENOMEM. */
int hll_decode(struct slice value, struct buffer *out);

/* Estimates how many elements were added. */
int hll_count(struct slice value, uint64_t *count);
uint64_t hll_count_registers(const uint8_t registers[HLL_REGISTERS]);

/* The header keeps the last estimate, until something is added. */
#define HLL_CACHE_AT    8
#define HLL_CACHE_BYTES 8
bool hll_cached(struct slice value, uint64_t *count);
void hll_cache(uint8_t *bytes, uint64_t count);
void hll_forget(uint8_t *bytes);
