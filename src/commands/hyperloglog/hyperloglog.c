/* Commands for HyperLogLogs, which are strings that begin with "HYLL". */
#include "atomdb/store/tenant.h"
#include "atomdb/store/undo.h"
#include "atomdb/util/error.h"
#include "commands/handlers.h"
#include "commands/hyperloglog/hll.h"
#include "commands/hyperloglog/hll_self_test.h"

static enum outcome reply_damaged(struct session *s) {
	return reply_error(s, "INVALIDOBJ Corrupted HLL object detected");
}

/* Takes the value of `e`. False: it is not a HyperLogLog, and Redis's error was replied. */
static bool take_hll(struct session *s, const struct string *e, struct slice *value) {
	char text[STRING_TEXT];
	*value = string_value(e, text);
	if (hll_is(*value))
		return true;
	writer_error(s->reply, "WRONGTYPE Key is not a valid HyperLogLog string value.");
	return false;
}

/* Writes a changed HyperLogLog to its key. */
static int store_hll(struct session *s, const struct key *key, struct string *old, const struct hll *h) {
	struct slice value = {(const char *)h->bytes, h->len};
	char *bytes;
	if (old == NULL)
		return string_set_raw(s->tenant, key, NULL, value, DEADLINE_NONE);
	int error = string_resize(s->tenant, key, old, h->len, (struct span){0, h->len}, &bytes);
	if (error != 0)
		return error;
	memcpy(bytes, h->bytes, h->len);
	keyspace_commit(s->tenant->shard);
	return 0;
}

/* Adds elements to `value`, a dense one, in place. It is no write if no register is raised. */
static enum outcome add_in_place(struct session *s, const struct request *r, const struct key *key, struct string *e,
				 struct slice value) {
	uint32_t i = 2;
	char *bytes;
	size_t work = 0;
	for (; i < r->argc && !hll_lacks_dense((const uint8_t *)value.data, r->argv[i]); i++)
		(void)fiber_check_every(&work, 1, CHECK_KEYS);
	if (i < r->argc) {
		int error = string_resize(s->tenant, key, e, HLL_DENSE_SIZE, (struct span){0, HLL_DENSE_SIZE}, &bytes);
		if (error < 0)
			return reply_store_error(s, error);
		uint64_t changes = 0;
		for (uint32_t k = i; k < r->argc; k++) {
			changes += hll_add_dense((uint8_t *)bytes, r->argv[k]);
			(void)fiber_check_every(&work, 1, CHECK_KEYS);
		}
		hll_forget((uint8_t *)bytes);
		keyspace_commit(s->tenant->shard);
		keyspace_event_also(s, NOTIFY_STRING, "pfadd", key);
		s->tenant->clients.changes += changes;
	}
	writer_integer(s->reply, i < r->argc);
	return OUTCOME_DONE;
}

enum outcome cmd_pfadd(struct session *s, const struct request *r) {
	struct key key;
	struct string *e;
	if (!request_string(s, r, 1, LOOKUP_WRITE, &key, &e))
		return OUTCOME_DONE;
	struct slice value;
	struct hll h;
	uint64_t changes = e == NULL;
	if (e == NULL) {
		hll_init(&h);
	} else {
		if (!take_hll(s, e, &value))
			return OUTCOME_DONE;
		if (hll_is_dense(value))
			return add_in_place(s, r, &key, e, value);
		if (hll_load(&h, value) != 0)
			return reply_damaged(s);
	}
	size_t work = 0;
	for (uint32_t i = 2; i < r->argc; i++) {
		(void)fiber_check_every(&work, 1, CHECK_KEYS);
		int raised = hll_add(&h, r->argv[i]);
		if (raised < 0)
			return reply_damaged(s);
		changes += (unsigned)raised;
	}
	if (changes != 0) {
		hll_forget(h.bytes);
		int error = store_hll(s, &key, e, &h);
		if (error < 0)
			return reply_store_error(s, error);
		keyspace_event_also(s, NOTIFY_STRING, "pfadd", &key);
		s->tenant->clients.changes += changes;
	}
	writer_integer(s->reply, changes != 0);
	return OUTCOME_DONE;
}

/* Merges the HyperLogLogs of the keys from argument 1 on. `*dense`: one of them was dense. False: an error was replied.
 */
static bool merge_keys(struct session *s, const struct request *r, uint8_t registers[HLL_REGISTERS], bool *dense) {
	*dense = false;
	for (uint32_t i = 1; i < r->argc; i++) {
		struct key key;
		struct string *e;
		if (!request_string(s, r, i, LOOKUP_READ, &key, &e))
			return false;
		struct slice value;
		(void)fiber_check();
		if (e == NULL)
			continue;
		if (!take_hll(s, e, &value))
			return false;
		*dense |= hll_is_dense(value);
		if (hll_merge(registers, value) != 0) {
			reply_damaged(s);
			return false;
		}
	}
	return true;
}

static enum outcome count_union(struct session *s, const struct request *r) {
	uint8_t registers[HLL_REGISTERS] = {0};
	bool ignored;
	if (merge_keys(s, r, registers, &ignored))
		writer_integer(s->reply, (int64_t)hll_count_registers(registers));
	return OUTCOME_DONE;
}

/* Writes an estimate to the header of the value, unless that takes memory: a read evicts nothing and is not refused. */
static void keep_count(struct session *s, const struct key *key, struct string *e, uint64_t count) {
	char *bytes;
	if (!string_patch(s->tenant, key, e, (struct span){HLL_CACHE_AT, HLL_CACHE_BYTES}, &bytes))
		return;
	hll_cache((uint8_t *)bytes, count);
	keyspace_commit(s->tenant->shard);
}

enum outcome cmd_pfcount(struct session *s, const struct request *r) {
	if (r->argc > 2)
		return count_union(s, r);
	struct key key;
	struct string *e;
	if (!request_string(s, r, 1, LOOKUP_READ, &key, &e))
		return OUTCOME_DONE;
	struct slice value;
	uint64_t count = 0;
	if (e != NULL) {
		if (!take_hll(s, e, &value))
			return OUTCOME_DONE;
		if (!hll_cached(value, &count)) {
			if (hll_count(value, &count) != 0)
				return reply_damaged(s);
			keep_count(s, &key, e, count);
		}
	}
	writer_integer(s->reply, (int64_t)count);
	return OUTCOME_DONE;
}

/* Registers between two check points. Those that are raised, in a sparse value, take longer. */
#define CHECK_REGISTERS 256

enum outcome cmd_pfmerge(struct session *s, const struct request *r) {
	uint8_t registers[HLL_REGISTERS] = {0};
	bool dense;
	if (!merge_keys(s, r, registers, &dense))
		return OUTCOME_DONE;
	struct key key;
	struct string *e;
	if (!request_string(s, r, 1, LOOKUP_WRITE, &key, &e))
		return OUTCOME_DONE;
	char text[STRING_TEXT];
	struct hll h;
	hll_init(&h);
	if ((e != NULL && hll_load(&h, string_value(e, text)) != 0) || (dense && hll_make_dense(&h) != 0))
		return reply_damaged(s);
	size_t work = 0;
	for (unsigned i = 0; i < HLL_REGISTERS; i++) {
		(void)fiber_check_every(&work, registers[i] != 0 ? CHECK_KEYS : 1, CHECK_REGISTERS);
		if (registers[i] != 0 && hll_raise(&h, i, registers[i]) < 0)
			return reply_damaged(s);
	}
	hll_forget(h.bytes);
	int error = store_hll(s, &key, e, &h);
	if (error == 0)
		keyspace_event(s, NOTIFY_STRING, "pfadd", &key);
	return reply_result(s, error);
}

/* Makes the value of a key dense and sets `*value` to it. `*changed`: it was sparse. False: an error was replied. */
static bool make_dense(struct session *s, const struct key *key, struct string *e, struct slice *value, bool *changed) {
	struct hll h;
	*changed = !hll_is_dense(*value);
	if (!*changed)
		return true;
	if (hll_load(&h, *value) != 0 || hll_make_dense(&h) != 0) {
		reply_damaged(s);
		return false;
	}
	int error = store_hll(s, key, e, &h);
	if (error < 0) {
		reply_store_error(s, error);
		return false;
	}
	s->tenant->clients.changes++;
	char text[STRING_TEXT];
	(void)string_find(s->tenant, key, LOOKUP_PEEK, &e);
	*value = string_value(e, text);
	return true;
}

static enum outcome reply_registers(struct session *s, struct slice value) {
	uint8_t registers[HLL_REGISTERS] = {0};
	if (hll_merge(registers, value) != 0)
		return reply_damaged(s);
	writer_array(s->reply, HLL_REGISTERS);
	for (unsigned i = 0; i < HLL_REGISTERS && !writer_drops(s->reply); i++)
		writer_integer(s->reply, registers[i]);
	return OUTCOME_DONE;
}

static enum outcome reply_decoded(struct session *s, struct slice value) {
	if (hll_is_dense(value))
		return reply_error(s, "ERR HLL encoding is not sparse");
	if (hll_decode(value, &s->env->scratch) != 0)
		return reply_store_error(s, ATOMDB_E_OOM);
	writer_bulk(s->reply, buffer_slice(&s->env->scratch));
	return OUTCOME_DONE;
}

enum outcome cmd_pfdebug(struct session *s, const struct request *r) {
	struct slice about = r->argv[1], value;
	struct key key;
	struct string *e;
	bool changed;
	if (!request_string(s, r, 2, LOOKUP_WRITE, &key, &e))
		return OUTCOME_DONE;
	if (e == NULL)
		return reply_error(s, "ERR The specified key does not exist");
	if (!take_hll(s, e, &value))
		return OUTCOME_DONE;
	if (slice_is(about, "GETREG"))
		return make_dense(s, &key, e, &value, &changed) ? reply_registers(s, value) : OUTCOME_DONE;
	if (slice_is(about, "DECODE"))
		return reply_decoded(s, value);
	if (slice_is(about, "ENCODING")) {
		writer_simple(s->reply, hll_is_dense(value) ? "dense" : "sparse");
	} else if (slice_is(about, "TODENSE")) {
		if (make_dense(s, &key, e, &value, &changed))
			writer_integer(s->reply, changed);
	} else {
		writer_errorf(s->reply, "ERR Unknown PFDEBUG subcommand '%.*s'", ECHO_TEXT(about, ECHO_LONG));
	}
	return OUTCOME_DONE;
}

enum outcome cmd_pfselftest(struct session *s, const struct request *r) {
	(void)r;
	const char *wrong = hll_self_test();
	if (wrong != NULL) {
		writer_errorf(s->reply, "TESTFAILED %s", wrong);
		return OUTCOME_DONE;
	}
	writer_ok(s->reply);
	return OUTCOME_DONE;
}
