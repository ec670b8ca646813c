/* Passes arbitrary bytes to RESTORE, unchanged and with a valid checksum. The payload must be rejected, or dumping its
 * value again must give the same value. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "atomdb/rdb/payload.h"
#include "atomdb/rdb/string.h"
#include "atomdb/store/keyspace.h"
#include "atomdb/store/string.h"
#include "atomdb/util/crc64.h"
#include "atomdb/util/error.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(condition)                   \
	do {                              \
		if (!(condition))         \
			__builtin_trap(); \
	} while (0)

static int write_sealed(struct buffer *out, struct slice value) {
	int error = rdb_write_string(out, value);
	return error != 0 ? error : payload_seal(out, 0);
}

static int read_sealed(struct slice bytes, size_t most, char text[NUMBER_TEXT_MAX], struct buffer *room,
		       struct slice *value) {
	struct payload payload;
	int error = payload_open(bytes, &payload);
	if (error != 0)
		return error;
	return payload.type != RDB_TYPE_STRING ? ATOMDB_E_SYNTAX
					       : rdb_read_string(payload.value, most, text, room, value);
}

static void check(struct slice payload) {
	char text[NUMBER_TEXT_MAX], again_text[NUMBER_TEXT_MAX];
	struct buffer room, again_room, out;
	struct slice value, again;
	buffer_init(&room);
	buffer_init(&again_room);
	buffer_init(&out);
	int error = read_sealed(payload, SIZE_MAX, text, &room, &value);
	MUST(error == 0 || error == ATOMDB_E_FORMAT || error == ATOMDB_E_SYNTAX);
	if (error == 0) {
		MUST(value.len <= STRING_MAX);
		MUST(write_sealed(&out, value) == 0);
		MUST(read_sealed(buffer_slice(&out), SIZE_MAX, again_text, &again_room, &again) == 0);
		MUST(slice_equal(value, again));
	}
	buffer_deinit(&room);
	buffer_deinit(&again_room);
	buffer_deinit(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	check((struct slice){(const char *)data, size});
	/* Interpret the bytes as type and string of a payload, and as a value. */
	struct buffer sealed;
	buffer_init(&sealed);
	MUST(buffer_reserve(&sealed, size + 10, SIZE_MAX) == 0);
	if (size != 0)
		memcpy(sealed.data, data, size);
	memcpy(sealed.data + size, "\x0a", 2);
	uint64_t crc = crc64(0, (struct slice){sealed.data, size + 2});
	memcpy(sealed.data + size + 2, &crc, sizeof(crc));
	sealed.len = size + 10;
	check(buffer_slice(&sealed));
	sealed.len = 0;
	MUST(write_sealed(&sealed, (struct slice){(const char *)data, size}) == 0);
	check(buffer_slice(&sealed));
	buffer_deinit(&sealed);
	return 0;
}
