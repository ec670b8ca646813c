/* Subcommands of DEBUG about keys: digests, which equal Redis's so that two servers can be compared, and details of
 * single keys.
 *
 * To add data to a digest, xor it with the SHA-1 of the data. To mix data in, take the SHA-1 of the result too, so that
 * the order counts. The digest of a key has its name, type and value mixed in, and an expiry mark added. The digest of
 * a database is the sum of its keys' digests, in any order. */
#include "commands/server/debug_keys.h"

#include <stdio.h>

#include "atomdb/store/tenant.h"
#include "atomdb/store/value_type.h"
#include "atomdb/store/walk.h"
#include "atomdb/util/digest.h"
#include "atomdb/util/error.h"

#define HEX (2 * SHA1_BYTES + 1)

static void mix_value(const struct tenant *t, struct digest *d, const struct entry *e) {
	const struct value_type *type = value_type_of(t, e);
	digest_mix_number(d, type->number);
	type->digest(t, e, d);
	if (keyspace_deadline(e) != 0)
		digest_add(d, SLICE("!!expire!!"));
}

/* The digest of all keys of a tenant. */
struct whole {
	const struct tenant *tenant;
	struct digest digest;
};

static void add_key(void *context, const struct entry *e) {
	struct whole *all = context;
	struct digest key = {{0}};
	(void)fiber_check();
	digest_mix(&key, keyspace_name(e));
	mix_value(all->tenant, &key, e);
	digest_add(&all->digest, digest_bytes(&key));
}

static void reply_digest(struct session *s, const struct digest *d) {
	char text[HEX];
	for (unsigned i = 0; i < SHA1_BYTES; i++)
		snprintf(text + (size_t)2 * i, 3, "%02x", d->bytes[i]);
	writer_simple(s->reply, text);
}

enum outcome debug_digest(struct session *s, const struct request *r) {
	struct whole all = {.tenant = s->tenant};
	(void)r;
	for (unsigned i = 0; i < TENANT_DATABASES; i++) {
		uint64_t keys, cursor = 0;
		if (keyspace_size(s->tenant, i, &keys, NULL) == ATOMDB_E_AGAIN)
			return OUTCOME_RETRY;
		if (keys == 0)
			continue;
		digest_mix_number(&all.digest, i);
		do {
			cursor = keyspace_scan(s->tenant, i, cursor, add_key, &all);
		} while (cursor != 0 && !fiber_check());
	}
	reply_digest(s, &all.digest);
	return OUTCOME_DONE;
}

enum outcome debug_digest_value(struct session *s, const struct request *r) {
	writer_array(s->reply, r->argc - 2);
	for (uint32_t i = 2; i < r->argc && !writer_drops(s->reply); i++) {
		struct digest value = {{0}};
		(void)fiber_check();
		struct key key = request_key(s, r, i);
		const struct entry *e = keyspace_find(s->tenant, &key, LOOKUP_PEEK);
		if (e != NULL)
			mix_value(s->tenant, &value, e);
		reply_digest(s, &value);
	}
	return OUTCOME_DONE;
}

static const struct entry *find(struct session *s, const struct request *r) {
	struct key key = request_key(s, r, 2);
	const struct entry *e = keyspace_find(s->tenant, &key, LOOKUP_PEEK);
	if (e == NULL)
		writer_error(s->reply, "ERR no such key");
	return e;
}

enum outcome debug_htstats(struct session *s, const struct request *r) {
	int64_t database;
	uint64_t keys, expiring, all, table;
	char text[256];
	if (!request_integer(s, r->argv[2], &database))
		return OUTCOME_DONE;
	if (database < 0 || database >= TENANT_DATABASES)
		return reply_error(s, "ERR Out of range database");
	if (keyspace_size(s->tenant, (unsigned)database, &keys, &expiring) == ATOMDB_E_AGAIN)
		return OUTCOME_RETRY;
	tenant_database_bytes(s->tenant, (unsigned)database, &all, &table);
	/* One table holds all keys, those with a TTL included. */
	snprintf(text, sizeof(text),
		 "[Dictionary HT]\n table size in bytes: %llu\n number of elements: %llu\n[Expires HT]\n number of "
		 "elements: %llu\n",
		 (unsigned long long)table, (unsigned long long)keys, (unsigned long long)expiring);
	writer_verbatim(s->reply, "txt", slice_of(text));
	return OUTCOME_DONE;
}

enum outcome debug_htstats_key(struct session *s, const struct request *r) {
	if (find(s, r) == NULL)
		return OUTCOME_DONE;
	return reply_error(s, "ERR The value stored at the specified key is not represented using an hash table");
}

enum outcome debug_not_encoded(struct session *s, const struct request *r) {
	if (find(s, r) == NULL)
		return OUTCOME_DONE;
	return reply_error(s, slice_is(r->argv[1], "LISTPACK") ? "ERR Not a listpack encoded object."
							       : "ERR Not a quicklist encoded object.");
}

enum outcome debug_sdslen(struct session *s, const struct request *r) {
	const struct entry *e = find(s, r);
	struct key key = request_key(s, r, 2);
	struct string *string;
	char text[STRING_TEXT], line[192];
	if (e == NULL)
		return OUTCOME_DONE;
	if (string_find(s->tenant, &key, LOOKUP_PEEK, &string) != 0 ||
	    slice_is(slice_of(value_type_of(s->tenant, e)->encoding(e)), "int"))
		return reply_error(s, "ERR Not an sds encoded string.");
	/* Name and value are in one block without spare room: the rest of the block is the value. */
	size_t name = keyspace_name(e).len;
	snprintf(line, sizeof(line),
		 "key_sds_len:%zu, key_sds_avail:0, key_zmalloc: %zu, val_sds_len:%zu, val_sds_avail:0, val_zmalloc: "
		 "%zu",
		 name, name, string_value(string, text).len, keyspace_memory(s->tenant, e) - name);
	writer_simple(s->reply, line);
	return OUTCOME_DONE;
}
