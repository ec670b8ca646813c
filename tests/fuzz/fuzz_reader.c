/* Reads arbitrary bytes in a single piece and in several. Both must give the same commands, consume at least one byte
 * for each, and never point outside the input. The first three bytes choose the limits and the pieces. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "../unit/resp/transcript.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct reader_limits limits[] = {
	{INT32_MAX, UINT64_C(512) << 20, true, 1 << 20},
	{10, 16384, false, 4096},
	{100, 64, true, 160},
	{INT32_MAX, UINT64_MAX >> 2, true, SIZE_MAX},
};

static size_t cut(void *context, size_t have, size_t len) {
	uint32_t *seed = context;
	*seed = *seed * 1664525 + 1013904223;
	/* Mostly small pieces, some large ones. */
	size_t piece = 1 + (*seed >> 16) % ((*seed >> 8 & 7) == 0 ? 4096 : 5);
	return len - have < piece ? len : have + piece;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	if (size < 3)
		return 0;
	const struct reader_limits *chosen = &limits[data[0] % 4];
	uint32_t seed = (uint32_t)data[1] << 8 | data[2];
	const char *input = (const char *)data + 3;
	struct buffer whole, split;
	buffer_init(&whole);
	buffer_init(&split);
	transcript_write(&whole, input, size - 3, chosen, NULL, NULL);
	transcript_write(&split, input, size - 3, chosen, cut, &seed);
	transcript_demand(slice_equal(buffer_slice(&whole), buffer_slice(&split)));
	buffer_deinit(&whole);
	buffer_deinit(&split);
	transcript_usual(input, size - 3);
	return 0;
}
