/* Deserializes arbitrary bytes as the hand-over of a session and of the settings of its tenant. The result must be an
 * error, or a working session. No memory may leak. */
#include <stdint.h>
#include <string.h>

#include "atomdb/commands/table.h"
#include "atomdb/dispatch/dispatch.h"
#include "atomdb/dispatch/handover.h"
#include "atomdb/dispatch/modules.h"
#include "atomdb/events/events.h"
#include "atomdb/store/keyspace.h"
#include "atomdb/store/pin.h"
#include "atomdb/store/shard.h"
#include "atomdb/store/shard_open.h"
#include "atomdb/store/string.h"
#include "daemon/handover.h"
#include "daemon/handover_positional.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(condition)                   \
	do {                              \
		if (!(condition))         \
			__builtin_trap(); \
	} while (0)

#define MEMORY ((uint64_t)8 << 20)
/* A pinned value that leaves a few bytes of its block unused. */
#define LARGE (PIN_MIN + 4000)

static void describe(struct session *s, struct client_facts *facts) {
	(void)s;
	memset(facts, 0, sizeof(*facts));
}

static void close_session(struct session *s) {
	s->flags |= SESSION_CLOSING;
}

static void push(struct session *s, struct slice bytes) {
	(void)s, (void)bytes;
}

static void use(struct session *s) {
	static const struct slice exec[] = {SLICE("EXEC")};
	static const struct slice set[] = {SLICE("SET"), SLICE("a"), SLICE("1")};
	static const struct slice *const commands[] = {exec, set};
	static const uint32_t counts[] = {1, 3};
	struct buffer out;
	struct writer w;
	uint64_t ticks = clock_ticks();
	buffer_init(&out);
	writer_init(&w, &out, (size_t)1 << 30);
	w.protocol = s->protocol;
	s->reply = &w;
	for (unsigned i = 0; i < 2 && !(s->flags & SESSION_CLOSING); i++) {
		struct request r = {.argv = commands[i], .argc = counts[i]};
		dispatch_prepare(s, &r, 1);
		(void)dispatch_run(s, &r, &ticks);
	}
	for (struct tenant *t; (t = events_next_unsent(s->env)) != NULL;)
		events_send_unsent(t);
	buffer_deinit(&out);
}

/* Claims the pinned value at the position in `numbers`: an invalid one, or bytes of the existing one. */
static void claim(struct tenant *t, struct slice numbers) {
	static char value[LARGE];
	uint64_t n[4] = {0};
	if (numbers.len > 0)
		memcpy(n, numbers.data, numbers.len < sizeof(n) ? numbers.len : sizeof(n));
	struct key key = keyspace_key(t, keyspace_db_slot(t, 0), SLICE("large"));
	MUST(string_set(t, &key, NULL, (struct slice){value, LARGE}, DEADLINE_NONE) == 0);
	struct pin *one = pin_take(t, keyspace_find(t, &key, LOOKUP_PEEK));
	char text[STRING_TEXT];
	struct string *string;
	MUST(string_find(t, &key, LOOKUP_PEEK, &string) == 0);
	struct pin_place place = pin_place(one, string_value(string, text));
	if (n[0] % 2 != 0)
		place.block = (uint32_t)n[1];
	place.offset = n[2];
	place.length = n[3];
	struct slice bytes;
	struct pin *two = pin_claim(t, &place, &bytes);
	if (two != NULL) {
		volatile char sum = 0;
		MUST(two == one && bytes.len > 0 && bytes.len <= LARGE + 8192);
		for (size_t i = 0; i < bytes.len; i += 512)
			sum = (char)(sum + bytes.data[i]);
		sum = (char)(sum + bytes.data[bytes.len - 1]);
		pin_release(two);
	}
	keyspace_delete(t, &key, keyspace_find(t, &key, LOOKUP_PEEK));
	pin_release(one);
}

/* Converts arbitrary bytes as a state with a header, and as a state of an early release, which has none. */
static void convert(struct slice bytes) {
	struct buffer converted;
	struct slice record;
	buffer_init(&converted);
	(void)handover_open(bytes, &converted, &record);
	converted.len = 0;
	if (handover_from_positional(bytes, &converted) == 0)
		MUST(deserialize_record(buffer_slice(&converted), NULL, 0, NULL) == 0);
	buffer_deinit(&converted);
}

/* The input is a frame, or a record whose fields are records of these kinds. */
struct input {
	struct slice session, settings, identity, place;
};

static const struct field input_fields[] = {
	{"session", FIELD_BYTES, offsetof(struct input, session), SIZE_MAX, 0},
	{"settings", FIELD_BYTES, offsetof(struct input, settings), SIZE_MAX, 0},
	{"identity", FIELD_BYTES, offsetof(struct input, identity), SIZE_MAX, 0},
	{"place", FIELD_BYTES, offsetof(struct input, place), SIZE_MAX, 0},
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	static const struct session_host host = {.describe = describe, .close = close_session, .push = push};
	const struct tenants_config tenants_config = {.open = true, .defaults = {.max_memory = MEMORY}};
	struct environment env = {.host = &host,
				  .command_set = &command_set,
				  .modules = &dispatch_modules,
				  .now_ms = INT64_C(1700000000000),
				  .now_ns = 1};
	struct slice bytes = {(const char *)data, size};
	struct input in;
	struct shard *shard;
	struct tenant *t;
	struct session s;
	unsigned worker;
	convert(bytes);
	if (deserialize_record(bytes, input_fields, sizeof(input_fields) / sizeof(input_fields[0]), &in) != 0)
		return 0;
	MUST(shard_new(&shard, &(struct shard_options){.id = 0}) == 0);
	MUST(registry_new(&env.registry, &shard, 1, &tenants_config, NULL, NULL) == 0);
	MUST(registry_authenticate(env.registry, SLICE("default"), SLICE("one"), &t, &worker) == 0);
	shard_set_now(shard, env.now_ms, env.now_ns);
	session_init(&s, &env, 1);
	MUST(session_attach(&s, t) == 0);
	claim(t, in.place);
	if (session_deserialize(&s, in.session) == 0) {
		if (session_link(&s))
			session_count_feed(&s, &env);
		(void)tenant_deserialize(t, &env, in.settings);
		use(&s);
	}
	struct tenant_identity identity;
	(void)tenant_deserialize_identity(in.identity, &identity);
	session_deinit(&s);
	registry_free(env.registry);
	shard_free(shard);
	buffer_deinit(&env.scratch);
	return 0;
}
