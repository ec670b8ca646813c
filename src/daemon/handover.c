#include "daemon/handover.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "atomdb/command/handover.h"
#include "atomdb/net/handover.h"
#include "atomdb/util/crc64.h"
#include "atomdb/util/error.h"
#include "daemon/carrier.h"
#include "daemon/daemon_private.h"
#include "daemon/fdstore.h"

#define MAGIC UINT64_C(0x6572507441744441)

/* --- the frame -------------------------------------------------------------------------------------------------- */

void handover_begin(struct pack *p) {
	pack_number(p, MAGIC);
	pack_number(p, ATOMDB_HANDOVER_VERSION);
	pack_number(p, 0);
	pack_number(p, 0);
}

void handover_end(struct pack *p) {
	if (p->error != 0)
		return;
	struct slice body = {p->out->data + HANDOVER_HEADER, p->out->len - HANDOVER_HEADER};
	uint64_t length = body.len, crc = crc64(0, body);
	memcpy(p->out->data + 2 * sizeof(uint64_t), &length, sizeof(length));
	memcpy(p->out->data + 3 * sizeof(uint64_t), &crc, sizeof(crc));
}

int handover_open(struct slice bytes, struct unpack *body) {
	struct unpack u = {.rest = bytes};
	uint64_t magic = unpack_number(&u), version = unpack_number(&u);
	uint64_t length = unpack_number(&u), crc = unpack_number(&u);
	if (u.failed || magic != MAGIC)
		return ATOMDB_E_FORMAT;
	if (version != ATOMDB_HANDOVER_VERSION)
		return ATOMDB_E_VERSION;
	if (length != u.rest.len)
		return ATOMDB_E_TRUNCATED;
	if (crc64(0, u.rest) != crc)
		return ATOMDB_E_CHECKSUM;
	*body = u;
	return 0;
}

/* --- leaving ---------------------------------------------------------------------------------------------------- */

/* The kernel takes at most so much at a time, so that the hand-over shows that it advances. */
#define WRITE_BYTES ((size_t)64 << 20)

struct tenants {
	struct pack *pack;
	uint64_t count;
};

static void pack_tenant(void *context, const struct tenant *t) {
	struct tenants *all = context;
	if (!tenant_is_set(t) || t->removed)
		return;
	size_t begin = pack_begin(all->pack);
	tenant_pack_identity(t, all->pack);
	tenant_pack(t, all->pack);
	pack_end(all->pack, begin);
	all->count++;
}

/* Writes all down; how many clients. */
static size_t pack_all(struct daemon *d, struct pack *p, struct buffer *sockets) {
	struct tenants tenants = {.pack = p};
	size_t clients = 0;
	for (unsigned i = 0; i < d->worker_count; i++)
		worker_take_arrivals(d->workers[i]);
	handover_begin(p);
	pack_number(p, atomic_load(&d->shared.next_client_id));
	size_t begin = pack_begin(p);
	registry_each(d->registry, pack_tenant, &tenants);
	pack_end(p, begin);
	begin = pack_begin(p);
	for (unsigned i = 0; i < d->worker_count; i++)
		clients += worker_pack_clients(d->workers[i], p, sockets);
	pack_end(p, begin);
	handover_end(p);
	return clients;
}

static int write_all(struct daemon *d, int fd, struct slice bytes) {
	while (bytes.len > 0) {
		ssize_t n = write(fd, bytes.data, bytes.len < WRITE_BYTES ? bytes.len : WRITE_BYTES);
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			bytes.data += n;
			bytes.len -= (size_t)n;
		}
		daemon_notify_leaving(d);
	}
	return 0;
}

static int put_state(struct daemon *d, struct slice bytes) {
	int fd = memfd_create(STORED_STATE, MFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	int error = write_all(d, fd, bytes);
	if (error == 0)
		error = fdstore_put(STORED_STATE, fd);
	close(fd);
	return error;
}

static int put_sockets(const struct buffer *sockets) {
	int carrier = carrier_load((const int *)(const void *)sockets->data, sockets->len / sizeof(int));
	if (carrier < 0)
		return carrier;
	int error = fdstore_put(STORED_CLIENTS, carrier);
	close(carrier);
	return error;
}

size_t daemon_leave_clients(struct daemon *d) {
	struct buffer bytes, sockets;
	buffer_init(&bytes);
	buffer_init(&sockets);
	struct pack p = {.out = &bytes};
	size_t clients = pack_all(d, &p, &sockets);
	int error = p.error;
	if (error == 0)
		error = put_state(d, buffer_slice(&bytes));
	if (error == 0)
		error = put_sockets(&sockets);
	buffer_deinit(&bytes);
	buffer_deinit(&sockets);
	registry_hold(d->registry);
	for (unsigned i = 0; i < d->shard_count && error == 0; i++)
		shard_keep_lent(d->shards[i]);
	for (unsigned i = 0; i < d->worker_count; i++)
		worker_close_clients(d->workers[i]);
	if (error == 0)
		return clients;
	event_report(d->events, &(struct event){.id = EVENT_CLIENTS_LOST, .error = error});
	return 0;
}

/* --- coming back ------------------------------------------------------------------------------------------------ */

/* The sockets, taken out as they are asked for. */
struct sockets {
	int carrier;
	int batch[CARRIER_BATCH];
	int count, next;
};

/* The next one, or -1: there is none. */
static int next_socket(struct sockets *s) {
	if (s->next == s->count) {
		s->next = 0;
		s->count = s->carrier < 0 ? 0 : carrier_take(s->carrier, s->batch);
		if (s->count <= 0) {
			s->count = 0;
			return -1;
		}
	}
	return s->batch[s->next++];
}

static void resume_tenants(struct daemon *d, struct unpack *all) {
	while (all->rest.len > 0 && !all->failed) {
		struct unpack u = {.rest = unpack_bytes(all)};
		struct tenant_identity identity;
		struct tenant *t;
		if (!all->failed && tenant_unpack_identity(&u, &identity) == 0 &&
		    registry_resume(d->registry, &identity, &t) == 0)
			(void)tenant_unpack(t, worker_environment(d->workers[shard_worker(t->shard)]), &u);
	}
}

static void resume_all(struct daemon *d, struct unpack *body, struct sockets *sockets) {
	uint64_t next_id = unpack_number(body);
	struct unpack tenants = {.rest = unpack_bytes(body)}, clients = {.rest = unpack_bytes(body)};
	int error = body->failed ? ATOMDB_E_FORMAT : 0;
	unsigned lost = 0;
	atomic_store(&d->shared.next_client_id, next_id);
	for (unsigned i = 0; clients.rest.len > 0 && !clients.failed; i++) {
		struct slice state = unpack_bytes(&clients);
		int fd = next_socket(sockets);
		int result = fd < 0 ? -EBADF : worker_resume_client(&d->shared, i, fd, state);
		if (result == 0) {
			d->recovery.clients++;
		} else {
			lost++;
			error = result;
		}
		daemon_notify_resuming(d);
	}
	resume_tenants(d, &tenants);
	for (unsigned i = 0; i < d->worker_count; i++)
		worker_link_clients(d->workers[i]);
	if (error == 0)
		return;
	char detail[64];
	snprintf(detail, sizeof(detail), "%u of them", lost);
	event_report(d->events, &(struct event){.id = EVENT_CLIENTS_LOST, .error = error, .detail = detail});
}

static int map_state(int fd, struct slice *bytes) {
	struct stat st;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_size <= 0)
		return ATOMDB_E_TRUNCATED;
	void *at = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (at == MAP_FAILED)
		return -errno;
	*bytes = (struct slice){at, (size_t)st.st_size};
	return 0;
}

static void resume_clients(struct daemon *d) {
	struct slice bytes;
	struct unpack body;
	struct sockets sockets = {.carrier = d->stored.clients};
	if (d->stored.state < 0)
		return;
	int error = map_state(d->stored.state, &bytes);
	if (error == 0) {
		error = handover_open(bytes, &body);
		if (error == 0)
			resume_all(d, &body, &sockets);
		munmap((void *)(uintptr_t)bytes.data, bytes.len);
	}
	if (error != 0)
		event_report(d->events, &(struct event){.id = EVENT_CLIENTS_LOST, .error = error});
	for (int fd = next_socket(&sockets); fd >= 0; fd = next_socket(&sockets))
		close(fd);
	/* They are for one start: another one finds the data, but these clients have gone on. */
	fdstore_remove(STORED_STATE);
	fdstore_remove(STORED_CLIENTS);
}

void daemon_resume_clients(struct daemon *d) {
	for (unsigned i = 0; i < d->shard_count; i++)
		shard_resume(d->shards[i], true);
	resume_clients(d);
	for (unsigned i = 0; i < d->shard_count; i++) {
		shard_resume(d->shards[i], false);
		shard_drop_lent(d->shards[i]);
	}
	/* Of tenants without keys those are left whose clients have come back. */
	for (unsigned i = 0; i < d->worker_count; i++)
		registry_tidy(d->registry, i);
}
