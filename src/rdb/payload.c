/* The form of a payload:
 *
 *   type (1 byte) | value | version (2 bytes) | CRC of all preceding bytes (8 bytes)
 *
 * Numbers are little-endian. */
#include "atomdb/rdb/payload.h"

#include <errno.h>

#include "atomdb/util/crc64.h"
#include "atomdb/util/error.h"
#include "rdb/reader.h"
#include "rdb/writer.h"

#define VERSION 10 /* Redis 7.0 */
#define FOOTER  10 /* bytes of version and CRC */

int payload_seal(struct buffer *out, size_t start) {
	if (buffer_reserve(out, FOOTER, SIZE_MAX) != 0)
		return -ENOMEM;
	rdb_put_low_first(out, VERSION, 2);
	rdb_put_low_first(out, crc64(0, (struct slice){out->data + start, out->len - start}), 8);
	return 0;
}

int payload_open(struct slice bytes, struct payload *payload) {
	if (bytes.len < FOOTER)
		return ATOMDB_E_FORMAT;
	struct rdb_reader footer = {(const unsigned char *)bytes.data + bytes.len - FOOTER, FOOTER};
	uint64_t version = 0, crc = 0;
	rdb_take(&footer, 2, true, &version);
	rdb_take(&footer, 8, true, &crc);
	if (version > VERSION || crc64(0, (struct slice){bytes.data, bytes.len - 8}) != crc)
		return ATOMDB_E_FORMAT;
	if (bytes.len == FOOTER)
		return ATOMDB_E_SYNTAX;
	payload->type = (unsigned char)bytes.data[0];
	payload->value = (struct slice){bytes.data + 1, bytes.len - FOOTER - 1};
	return 0;
}
