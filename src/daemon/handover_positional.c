/* The state in version 2. A number has 8 bytes. A run is a length and that many bytes. A 0 (absent) or 1 (present)
 * precedes an optional part:
 *
 *   state:       next client's id | run of tenants, each a run | run of clients, each a run
 *   tenant:      identity | classes of events | end of the pause, whether it is for all | settings
 *   identity:    run: digest | run: name
 *   client:      [identity] | session | flags | run: input | run: output | id, if any | place of the pinned value, if
 * any session:     id | times | flags | database | protocol | 4 runs: names | [peer] peer:        [tracking] | 6
 * counted lists of topics: database, run | [transaction: counted list of counted lists]
 *
 * Flags have the numbers of that version. */
#include "daemon/handover_positional.h"

#include <string.h>

#include "atomdb/util/error.h"

/* After a failure every number reads as 0 and every run as empty. */
struct reader {
	struct slice rest;
	bool failed;
	struct serializer *out;
};

static struct slice take(struct reader *r, uint64_t n) {
	struct slice taken = {"", 0};
	if (r->failed || n > r->rest.len) {
		r->failed = true;
		return taken;
	}
	taken = (struct slice){r->rest.data, (size_t)n};
	r->rest.data += n;
	r->rest.len -= (size_t)n;
	return taken;
}

static uint64_t number(struct reader *r) {
	uint64_t value = 0;
	struct slice bytes = take(r, sizeof(value));
	if (!r->failed)
		memcpy(&value, bytes.data, sizeof(value));
	return value;
}

static struct slice run(struct reader *r) {
	return take(r, number(r));
}

/* Reads whether an optional part is present. */
static bool follows(struct reader *r) {
	uint64_t value = number(r);
	r->failed |= value > 1;
	return !r->failed && value == 1;
}

/* --- fields ----------------------------------------------------------------------------------------------------- */

static void copy_number(struct reader *r, const char *name) {
	serialize_number(r->out, name, number(r));
}

static void copy_run(struct reader *r, const char *name) {
	struct slice bytes = run(r);
	if (bytes.len > 0)
		serialize_bytes(r->out, name, bytes);
}

static void put_flag(struct reader *r, const char *name, bool on) {
	if (on)
		serialize_bytes(r->out, name, (struct slice){"", 0});
}

/* Names of the bits, from the lowest one. NULL: other fields imply the bit. */
static void put_flags(struct reader *r, uint64_t flags, const char *const *names, size_t count) {
	for (size_t i = 0; i < count; i++)
		put_flag(r, names[i], names[i] != NULL && (flags >> i & 1) != 0);
}

#define COUNT(names) (sizeof(names) / sizeof((names)[0]))

/* --- records ---------------------------------------------------------------------------------------------------- */

static void copy_identity(struct reader *r, const char *name) {
	size_t begin = serialize_begin(r->out, name);
	copy_run(r, "digest");
	copy_run(r, "name");
	serialize_end(r->out, begin);
}

static void copy_settings(struct reader *r) {
	static const char *const classes[] = {"notify_K", "notify_E", "notify_g", "notify_$", "notify_l",
					      "notify_s", "notify_h", "notify_z", "notify_x", "notify_e",
					      "notify_t", "notify_d", "notify_m", "notify_n"};
	size_t begin = serialize_begin(r->out, "settings");
	put_flags(r, number(r), classes, COUNT(classes));
	copy_number(r, "pause_end_ms");
	put_flag(r, "pause_all", follows(r));
	put_flag(r, "noted", follows(r));
	copy_number(r, "slow_us");
	copy_number(r, "slow_max");
	copy_number(r, "latency_ms");
	put_flag(r, "tracking", follows(r));
	serialize_end(r->out, begin);
}

static void copy_tracking(struct reader *r) {
	static const char *const options[] = {"bcast", "optin", "optout", "noloop", "caching", "broken"};
	size_t begin = serialize_begin(r->out, "tracking");
	put_flags(r, number(r), options, COUNT(options));
	copy_number(r, "redirect_id");
	put_flag(r, "redirected", follows(r));
	serialize_end(r->out, begin);
}

static void copy_topics(struct reader *r, const char *name) {
	size_t begin = serialize_begin(r->out, name);
	for (uint64_t count = number(r); count > 0 && !r->failed; count--) {
		size_t topic = serialize_begin(r->out, SERIALIZE_ELEMENT);
		copy_number(r, "database");
		serialize_bytes(r->out, "name", run(r));
		serialize_end(r->out, topic);
	}
	serialize_end(r->out, begin);
}

static void copy_transaction(struct reader *r) {
	size_t begin = serialize_begin(r->out, "transaction");
	for (uint64_t commands = number(r); commands > 0 && !r->failed; commands--) {
		size_t command = serialize_begin(r->out, SERIALIZE_ELEMENT);
		for (uint64_t arguments = number(r); arguments > 0 && !r->failed; arguments--)
			serialize_bytes(r->out, SERIALIZE_ELEMENT, run(r));
		serialize_end(r->out, command);
	}
	serialize_end(r->out, begin);
}

static void copy_peer(struct reader *r) {
	static const char *const kinds[] = {"channels", "shard_channels", "patterns", "watched", "tracked", "prefixes"};
	if (follows(r))
		copy_tracking(r);
	size_t begin = serialize_begin(r->out, "memberships");
	for (size_t kind = 0; kind < COUNT(kinds); kind++)
		copy_topics(r, kinds[kind]);
	serialize_end(r->out, begin);
	if (follows(r))
		copy_transaction(r);
}

/* Returns the id among all clients. */
static uint64_t copy_session_fields(struct reader *r) {
	static const char *const flags[21] = {
		[0] = "no_evict",   [1] = "no_touch",   [2] = "reply_off",   [4] = "reply_skip_next",
		[5] = "reply_skip", [8] = "dirty_keys", [9] = "dirty_queue", [10] = "subscribed",
		[13] = "monitor",   [20] = "named",
	};
	uint64_t id = number(r);
	serialize_number(r->out, "global_id", id);
	copy_number(r, "created_ms");
	copy_number(r, "last_ms");
	put_flags(r, number(r), flags, COUNT(flags));
	copy_number(r, "database");
	copy_number(r, "protocol");
	copy_run(r, "name");
	copy_run(r, "lib_name");
	copy_run(r, "lib_version");
	copy_run(r, "last_command");
	if (follows(r))
		copy_peer(r);
	return id;
}

static void copy_lent(struct reader *r) {
	size_t begin = serialize_begin(r->out, "!lent");
	copy_number(r, "at");
	copy_number(r, "block");
	copy_number(r, "offset");
	copy_number(r, "length");
	serialize_end(r->out, begin);
}

static void copy_connection(struct reader *r, bool has_tenant) {
	static const char *const names[] = {[0] = "member", [1] = "greeted", [4] = "finished", [5] = "ended"};
	static const uint64_t pinned = 1 << 8, known = 1 << 0 | 1 << 1 | 1 << 4 | 1 << 5 | 1 << 8;
	size_t session = serialize_begin(r->out, "session");
	uint64_t id = copy_session_fields(r), flags = number(r);
	struct slice input = run(r), output = run(r);
	/* The first releases of this version had only ids among all clients. */
	if (r->rest.len > 0)
		id = number(r);
	if (has_tenant)
		serialize_number(r->out, "id", id);
	serialize_end(r->out, session);
	put_flags(r, flags, names, COUNT(names));
	serialize_bytes(r->out, "input", input);
	serialize_bytes(r->out, "output", output);
	if ((flags & pinned) != 0)
		copy_lent(r);
	r->failed |= (flags & ~known) != 0;
}

static int copy_client(struct slice bytes, struct serializer *out) {
	struct reader r = {.rest = bytes, .out = out};
	size_t begin = serialize_begin(out, SERIALIZE_ELEMENT);
	bool has_tenant = follows(&r);
	if (has_tenant)
		copy_identity(&r, "tenant");
	copy_connection(&r, has_tenant);
	serialize_end(out, begin);
	return r.failed ? ATOMDB_E_FORMAT : 0;
}

static int copy_tenant(struct slice bytes, struct serializer *out) {
	struct reader r = {.rest = bytes, .out = out};
	size_t begin = serialize_begin(out, SERIALIZE_ELEMENT);
	copy_identity(&r, "identity");
	copy_settings(&r);
	serialize_end(out, begin);
	return r.failed ? ATOMDB_E_FORMAT : 0;
}

static int copy_list(struct slice bytes, const char *name, int (*copy)(struct slice bytes, struct serializer *out),
		     struct serializer *out) {
	struct reader r = {.rest = bytes};
	size_t begin = serialize_begin(out, name);
	int error = 0;
	while (r.rest.len > 0 && error == 0) {
		struct slice element = run(&r);
		error = r.failed ? ATOMDB_E_FORMAT : copy(element, out);
	}
	serialize_end(out, begin);
	return error;
}

int handover_from_positional(struct slice bytes, struct buffer *record) {
	struct serializer out = {.out = record};
	struct reader r = {.rest = bytes, .out = &out};
	copy_number(&r, "next_client_id");
	struct slice tenants = run(&r), clients = run(&r);
	int error = r.failed ? ATOMDB_E_FORMAT : copy_list(tenants, "tenants", copy_tenant, &out);
	if (error == 0)
		error = copy_list(clients, "clients", copy_client, &out);
	return error != 0 ? error : out.error;
}
