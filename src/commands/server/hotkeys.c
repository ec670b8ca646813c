/* HOTKEYS and BIGKEYS. */
#include "atomdb/session/hotkeys.h"

#include "atomdb/util/error.h"
#include "commands/handlers.h"

#define DEFAULT_COUNT 10
#define MOST_COUNT    1000

/* Reads [COUNT n]. Returns false if an error was replied. */
static bool read_count(struct session *s, const struct request *r, int64_t *count) {
	*count = DEFAULT_COUNT;
	if (r->argc == 1)
		return true;
	if (r->argc != 3 || !slice_is(r->argv[1], "COUNT")) {
		reply_syntax_error(s);
		return false;
	}
	if (!request_integer(s, r->argv[2], count))
		return false;
	if (*count >= 1 && *count <= MOST_COUNT)
		return true;
	reply_error(s, "ERR value is out of range, value must between 1 and 1000");
	return false;
}

/* Replies with the heaviest `count` keys of the database, each a row of its name and its weight times `scale`. */
static enum outcome reply_top(struct session *s, const struct top_keys *top, int64_t count, uint64_t scale) {
	uint8_t order[TOP_KEYS];
	unsigned n = top_keys_order(top, s->db_slot, order);
	while (n > 0 && top_key_sure(&top->keys[order[n - 1]]) == 0)
		n--;
	if (count < n)
		n = (unsigned)count;
	writer_array(s->reply, n);
	for (unsigned i = 0; i < n; i++) {
		const struct top_key *k = &top->keys[order[i]];
		writer_array(s->reply, 2);
		writer_bulk(s->reply, (struct slice){k->name, k->len});
		writer_integer(s->reply, (int64_t)(top_key_sure(k) * scale));
	}
	return OUTCOME_DONE;
}

enum outcome cmd_hotkeys(struct session *s, const struct request *r) {
	int64_t count;
	if (!read_count(s, r, &count))
		return OUTCOME_DONE;
	struct hotkeys *h = hotkeys_open(s->tenant, true);
	return h == NULL ? reply_store_error(s, ATOMDB_E_OOM) : reply_top(s, &h->hot, count, HOTKEYS_EVERY);
}

enum outcome cmd_bigkeys(struct session *s, const struct request *r) {
	int64_t count;
	if (!read_count(s, r, &count))
		return OUTCOME_DONE;
	struct hotkeys *h = hotkeys_open(s->tenant, true);
	if (h == NULL)
		return reply_store_error(s, ATOMDB_E_OOM);
	hotkeys_weigh_big(s->tenant);
	return reply_top(s, &h->big, count, 1);
}
