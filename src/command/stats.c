#include "command/stats.h"

#include <stdlib.h>

#include "command/notes.h"

/* Rows that there is room for at first. */
#define ROWS_FIRST 8

static size_t stats_size(void) {
	return sizeof(struct command_stats) + command_numbers() * sizeof(uint16_t);
}

static struct command_stats *open_stats(struct tenant *t) {
	if (t->stats == NULL) {
		t->stats = notes_take(t, stats_size(), false);
		if (t->stats != NULL)
			t->forget = notes_forget;
	}
	return t->stats;
}

static bool make_room(struct tenant *t, struct command_stats *s) {
	unsigned room = s->room == 0 ? ROWS_FIRST : 2 * s->room;
	if (s->count < s->room)
		return true;
	struct command_stat *rows = notes_take(t, room * sizeof(*rows), false);
	if (rows == NULL)
		return false;
	if (s->rows != NULL) {
		memcpy(rows, s->rows, s->count * sizeof(*rows));
		tenant_discharge(t, s->room * sizeof(*rows));
		free(s->rows);
	}
	s->rows = rows;
	s->room = room;
	if (s->count == 0)
		s->count = 1;
	return true;
}

struct command_stat *command_stat_open(struct tenant *t, const struct command *c) {
	struct command_stats *s = open_stats(t);
	if (s == NULL || !make_room(t, s))
		return NULL;
	s->index[c->number] = (uint16_t)s->count;
	return &s->rows[s->count++];
}

static struct command_stat *find(const struct tenant *t, const struct command *c) {
	unsigned i = t->stats == NULL ? 0 : t->stats->index[c->number];
	return i == 0 ? NULL : &t->stats->rows[i];
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
	if (t->stats != NULL && t->stats->rows != NULL)
		memset(t->stats->rows, 0, t->stats->room * sizeof(*t->stats->rows));
}

void command_stats_free(struct tenant *t) {
	struct command_stats *s = t->stats;
	if (s == NULL)
		return;
	tenant_discharge(t, stats_size() + s->room * sizeof(*s->rows));
	free(s->rows);
	free(s);
	t->stats = NULL;
}
