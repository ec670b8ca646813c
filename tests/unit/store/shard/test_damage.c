/* Adoption of a damaged arena, saved or not. No input may crash it, keys keep their own values, and undamaged entries
 * stay. Every value follows from its key. Recovery always finds a damaged byte of an entry. Of larger damage the check
 * of an entry misses 1 in 256. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "atomdb/store/drop.h"
#include "atomdb/store/keyspace.h"
#include "atomdb/store/shard.h"
#include "atomdb/store/shard_open.h"
#include "atomdb/store/shard_tenants.h"
#include "atomdb/store/string.h"
#include "atomdb/store/tenant.h"
#include "atomdb/util/error.h"
#include "harness.h"
#include "store/arena/pages.h"
#include "store/as_string.h"
#include "store/keyspace/evict.h"
#include "store/keyspace/record.h"
#include "store/random.h"

#define KEYS 2000

static struct shard *shard;
static struct tenant tenant;
static uint64_t random_state;

static uint64_t draw(uint64_t below) {
	return random_next(&random_state) % below;
}

static struct key key_of(unsigned number) {
	static char name[400];
	int len = snprintf(name, sizeof name, "key:%0*u", number % 50 == 0 ? 300 : 1, number);
	return keyspace_key(&tenant, keyspace_db_slot(&tenant, number % 3), (struct slice){name, (size_t)len});
}

static size_t value_of(unsigned number, char *value) {
	size_t len = number % 100 == 7 ? 20000 + number : 20 + number % 90;
	memset(value, (int)('a' + number % 26), len);
	return len;
}

static void fill(bool dropping) {
	static char value[32768];
	assert_int_equal(shard_new(&shard, &(struct shard_options){0}), 0);
	shard_set_now(shard, 1700000000000, 1);
	tenant_init(&tenant, shard, &(struct tenant_limits){0});
	static const struct tenant_identity identity = {.digest = {1}};
	atomic_store(&tenant.identity, &identity);
	assert_int_equal(shard_open_tenant(shard, &tenant), 0);
	for (unsigned pass = 0; pass < 1 + (unsigned)dropping; pass++) {
		if (pass != 0)
			keyspace_flush(&tenant, TENANT_DATABASES);
		for (unsigned i = 0; i < KEYS; i++) {
			struct key key = key_of(i);
			struct slice v = {value, value_of(i, value)};
			int64_t deadline = i % 4 == 0 ? 1800000000000 : DEADLINE_NONE;
			assert_int_equal(string_set(&tenant, &key, NULL, v, deadline), 0);
		}
	}
}

static void damage(int fd, uint64_t end) {
	char bytes[4096], other[4096];
	/* Most of the bytes in use: the header, the descriptors in use, the first pages. */
	static const uint64_t descriptors = (uint64_t)HEADER_PAGES * ARENA_PAGE + FIRST_PAGE / SLAB_PAGES * 16;
	uint64_t pages = (uint64_t)FIRST_PAGE * ARENA_PAGE, used = draw(2) ? 700000 : 1200000;
	uint64_t at = draw(12) == 0  ? draw(sizeof(struct header))
		      : draw(5) == 0 ? descriptors + draw(64) * 16 + draw(16)
				     : pages + draw(used);
	size_t len = draw(2) ? 1 : 1 + draw(sizeof bytes);
	uint64_t from = pages + draw(used);
	switch (draw(4)) {
	case 0:
		memset(bytes, 0, sizeof bytes);
		break;
	case 1:
		for (size_t i = 0; i < len; i++)
			bytes[i] = (char)draw(256);
		break;
	case 2: /* swaps two parts */
		at = pages + draw(used);
		if (draw(2))
			at &= ~(uint64_t)4095, from &= ~(uint64_t)4095, len = 4096;
		assert_int_equal(pread(fd, bytes, len, (off_t)from), len);
		assert_int_equal(pread(fd, other, len, (off_t)at), len);
		assert_int_equal(pwrite(fd, other, len, (off_t)from), len);
		break;
	default:
		assert_int_equal(pread(fd, bytes, len, (off_t)at), len);
		bytes[draw(len)] ^= (char)(1 << draw(8));
	}
	assert_int_equal(pwrite(fd, bytes, len, (off_t)at), len);
	if (draw(20) == 0)
		assert_int_equal(ftruncate(fd, (off_t)draw(draw(2) ? end : pages + used)), 0);
}

static void adopt(void *context, uint32_t slot, const struct tenant_identity *identity) {
	bool *found = context;
	if (identity->digest[0] != 1 || *found)
		return;
	shard_adopt_tenant(shard, slot, &tenant);
	*found = true;
}

/* Counts the right and the wrong values. */
static unsigned check_values(unsigned *wrong) {
	static char value[32768];
	char text[STRING_TEXT];
	unsigned there = 0;
	for (unsigned i = 0; i < KEYS; i++) {
		struct key key = key_of(i);
		const struct entry *e = keyspace_find(&tenant, &key, LOOKUP_READ);
		if (e == NULL)
			continue;
		struct slice v = string_value(as_string(e), text);
		if (v.len == value_of(i, value) && memcmp(v.data, value, v.len) == 0)
			there++;
		else
			++*wrong;
	}
	return there;
}

/* All operations still work on the remaining entries. */
static void use(void) {
	for (unsigned i = 0; i < KEYS; i += 3) {
		struct key key = key_of(i);
		struct entry *e = keyspace_find(&tenant, &key, LOOKUP_WRITE);
		if (e != NULL && i % 2 == 0)
			keyspace_delete(&tenant, &key, e);
		else
			assert_int_equal(string_set(&tenant, &key, e, SLICE("something new"), DEADLINE_NONE), 0);
	}
	while (evict_oldest(&tenant, 0)) {
	}
	while (shard_work(shard, 1000)) {
	}
}

struct outcome {
	unsigned refused, intact, dropped, wrong;
};

static void round_of(struct outcome *o) {
	bool saved = draw(2), found = false;
	fill(draw(4) == 0);
	int fd = dup(shard_fd(shard));
	uint64_t end = (uint64_t)lseek(fd, 0, SEEK_END);
	if (saved)
		assert_int_equal(shard_save(shard), 0);
	shard_free(shard);
	bool touched = draw(10) != 0;
	for (uint64_t i = touched ? 1 + draw(6) : 0; i > 0; i--) {
		damage(fd, end);
		if ((uint64_t)lseek(fd, 0, SEEK_END) < end)
			break;
	}
	int error = shard_new(&shard, &(struct shard_options){.fd = fd, .now_ms = 1700000000000});
	if (error != 0) {
		assert_true(touched);
		assert_true(error == ATOMDB_E_FORMAT || error == ATOMDB_E_VERSION || error == ATOMDB_E_CHECKSUM ||
			    error == ATOMDB_E_TRUNCATED || error == ATOMDB_E_SEED);
		o->refused++;
		close(fd);
		return;
	}
	assert_int_equal(shard_recovery(shard)->kind == RECOVERY_CLEAN, saved && !touched);
	shard_set_now(shard, 1700000000000, 1);
	tenant_init(&tenant, shard, &(struct tenant_limits){0});
	shard_each_tenant(shard, adopt, &found);
	if (found) {
		unsigned there = check_values(&o->wrong);
		o->intact += there;
		o->dropped += (unsigned)shard_recovery(shard)->dropped;
		if (!touched)
			assert_int_equal(there, KEYS);
		use();
	}
	shard_free(shard);
}

static void test_damage_never_crashes_and_spares_other_keys(void **state) {
	(void)state;
	const char *given = getenv("ATOMDB_TEST_ROUNDS");
	unsigned rounds = given != NULL ? (unsigned)strtoul(given, NULL, 10) : 150;
	struct outcome o = {0};
	random_state = random_seed();
	for (unsigned i = 0; i < rounds; i++)
		round_of(&o);
	printf("%u refused, %u%% of the keys there, %u dropped, %u wrong\n", o.refused,
	       o.intact / (rounds * KEYS / 100), o.dropped, o.wrong);
	assert_true(o.refused < rounds / 2);
	assert_true(o.intact > rounds * KEYS / 2);
	assert_true(o.wrong <= 5 + o.dropped / 64);
}

/* Changes one byte of each of that many entries. Recovery drops these entries and keeps all others. */
#define HITS 100
static void flip_round(bool saved) {
	static bool hit[KEYS];
	memset(hit, 0, sizeof hit);
	fill(false);
	int fd = dup(shard_fd(shard));
	off_t at[HITS];
	for (unsigned i = 0; i < HITS; i++) {
		unsigned number = (unsigned)draw(KEYS);
		struct key key = key_of(number);
		const struct entry *e = keyspace_find(&tenant, &key, LOOKUP_PEEK);
		assert_non_null(e);
		struct slice name = entry_key(e), stored = entry_stored(e);
		if (hit[number] || draw(7) == 0) {
			i--;
			continue;
		}
		hit[number] = true;
		const char *byte = draw(3) == 0 ? name.data + draw(name.len) : stored.data + draw(stored.len);
		at[i] = (off_t)(byte - (const char *)arena_at(shard->arena, 0));
	}
	if (saved)
		assert_int_equal(shard_save(shard), 0);
	shard_free(shard);
	for (unsigned i = 0; i < HITS; i++) {
		unsigned char byte;
		assert_int_equal(pread(fd, &byte, 1, at[i]), 1);
		byte ^= (unsigned char)(1 + draw(255));
		assert_int_equal(pwrite(fd, &byte, 1, at[i]), 1);
	}
	bool found = false;
	assert_int_equal(shard_new(&shard, &(struct shard_options){.fd = fd, .now_ms = 1700000000000}), 0);
	assert_int_equal(shard_recovery(shard)->dropped, HITS);
	assert_int_equal(shard_recovery(shard)->entries, KEYS - HITS);
	tenant_init(&tenant, shard, &(struct tenant_limits){0});
	shard_each_tenant(shard, adopt, &found);
	unsigned wrong = 0;
	assert_int_equal(check_values(&wrong), KEYS - HITS);
	assert_int_equal(wrong, 0);
	for (unsigned i = 0; i < KEYS; i++) {
		struct key key = key_of(i);
		assert_true((keyspace_find(&tenant, &key, LOOKUP_PEEK) == NULL) == hit[i]);
	}
	use();
	shard_free(shard);
}

static void test_a_changed_byte_drops_its_entry_only(void **state) {
	(void)state;
	random_state = random_seed();
	for (unsigned i = 0; i < 30; i++)
		flip_round(i % 2);
}

static int new_from(int fd) {
	return shard_new(&shard, &(struct shard_options){.fd = fd});
}

/* Each refused memfd is refused with the right error, and unchanged. */
static void test_a_memfd_that_is_no_arena_is_refused_with_its_reason(void **state) {
	(void)state;
	int fd = memfd_create("test", MFD_CLOEXEC);
	assert_int_equal(new_from(fd), ATOMDB_E_FORMAT);
	assert_int_equal(ftruncate(fd, 4), 0);
	assert_int_equal(new_from(fd), ATOMDB_E_TRUNCATED);
	assert_int_equal(ftruncate(fd, 8192), 0);
	assert_int_equal(new_from(fd), ATOMDB_E_FORMAT);
	close(fd);
	fill(false);
	fd = dup(shard_fd(shard));
	struct header h;
	struct hash_seed seed;
	off_t seed_at = (char *)&shard->root->seed - (char *)arena_at(shard->arena, 0);
	assert_int_equal(shard_save(shard), 0);
	shard_free(shard);
	assert_int_equal(pread(fd, &h, sizeof h, 0), sizeof h);
	struct header changed = h;
	changed.version++;
	assert_int_equal(pwrite(fd, &changed, sizeof h, 0), sizeof h);
	assert_int_equal(new_from(fd), ATOMDB_E_VERSION);
	changed = h;
	changed.root++;
	assert_int_equal(pwrite(fd, &changed, sizeof h, 0), sizeof h);
	assert_int_equal(new_from(fd), ATOMDB_E_CHECKSUM);
	assert_int_equal(pwrite(fd, &h, sizeof h, 0), sizeof h);
	assert_int_equal(pread(fd, &seed, sizeof seed, seed_at), sizeof seed);
	seed.k0++;
	assert_int_equal(pwrite(fd, &seed, sizeof seed, seed_at), sizeof seed);
	assert_int_equal(new_from(fd), ATOMDB_E_SEED);
	seed.k0--;
	assert_int_equal(pwrite(fd, &seed, sizeof seed, seed_at), sizeof seed);
	/* If the damage is repaired, the shard is rebuilt with all keys: it is no longer clean. */
	bool found = false;
	assert_int_equal(new_from(fd), 0);
	assert_int_equal(shard_recovery(shard)->kind, RECOVERY_CRASHED);
	assert_int_equal(shard_recovery(shard)->entries, KEYS);
	tenant_init(&tenant, shard, &(struct tenant_limits){0});
	shard_each_tenant(shard, adopt, &found);
	unsigned wrong = 0;
	assert_int_equal(check_values(&wrong), KEYS);
	assert_int_equal(wrong, 0);
	shard_free(shard);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_damage_never_crashes_and_spares_other_keys),
		cmocka_unit_test(test_a_changed_byte_drops_its_entry_only),
		cmocka_unit_test(test_a_memfd_that_is_no_arena_is_refused_with_its_reason),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
