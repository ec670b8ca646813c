/* HyperLogLog: an estimate of the number of different elements, in at most 12 KB, in Redis's format. */
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

/* A copy of a value, in either form, with room to grow. */
struct hll {
	size_t len;
	uint8_t bytes[HLL_SPARSE_MAX + 8];
};

/* Returns whether the value has the header of a HyperLogLog. Its registers may be damaged. */
bool hll_is(struct slice value);
bool hll_is_dense(struct slice value);

/* Makes an empty HyperLogLog, in the sparse form. */
void hll_init(struct hll *h);
/* Copies a value for which hll_is() is true. Returns 0, or ATOMDB_E_FORMAT if it is too long. */
int hll_load(struct hll *h, struct slice value);

/* All these return ATOMDB_E_FORMAT if the registers are damaged. The value may have changed then. */

/* Adds an element; 1 where that raised a register, else 0. The sparse form becomes dense when it is no longer smaller.
 */
int hll_add(struct hll *h, struct slice element);
/* Like hll_add(), on a dense value in place. */
bool hll_add_dense(uint8_t *bytes, struct slice element);
/* Returns whether hll_add_dense() would raise a register. */
bool hll_lacks_dense(const uint8_t *bytes, struct slice element);
/* Raises register `index` to at least `count` (1 to 63). Returns 1 if that changed it, else 0. */
int hll_raise(struct hll *h, unsigned index, unsigned count);
int hll_make_dense(struct hll *h);
/* Raises each of `registers` to at least its count in `value`. */
int hll_merge(uint8_t registers[HLL_REGISTERS], struct slice value);
/* Appends the opcodes of a sparse value as the text of PFDEBUG DECODE. Returns 0 or -ENOMEM. */
int hll_decode(struct slice value, struct buffer *out);

/* Estimates the number of elements. */
int hll_count(struct slice value, uint64_t *count);
uint64_t hll_count_registers(const uint8_t registers[HLL_REGISTERS]);

/* The header keeps the last estimate, until something is added. */
#define HLL_CACHE_AT    8
#define HLL_CACHE_BYTES 8
bool hll_cached(struct slice value, uint64_t *count);
void hll_cache(uint8_t *bytes, uint64_t count);
void hll_forget(uint8_t *bytes);
