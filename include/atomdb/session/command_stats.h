/* Calls of each command by the clients of a tenant: INFO commandstats.
 *
 * The first use of a command makes its row, which is charged to the tenant even if the quota is full: there is at most
 * one row for each command. */
#pragma once

#include "atomdb/session/session.h"

struct command_stat {
	uint64_t calls;
	uint64_t ticks;    /* clock_ticks of all calls */
	uint64_t failed;   /* calls that replied with an error */
	uint64_t rejected; /* refused before they ran; not in `calls` */
	/* Part of the ticks that is already converted to nanoseconds. The length of a tick is measured ever more
	 * precisely, so that each tick is converted once: a later conversion of all ticks could make INFO's sum
	 * decrease. */
	uint64_t converted, nanoseconds;
};

/* One block: the offsets, followed by the rows. */
struct command_stats {
	uint32_t count, room; /* number of rows */
	uint32_t offset[];    /* by command.number: offset of the command's row in the block; 0: none */
};

static inline struct command_stat *command_stat_at(struct command_stats *stats, uint32_t offset) {
	return (struct command_stat *)(void *)((char *)stats + offset);
}

/* Returns the row of a command, which it makes if there is none. NULL if there is no memory. */
__attribute__((cold, noinline)) struct command_stat *command_stat_open(struct tenant *t, const struct command *c);

static inline struct command_stat *command_stat(struct tenant *t, const struct command *c) {
	uint32_t offset = t->clients.command_stats == NULL ? 0 : t->clients.command_stats->offset[c->number];
	return offset == 0 ? command_stat_open(t, c) : command_stat_at(t->clients.command_stats, offset);
}

/* Makes the row of a command at its first call. */
__attribute__((cold, noinline)) void command_stat_count_first(struct tenant *t, const struct command *c,
							      uint64_t ticks);

/* Counts a call. */
static inline void command_stat_count(struct tenant *t, const struct command *c, uint64_t ticks) {
	struct command_stats *stats = t->clients.command_stats;
	uint32_t offset = stats == NULL ? 0 : stats->offset[c->number];
	if (__builtin_expect(offset == 0, 0)) {
		command_stat_count_first(t, c, ticks);
		return;
	}
	struct command_stat *row = command_stat_at(stats, offset);
	row->calls++;
	row->ticks += ticks;
}

/* Returns the row of a command that was used since the last reset, or NULL. */
const struct command_stat *command_stat_used(const struct tenant *t, const struct command *c);
/* Returns the microseconds of all its calls. The value never decreases. */
uint64_t command_stat_micros(struct tenant *t, const struct command *c, const struct clock_rate *start);
void command_stats_reset(struct tenant *t);
void command_stats_free(struct tenant *t);
