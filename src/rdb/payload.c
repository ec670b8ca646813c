/* The form of a payload:
 *
 *   type (1 byte, 0: string) | value (see encoding.h) | version (2 bytes) | CRC of all before (8 bytes)
 *
 * Numbers are little-endian. */
#include "atomdb/rdb/payload.h"

#include <errno.h>

#include "atomdb/util/crc64.h"
#include "atomdb/util/error.h"
#include "rdb/reader.h"
#include "rdb/writer.h"

#define TYPE_STRING 0
#define VERSION     10 /* Redis 7.0 */
#define FOOTER      10 /* bytes of version and CRC */
/* Bytes of a payload besides the encoded string. */
#define OVERHEAD_MAX (1 + RDB_STRING_OVERHEAD + FOOTER)

int payload_write(struct buffer *out, struct slice value) {
	if (buffer_reserve(out, value.len + OVERHEAD_MAX, SIZE_MAX) != 0)
		return -ENOMEM;
	size_t start = out->len;
	rdb_put_byte(out, TYPE_STRING);
	rdb_put_string(out, value);
	rdb_put_low_first(out, VERSION, 2);
	rdb_put_low_first(out, crc64(0, (struct slice){out->data + start, out->len - start}), 8);
	return 0;
}

int payload_read(struct slice payload, size_t most, char text[NUMBER_TEXT_MAX], struct buffer *room,
		 struct slice *value) {
	if (payload.len < FOOTER)
		return ATOMDB_E_FORMAT;
	struct rdb_reader footer = {(const unsigned char *)payload.data + payload.len - FOOTER, FOOTER};
	uint64_t version = 0, crc = 0, type;
	rdb_take(&footer, 2, true, &version);
	rdb_take(&footer, 8, true, &crc);
	if (version > VERSION || crc64(0, (struct slice){payload.data, payload.len - 8}) != crc)
		return ATOMDB_E_FORMAT;
	struct rdb_reader body = {(const unsigned char *)payload.data, payload.len - FOOTER};
	struct slice found;
	if (!rdb_take(&body, 1, true, &type) || type != TYPE_STRING)
		return ATOMDB_E_SYNTAX;
	int error = rdb_take_string(&body, most, text, room, &found);
	if (error == 0 && body.left != 0)
		error = ATOMDB_E_SYNTAX;
	if (error == 0)
		*value = found;
	return error;
}
