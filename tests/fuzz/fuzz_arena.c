/* Overwrites parts of the arena of a small shard with arbitrary bytes. Adopting it must fail, or give a working shard.
 * Input: one byte (shard saved or not), then patches of position (4 bytes), length and bytes. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "atomdb/store/compact.h"
#include "atomdb/store/drop.h"
#include "atomdb/store/keyspace.h"
#include "atomdb/store/shard.h"
#include "atomdb/store/shard_open.h"
#include "atomdb/store/shard_tenants.h"
#include "atomdb/store/string.h"
#include "atomdb/store/tenant.h"
#include "store/arena/pages.h"
#include "store/keyspace/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(condition)                   \
	do {                              \
		if (!(condition))         \
			__builtin_trap(); \
	} while (0)
#define NOW 1700000000000

static void work(struct tenant *t) {
	for (unsigned i = 0; i < 40; i++) {
		char name[2] = {(char)('a' + i % 20), 0};
		struct key key = keyspace_key(t, keyspace_db_slot(t, i % 3), slice_of(name));
		struct entry *e = keyspace_find(t, &key, LOOKUP_WRITE);
		static char value[30000];
		size_t len = i % 7 == 0 ? sizeof value : 10 + i;
		int64_t deadline = i % 4 == 0 ? NOW + 1000 * (int64_t)i + 1 : DEADLINE_NONE;
		MUST(string_set(t, &key, e, (struct slice){value, len}, deadline) == 0);
	}
}

static void patch(int fd, const uint8_t *data, size_t size) {
	static const size_t descriptors = (size_t)HEADER_PAGES * ARENA_PAGE;

	while (size > 5) {
		uint32_t place;
		memcpy(&place, data, sizeof place);
		size_t len = 1 + data[4] % 64;
		len = len < size - 5 ? len : size - 5;
		/* Hit the parts in use. */
		off_t at = place % 4 == 0 ? (off_t)(place / 4 % sizeof(struct header))
			   : place % 4 == 1
				   ? (off_t)(descriptors + FIRST_PAGE / SLAB_PAGES * 16 + place / 4 % 512)
				   : (off_t)FIRST_PAGE * ARENA_PAGE + place / 4 % (64 * SLAB_PAGES * ARENA_PAGE);
		MUST(pwrite(fd, data + 5, len, at) == (ssize_t)len);
		data += 5 + len;
		size -= 5 + len;
	}
}

struct adopted {
	struct shard *shard;
	struct tenant tenants[4];
	unsigned count;
};

static void adopt(void *context, uint32_t slot, const struct tenant_identity *identity) {
	struct adopted *m = context;
	(void)identity;
	if (m->count == 4)
		return;
	tenant_init(&m->tenants[m->count], m->shard, &(struct tenant_limits){0});
	shard_adopt_tenant(m->shard, slot, &m->tenants[m->count++]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	struct shard *s;
	struct tenant t;
	if (size == 0)
		return 0;
	MUST(shard_new(&s, &(struct shard_options){0}) == 0);
	shard_set_now(s, NOW, 1);
	tenant_init(&t, s, &(struct tenant_limits){0});
	MUST(shard_open_tenant(s, &t) == 0);
	work(&t);
	if (data[0] & 2)
		keyspace_flush(&t, 1);
	int fd = dup(shard_fd(s));
	if (data[0] & 1)
		MUST(shard_save(s) == 0);
	shard_free(s);
	patch(fd, data + 1, size - 1);
	if (shard_new(&s, &(struct shard_options){.fd = fd, .now_ms = NOW}) != 0) {
		close(fd);
		return 0;
	}
	shard_set_now(s, NOW + 5000, 1);
	struct adopted m = {.shard = s};
	shard_each_tenant(s, adopt, &m);
	for (unsigned i = 0; i < m.count; i++)
		work(&m.tenants[i]);
	/* Relocates the surviving entries. */
	shard_purge(s);
	for (unsigned i = 0; i < 100 && shard_work(s, 100); i++) {
	}
	for (unsigned i = 0; i < m.count; i++)
		shard_close_tenant(s, &m.tenants[i]);
	while (m.count == 1 && shard_work(s, 1000)) {
	}
	shard_free(s);
	return 0;
}
