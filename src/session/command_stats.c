#include "atomdb/session/command_stats.h"

#include <stdalign.h>

#include "atomdb/session/stats_memory.h"

/* Initial capacity in rows. */
#define ROWS_FIRST 8

/* Returns the offset of the first row. */
static size_t rows_begin(void) {
	const size_t align = alignof(struct command_stat);
	size_t size = sizeof(struct command_stats) + command_numbers() * sizeof(uint32_t);
	return (size + align - 1) / align * align;
}

static size_t stats_size(unsigned room) {
	return rows_begin() + room * sizeof(struct command_stat);
}

static bool make_room(struct tenant *t) {
	struct command_stats *old = t->clients.command_stats;
	if (old != NULL && old->count < old->room)
		return true;
	unsigned room = old == NULL ? ROWS_FIRST : 2 * old->room;
	struct command_stats *s = stats_memory_alloc(t, stats_size(room), false);
	if (s == NULL)
		return false;
	if (old != NULL)
		memcpy(s, old, stats_size(old->room));
	command_stats_free(t);
	s->room = room;
	t->clients.command_stats = s;
	return true;
}

struct command_stat *command_stat_open(struct tenant *t, const struct command *c) {
	if (!make_room(t))
		return NULL;
	struct command_stats *s = t->clients.command_stats;
	s->offset[c->number] = (uint32_t)stats_size(s->count++);
	return command_stat_at(s, s->offset[c->number]);
}

void command_stat_count_first(struct tenant *t, const struct command *c, uint64_t ticks) {
	struct command_stat *row = command_stat_open(t, c);
	if (row == NULL)
		return;
	row->calls++;
	row->ticks += ticks;
}

static struct command_stat *find(const struct tenant *t, const struct command *c) {
	uint32_t offset = t->clients.command_stats == NULL ? 0 : t->clients.command_stats->offset[c->number];
	return offset == 0 ? NULL : command_stat_at(t->clients.command_stats, offset);
}

const struct command_stat *command_stat_used(const struct tenant *t, const struct command *c) {
	const struct command_stat *row = find(t, c);
	return row != NULL && row->calls + row->rejected != 0 ? row : NULL;
}

uint64_t command_stat_micros(struct tenant *t, const struct command *c, const struct clock_rate *start) {
	struct command_stat *row = find(t, c);
	if (row == NULL)
		return 0;
	row->nanoseconds += (uint64_t)(clock_ticks_to_seconds(start, row->ticks - row->converted) * 1e9);
	row->converted = row->ticks;
	return row->nanoseconds / 1000;
}

void command_stats_reset(struct tenant *t) {
	if (t->clients.command_stats != NULL)
		memset(command_stat_at(t->clients.command_stats, (uint32_t)rows_begin()), 0,
		       t->clients.command_stats->count * sizeof(struct command_stat));
}

void command_stats_free(struct tenant *t) {
	struct command_stats *s = t->clients.command_stats;
	if (s == NULL)
		return;
	stats_memory_free(t, s, stats_size(s->room));
	t->clients.command_stats = NULL;
}
