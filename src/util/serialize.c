#include "atomdb/util/serialize.h"

#include <assert.h>
#include <string.h>

#include "atomdb/util/error.h"

/* --- writing ---------------------------------------------------------------------------------------------------- */

static void append(struct serializer *s, const void *bytes, size_t n) {
	if (s->error == 0)
		s->error = buffer_append(s->out, bytes, n, SIZE_MAX);
}

static void append_head(struct serializer *s, const char *name, uint64_t length) {
	size_t n = strlen(name);
	assert(n <= UINT8_MAX);
	append(s, &(uint8_t){(uint8_t)n}, 1);
	append(s, name, n);
	append(s, &length, sizeof(length));
}

void serialize_number(struct serializer *s, const char *name, uint64_t value) {
	append_head(s, name, sizeof(value));
	append(s, &value, sizeof(value));
}

void serialize_bytes(struct serializer *s, const char *name, struct slice bytes) {
	append_head(s, name, bytes.len);
	append(s, bytes.data, bytes.len);
}

size_t serialize_begin(struct serializer *s, const char *name) {
	append_head(s, name, 0);
	return s->out->len;
}

void serialize_end(struct serializer *s, size_t begin) {
	if (s->error != 0)
		return;
	uint64_t length = s->out->len - begin;
	memcpy(s->out->data + begin - sizeof(length), &length, sizeof(length));
}

void serialize_piece(struct serializer *s, struct slice piece) {
	append(s, piece.data, piece.len);
}

void serialize_record(struct serializer *s, const struct field *fields, size_t count, const void *from) {
	for (size_t i = 0; i < count; i++) {
		const struct field *f = &fields[i];
		const char *at = (const char *)from + f->offset;
		struct slice bytes;
		uint64_t number;
		if (f->kind == FIELD_BYTES) {
			memcpy(&bytes, at, sizeof(bytes));
			if (bytes.data != NULL)
				serialize_bytes(s, f->name, bytes);
			continue;
		}
		memcpy(&number, at, sizeof(number));
		if (f->kind == FIELD_FLAG && (number & f->most) != 0)
			append_head(s, f->name, 0);
		else if (f->kind == FIELD_NUMBER && number != f->missing)
			serialize_number(s, f->name, number);
	}
}

/* --- reading ---------------------------------------------------------------------------------------------------- */

/* Takes `n` bytes from the front. Returns false if fewer remain. */
static bool take(struct slice *rest, uint64_t n, struct slice *out) {
	if (n > rest->len)
		return false;
	*out = (struct slice){rest->data, (size_t)n};
	rest->data += n;
	rest->len -= (size_t)n;
	return true;
}

static bool take_field(struct slice *rest, struct slice *name, struct slice *value) {
	struct slice head;
	uint64_t length;
	if (!take(rest, 1, &head) || !take(rest, (uint8_t)head.data[0], name) || !take(rest, sizeof(length), &head))
		return false;
	memcpy(&length, head.data, sizeof(length));
	return take(rest, length, value);
}

static void set_default(const struct field *f, char *at) {
	if (f->kind == FIELD_BYTES)
		memset(at, 0, sizeof(struct slice));
	else
		memcpy(at, f->kind == FIELD_NUMBER ? &f->missing : &(uint64_t){0}, sizeof(uint64_t));
}

/* Stores a value. Returns false if its kind differs from that of the field, or if it is out of bounds. */
static bool set_value(const struct field *f, char *at, struct slice value) {
	uint64_t number;
	switch (f->kind) {
	case FIELD_BYTES:
		memcpy(at, &value, sizeof(value));
		return value.len <= f->most;
	case FIELD_FLAG:
		memcpy(&number, at, sizeof(number));
		number |= f->most;
		break;
	default:
		if (value.len != sizeof(number))
			return false;
		memcpy(&number, value.data, sizeof(number));
		if (number > f->most)
			return false;
		break;
	}
	memcpy(at, &number, sizeof(number));
	return f->kind == FIELD_NUMBER || value.len == 0;
}

static const struct field *find(const struct field *fields, size_t count, struct slice name) {
	for (size_t i = 0; i < count; i++)
		if (slice_equal(slice_of(fields[i].name), name))
			return &fields[i];
	return NULL;
}

int deserialize_record(struct slice record, const struct field *fields, size_t count, void *to) {
	uint64_t seen = 0;
	struct slice name, value;
	assert(count <= FIELDS_MAX);
	for (size_t i = 0; i < count; i++)
		set_default(&fields[i], (char *)to + fields[i].offset);
	while (record.len > 0) {
		if (!take_field(&record, &name, &value))
			return ATOMDB_E_FORMAT;
		const struct field *f = find(fields, count, name);
		if (f == NULL && name.len > 0 && name.data[0] == '!')
			return ATOMDB_E_VERSION;
		if (f == NULL)
			continue;
		uint64_t bit = UINT64_C(1) << (f - fields);
		if ((seen & bit) != 0 || !set_value(f, (char *)to + f->offset, value))
			return ATOMDB_E_FORMAT;
		seen |= bit;
	}
	return 0;
}

int deserialize_element(struct slice *list, struct slice *element) {
	struct slice name;
	if (list->len == 0)
		return 0;
	return take_field(list, &name, element) && name.len == 0 ? 1 : ATOMDB_E_FORMAT;
}
