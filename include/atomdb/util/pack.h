/* Numbers and runs of bytes in a row: what one process writes down for the next, on the same machine. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "atomdb/util/buffer.h"

/* What is being written. An error is kept, and all that follows is ignored: look at it once, at the end. */
struct pack {
	struct buffer *out; /* not owned */
	int error;          /* 0 or -ENOMEM */
};

void pack_number(struct pack *p, uint64_t value);
/* A number of bytes, then these. */
void pack_bytes(struct pack *p, struct slice bytes);
/* A piece of the bytes of a run: pack_begin, the pieces, and pack_end are read by unpack_bytes. */
void pack_piece(struct pack *p, struct slice piece);
/* NULL is as the empty text. */
void pack_text(struct pack *p, const char *text);
/* Begins a run of bytes that pack_end ends; returns what pack_end is to be given. They nest. */
size_t pack_begin(struct pack *p);
void pack_end(struct pack *p, size_t begin);

/* What is being read, by the rule that nothing in it can be trusted. Once it has failed everything is 0 and empty. */
struct unpack {
	struct slice rest;
	bool failed;
};

uint64_t unpack_number(struct unpack *u);
/* A number that is at most `most`; another one is a failure. */
uint64_t unpack_up_to(struct unpack *u, uint64_t most);
/* The bytes stay where they are. */
struct slice unpack_bytes(struct unpack *u);
