/* How often the tenant's clients called each command: INFO's commandstats.
 *
 * A row is made when a command is first used, and the tenant is charged for it. It is charged without asking, for the
 * rows are few: one for each command that there is, at most. */
#pragma once

#include "atomdb/session/session.h"

struct command_stat {
	uint64_t calls;
	uint64_t ticks;    /* clock_ticks that they took */
	uint64_t failed;   /* of the calls: answered with an error */
	uint64_t rejected; /* refused before they ran; not among the calls */
	/* Of the ticks, those that are nanoseconds already. The length of a tick is known ever better, so each is
	 * converted once: what INFO tells would run backwards if all were converted again. */
	uint64_t converted, nanoseconds;
};

/* One block: the offsets, and behind them the rows. */
struct command_stats {
	uint32_t count, room; /* rows */
	uint32_t offset[];    /* by command.number: where the command's row begins in the block; 0: it has none */
};

static inline struct command_stat *command_stat_at(struct command_stats *stats, uint32_t offset) {
	return (struct command_stat *)(void *)((char *)stats + offset);
}

/* The row of a command, made if there is none; NULL without memory. */
__attribute__((cold, noinline)) struct command_stat *command_stat_open(struct tenant *t, const struct command *c);

static inline struct command_stat *command_stat(struct tenant *t, const struct command *c) {
	uint32_t offset = t->clients.command_stats == NULL ? 0 : t->clients.command_stats->offset[c->number];
	return offset == 0 ? command_stat_open(t, c) : command_stat_at(t->clients.command_stats, offset);
}

/* The first call of a command that has no row yet. */
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

/* The row of a command that was used since the last reset, or NULL. */
const struct command_stat *command_stat_used(const struct tenant *t, const struct command *c);
/* Microseconds that all its calls took; never less than before. */
uint64_t command_stat_micros(struct tenant *t, const struct command *c, const struct clock_rate *start);
void command_stats_reset(struct tenant *t);
void command_stats_free(struct tenant *t);
