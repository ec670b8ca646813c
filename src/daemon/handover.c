#include "daemon/handover.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "atomdb/dispatch/handover.h"
#include "atomdb/net/handover.h"
#include "atomdb/store/pin.h"
#include "atomdb/store/registry_lifecycle.h"
#include "atomdb/store/registry_walk.h"
#include "atomdb/store/shard.h"
#include "atomdb/store/shard_open.h"
#include "atomdb/store/tenant.h"
#include "atomdb/util/crc64.h"
#include "atomdb/util/error.h"
#include "daemon/daemon_state.h"
#include "daemon/fd_queue.h"
#include "daemon/fdstore.h"
#include "daemon/handover_positional.h"
#include "daemon/notify.h"

#define MAGIC UINT64_C(0x6572507441744441)

struct header {
	uint64_t magic, version, length, crc;
};

struct state_record {
	uint64_t next_client_id;
	struct slice tenants, clients; /* lists of records */
};

static const struct field state_fields[] = {
	{"next_client_id", FIELD_NUMBER, offsetof(struct state_record, next_client_id), UINT64_MAX, 0},
	{"tenants", FIELD_BYTES, offsetof(struct state_record, tenants), SIZE_MAX, 0},
	{"clients", FIELD_BYTES, offsetof(struct state_record, clients), SIZE_MAX, 0},
};

struct tenant_state_record {
	struct slice identity, settings; /* records */
};

static const struct field tenant_fields[] = {
	{"identity", FIELD_BYTES, offsetof(struct tenant_state_record, identity), SIZE_MAX, 0},
	{"settings", FIELD_BYTES, offsetof(struct tenant_state_record, settings), SIZE_MAX, 0},
};

#define COUNT(fields) (sizeof(fields) / sizeof((fields)[0]))

/* --- the frame -------------------------------------------------------------------------------------------------- */

void handover_begin(struct serializer *out) {
	const struct header h = {.magic = MAGIC, .version = ATOMDB_HANDOVER_VERSION};
	serialize_piece(out, (struct slice){(const char *)&h, sizeof(h)});
}

void handover_end(struct serializer *out) {
	struct header h;
	if (out->error != 0)
		return;
	struct slice record = {out->out->data + sizeof(h), out->out->len - sizeof(h)};
	memcpy(&h, out->out->data, sizeof(h));
	h.length = record.len;
	h.crc = crc64(0, record);
	memcpy(out->out->data, &h, sizeof(h));
}

int handover_open(struct slice bytes, struct buffer *converted, struct slice *record) {
	struct header h;
	if (bytes.len < sizeof(h))
		return ATOMDB_E_TRUNCATED;
	memcpy(&h, bytes.data, sizeof(h));
	if (h.magic != MAGIC)
		return ATOMDB_E_FORMAT;
	if (h.version != ATOMDB_HANDOVER_VERSION && h.version != HANDOVER_POSITIONAL)
		return ATOMDB_E_VERSION;
	if (h.length != bytes.len - sizeof(h))
		return ATOMDB_E_TRUNCATED;
	*record = (struct slice){bytes.data + sizeof(h), bytes.len - sizeof(h)};
	if (crc64(0, *record) != h.crc)
		return ATOMDB_E_CHECKSUM;
	if (h.version != HANDOVER_POSITIONAL)
		return 0;
	int error = handover_from_positional(*record, converted);
	*record = buffer_slice(converted);
	return error;
}

/* --- leaving ---------------------------------------------------------------------------------------------------- */

/* The kernel takes at most this many bytes at once, so that the hand-over shows its progress. */
#define WRITE_BYTES ((size_t)64 << 20)

static void serialize_tenant(void *context, const struct tenant *t) {
	struct serializer *out = context;
	if (!tenant_is_set(t) || t->clients.removed)
		return;
	size_t element = serialize_begin(out, SERIALIZE_ELEMENT);
	size_t begin = serialize_begin(out, "identity");
	tenant_serialize_identity(t, out);
	serialize_end(out, begin);
	begin = serialize_begin(out, "settings");
	tenant_serialize(t, out);
	serialize_end(out, begin);
	serialize_end(out, element);
}

/* Writes the whole state. Returns the number of clients. */
static size_t serialize_all(struct daemon *d, struct serializer *out, struct buffer *sockets) {
	size_t clients = 0;
	for (unsigned i = 0; i < d->worker_count; i++)
		worker_take_arrivals(d->workers[i]);
	handover_begin(out);
	serialize_number(out, "next_client_id", atomic_load(&d->shared.next_client_id));
	size_t begin = serialize_begin(out, "tenants");
	registry_each(d->registry, serialize_tenant, out);
	serialize_end(out, begin);
	begin = serialize_begin(out, "clients");
	for (unsigned i = 0; i < d->worker_count; i++)
		clients += worker_serialize_clients(d->workers[i], out, sockets);
	serialize_end(out, begin);
	handover_end(out);
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
		notify_leaving(d);
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
	int fd_queue = fd_queue_load((const int *)(const void *)sockets->data, sockets->len / sizeof(int));
	if (fd_queue < 0)
		return fd_queue;
	int error = fdstore_put(STORED_CLIENTS, fd_queue);
	close(fd_queue);
	return error;
}

size_t handover_leave_clients(struct daemon *d) {
	struct buffer bytes, sockets;
	buffer_init(&bytes);
	buffer_init(&sockets);
	struct serializer out = {.out = &bytes};
	size_t clients = serialize_all(d, &out, &sockets);
	int error = out.error;
	if (error == 0)
		error = put_state(d, buffer_slice(&bytes));
	if (error == 0)
		error = put_sockets(&sockets);
	buffer_deinit(&bytes);
	buffer_deinit(&sockets);
	registry_hold(d->registry);
	for (unsigned i = 0; i < d->shard_count && error == 0; i++)
		pins_keep(d->shards[i]);
	for (unsigned i = 0; i < d->worker_count; i++)
		worker_close_clients(d->workers[i]);
	if (error == 0)
		return clients;
	log_report(d->events, &(struct log_event){.id = LOG_EVENT_CLIENTS_LOST, .error = error});
	return 0;
}

/* --- coming back ------------------------------------------------------------------------------------------------ */

/* The sockets of the clients, received in batches. */
struct sockets {
	int fd_queue;
	int batch[FD_QUEUE_BATCH];
	int count, next;
};

/* Returns the next socket, or -1 if there is none. */
static int next_socket(struct sockets *s) {
	if (s->next == s->count) {
		s->next = 0;
		s->count = s->fd_queue < 0 ? 0 : fd_queue_take(s->fd_queue, s->batch);
		if (s->count <= 0) {
			s->count = 0;
			return -1;
		}
	}
	return s->batch[s->next++];
}

static int resume_tenant(struct daemon *d, struct slice record) {
	struct tenant_state_record r;
	struct tenant_identity identity;
	struct tenant *t;
	int error = deserialize_record(record, tenant_fields, COUNT(tenant_fields), &r);
	if (error == 0)
		error = tenant_deserialize_identity(r.identity, &identity);
	if (error == 0)
		error = registry_resume(d->registry, &identity, &t);
	if (error == 0)
		error = tenant_deserialize(t, worker_environment(d->workers[shard_worker(t->shard)]), r.settings);
	return error;
}

static void resume_tenants(struct daemon *d, struct slice list) {
	struct slice record;
	while (deserialize_element(&list, &record) > 0)
		(void)resume_tenant(d, record);
}

/* Restores the clients. Returns the number of lost clients; `*error` is the last error. */
static unsigned resume_each(struct daemon *d, struct slice list, struct sockets *sockets, int *error) {
	struct slice record;
	unsigned lost = 0;
	int found;
	for (unsigned i = 0; (found = deserialize_element(&list, &record)) > 0; i++) {
		int fd = next_socket(sockets);
		int result = fd < 0 ? -EBADF : worker_resume_client(&d->shared, i, fd, record);
		if (result == 0) {
			d->recovery.clients++;
		} else {
			lost++;
			*error = result;
		}
		notify_resuming(d);
	}
	if (found < 0)
		*error = found;
	return lost;
}

static void resume_all(struct daemon *d, struct slice record, struct sockets *sockets) {
	struct state_record r;
	int error = deserialize_record(record, state_fields, COUNT(state_fields), &r);
	unsigned lost = 0;
	if (error == 0) {
		if (r.next_client_id != 0)
			atomic_store(&d->shared.next_client_id, r.next_client_id);
		lost = resume_each(d, r.clients, sockets, &error);
		resume_tenants(d, r.tenants);
	}
	for (unsigned i = 0; i < d->worker_count; i++)
		worker_link_clients(d->workers[i]);
	if (error == 0)
		return;
	char detail[64];
	snprintf(detail, sizeof(detail), "%u of them", lost);
	log_report(d->events, &(struct log_event){.id = LOG_EVENT_CLIENTS_LOST, .error = error, .detail = detail});
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
	struct slice record;
	struct buffer converted;
	struct sockets sockets = {.fd_queue = d->stored.clients};
	if (d->stored.state < 0)
		return;
	buffer_init(&converted);
	int error = map_state(d->stored.state, &bytes);
	if (error == 0) {
		error = handover_open(bytes, &converted, &record);
		if (error == 0)
			resume_all(d, record, &sockets);
		buffer_deinit(&converted);
		munmap((void *)(uintptr_t)bytes.data, bytes.len);
	}
	if (error != 0)
		log_report(d->events, &(struct log_event){.id = LOG_EVENT_CLIENTS_LOST, .error = error});
	for (int fd = next_socket(&sockets); fd >= 0; fd = next_socket(&sockets))
		close(fd);
	/* Removes the files from the store: the clients have made progress, so that a later start cannot use them. */
	fdstore_remove(STORED_STATE);
	fdstore_remove(STORED_CLIENTS);
}

void handover_resume_clients(struct daemon *d) {
	for (unsigned i = 0; i < d->shard_count; i++)
		shard_restore_clients(d->shards[i], true);
	resume_clients(d);
	for (unsigned i = 0; i < d->shard_count; i++) {
		shard_restore_clients(d->shards[i], false);
		pins_drop_unclaimed(d->shards[i]);
	}
	/* Forgets the tenants without keys and without clients. */
	for (unsigned i = 0; i < d->worker_count; i++)
		registry_tidy(d->registry, i);
}
