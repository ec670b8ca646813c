/* Memory counters for MEMORY and INFO. */
#pragma once

#include "atomdb/session/session.h"

/* The charge of a tenant by purpose, in bytes. */
struct memory_usage {
	uint64_t total, peak;
	uint64_t tables;  /* tables of all databases */
	uint64_t dataset; /* blocks of entries */
	uint64_t other;   /* buffers of clients, subscriptions, statistics */
	uint64_t keys;    /* number of databases with keys */
};
struct memory_usage memory_take_apart(const struct tenant *t);
/* Sums the arenas that the caller may see: all for the operator. A tenant sees only its own blocks, without overhead,
 * since tenants share arenas. */
struct arenas memory_arenas(const struct session *s);
/* Returns the bytes of pages for each byte of blocks. */
double memory_fragmentation(const struct arenas *a);
double memory_percentage(uint64_t part, uint64_t whole);
