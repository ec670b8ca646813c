/* Records of named fields. A process leaves its state in this form to the next process on the same machine, of any
 * release.
 *
 *   record: field, field, ...
 *   field:  length of the name (1 byte) | name | length of the value (8 bytes) | value
 *
 * A value is a number (8 bytes), a flag (no bytes), bytes, another record, or a list. A list is a record whose fields
 * have empty names.
 *
 * Rules that let releases read each other's records:
 * - A name keeps its meaning, its kind and its default forever.
 * - A field that equals its default is not written; a missing field has its default.
 * - A reader skips a field whose name it does not know. If the name begins with '!', the field is required: the reader
 *   refuses the record. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "atomdb/util/buffer.h"

enum field_kind { FIELD_NUMBER, FIELD_FLAG, FIELD_BYTES };

/* Describes a field of a record in memory. A table of these is const and has at most FIELDS_MAX rows. */
struct field {
	const char *name; /* 1 to 255 bytes */
	enum field_kind kind;
	size_t offset; /* number: of a uint64_t; flag: of a uint64_t that holds it as a bit; bytes: of a struct slice */
	uint64_t most; /* number: maximum; flag: its bit; bytes: maximum length */
	uint64_t missing; /* number: its default. A flag defaults to 0, bytes to a slice with a NULL pointer */
};

#define FIELDS_MAX 64

/* A writer. After the first error it writes nothing more: check `error` once, at the end. */
struct serializer {
	struct buffer *out; /* not owned */
	int error;          /* 0 or -ENOMEM */
};

/* Writes the fields that differ from their defaults. The caller may write further fields of the record before and
 * after. */
void serialize_record(struct serializer *s, const struct field *fields, size_t count, const void *from);
void serialize_number(struct serializer *s, const char *name, uint64_t value);
void serialize_bytes(struct serializer *s, const char *name, struct slice bytes);
/* Begins a value. The calls up to serialize_end() write it. Returns the argument for serialize_end(). Values may
 * nest. */
size_t serialize_begin(struct serializer *s, const char *name);
void serialize_end(struct serializer *s, size_t begin);
/* Appends bytes to the value begun last. */
void serialize_piece(struct serializer *s, struct slice piece);
/* The name of an element of a list. */
#define SERIALIZE_ELEMENT ""

/* Reads a record from untrusted bytes. The resulting slices point into it. Returns 0; ATOMDB_E_FORMAT if it is
 * truncated, has a field twice, or has a value out of bounds; ATOMDB_E_VERSION if a required field is unknown. */
int deserialize_record(struct slice record, const struct field *fields, size_t count, void *to);
/* Takes the next element from the front of a list. Returns 1, 0 if the list is empty, or ATOMDB_E_FORMAT. */
int deserialize_element(struct slice *list, struct slice *element);
