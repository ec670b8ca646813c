/* Commands for a part of a string: GETRANGE, SUBSTR and SETRANGE. */
#include "atomdb/session/range.h"

#include "atomdb/store/tenant.h"
#include "atomdb/store/undo.h"
#include "commands/handlers.h"

enum outcome cmd_range_getrange(struct session *s, const struct request *r) {
	int64_t start, end;
	if (!request_integer(s, r->argv[2], &start) || !request_integer(s, r->argv[3], &end))
		return OUTCOME_DONE;
	struct key key;
	struct string *e;
	if (!request_string(s, r, 1, LOOKUP_READ, &key, &e))
		return OUTCOME_DONE;
	char text[STRING_TEXT];
	struct slice value = string_value_or_empty(e, text), part = SLICE("");
	if (!range_backwards(start, end) && range_resolve((int64_t)value.len, &start, &end))
		part = (struct slice){value.data + start, (size_t)(end - start + 1)};
	if (part.len >= PIN_MIN)
		return reply_large(s, string_entry(e), part);
	writer_bulk(s->reply, part);
	return OUTCOME_DONE;
}

enum outcome cmd_setrange(struct session *s, const struct request *r) {
	int64_t offset;
	struct slice part = r->argv[3];
	if (!request_integer(s, r->argv[2], &offset))
		return OUTCOME_DONE;
	if (offset < 0)
		return reply_error(s, "ERR offset is out of range");
	struct key key;
	struct string *old;
	if (!request_string(s, r, 1, LOOKUP_WRITE, &key, &old))
		return OUTCOME_DONE;
	char text[STRING_TEXT];
	size_t length = string_value_or_empty(old, text).len;
	if (part.len == 0) {
		writer_integer(s->reply, (int64_t)length);
		return OUTCOME_DONE;
	}
	if ((uint64_t)offset > STRING_MAX || part.len > STRING_MAX - (uint64_t)offset)
		return reply_too_long(s);
	if (length < (size_t)offset + part.len)
		length = (size_t)offset + part.len;
	char *bytes;
	int error = string_resize(s->tenant, &key, old, length, (struct span){(size_t)offset, part.len}, &bytes);
	if (error < 0)
		return reply_store_error(s, error);
	fiber_copy(bytes + offset, part.data, part.len);
	keyspace_commit(s->tenant->shard);
	keyspace_event(s, NOTIFY_STRING, "setrange", &key);
	writer_integer(s->reply, (int64_t)length);
	return OUTCOME_DONE;
}
