#include "atomdb/rdb/string.h"

#include <errno.h>

#include "atomdb/util/error.h"
#include "rdb/reader.h"
#include "rdb/writer.h"

int rdb_write_string(struct buffer *out, struct slice value) {
	if (buffer_reserve(out, value.len + 1 + RDB_STRING_OVERHEAD, SIZE_MAX) != 0)
		return -ENOMEM;
	rdb_put_byte(out, RDB_TYPE_STRING);
	rdb_put_string(out, value);
	return 0;
}

int rdb_read_string(struct slice bytes, size_t most, char text[NUMBER_TEXT_MAX], struct buffer *room,
		    struct slice *value) {
	struct rdb_reader reader = {(const unsigned char *)bytes.data, bytes.len};
	struct slice found;
	int error = rdb_take_string(&reader, most, text, room, &found);
	if (error == 0 && reader.left != 0)
		error = ATOMDB_E_SYNTAX;
	if (error == 0)
		*value = found;
	return error;
}
