/* Memory figures for MEMORY and INFO. */
#pragma once

#include "atomdb/session/session.h"

/* A tenant's charge by purpose, in bytes. */
struct memory_usage {
	uint64_t total, peak;
	uint64_t tables;  /* of all databases */
	uint64_t dataset; /* blocks of entries */
	uint64_t other;   /* clients' buffers, subscriptions, statistics */
	uint64_t keys;    /* their number */
};
struct memory_usage memory_take_apart(const struct tenant *t);
/* The arenas as the caller may see them: the operator sees all. A tenant sees only its own blocks, without overhead,
 * since other tenants share the arena. */
struct arenas memory_arenas(const struct session *s);
/* Bytes of pages for each byte of blocks. */
double memory_fragmentation(const struct arenas *a);
double memory_percentage(uint64_t part, uint64_t whole);
