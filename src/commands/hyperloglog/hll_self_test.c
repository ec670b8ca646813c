/* PFSELFTEST: checks that both forms of a HyperLogLog agree, and that estimates are within the tolerance. */
#include "commands/hyperloglog/hll_self_test.h"

#include <math.h>

#include "atomdb/util/fiber.h"
#include "commands/hyperloglog/hll.h"

#define ELEMENTS 20000u
/* Elements between two check points. */
#define CHECK_ELEMENTS 16
/* Three times the standard error, which is 1.04 / sqrt(registers). */
#define TOLERANCE 0.0244

const char *hll_self_test(void) {
	struct hll grown, dense;
	hll_init(&grown);
	hll_init(&dense);
	if (hll_make_dense(&dense) != 0)
		return "an empty value cannot be made dense";
	size_t work = 0;
	for (uint64_t i = 1, next = 10; i <= ELEMENTS; i++) {
		(void)fiber_check_every(&work, 1, CHECK_ELEMENTS);
		uint64_t element = i * 0x9E3779B97F4A7C15, counts[2];
		struct slice bytes = {(const char *)&element, sizeof(element)};
		bool raised = hll_add_dense(dense.bytes, bytes);
		if (hll_add(&grown, bytes) != raised)
			return "the sparse and the dense form disagree on an element";
		if (i != next)
			continue;
		next += next;
		if (hll_count((struct slice){(const char *)grown.bytes, grown.len}, &counts[0]) != 0 ||
		    hll_count((struct slice){(const char *)dense.bytes, dense.len}, &counts[1]) != 0 ||
		    counts[0] != counts[1])
			return "the sparse and the dense form disagree on the estimate";
		if (fabs((double)counts[0] - (double)i) > ceil((double)i * TOLERANCE))
			return "the error of an estimate is too large";
	}
	return NULL;
}
