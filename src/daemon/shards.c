#include "daemon/shards.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <time.h>

#include "atomdb/store/shard.h"
#include "atomdb/store/shard_open.h"
#include "atomdb/util/error.h"
#include "atomdb/util/number.h"
#include "atomdb/util/size.h"
#include "daemon/daemon_state.h"
#include "daemon/fdstore.h"
#include "daemon/restart_counters.h"

static void shard_name(unsigned shard, char out[STORED_NAME]) {
	snprintf(out, STORED_NAME, STORED_SHARD "%u", shard);
}

bool shards_keep_stored(struct daemon *d, int fd, const char *name) {
	static const char prefix[] = STORED_SHARD;
	struct stored *s = &d->stored;
	int64_t number;
	int *slot = NULL;
	if (strcmp(name, STORED_STATE) == 0)
		slot = &s->state;
	else if (strcmp(name, STORED_CLIENTS) == 0)
		slot = &s->clients;
	else if (strcmp(name, STORED_RESTART_COUNTERS) == 0)
		slot = &s->restart_counters;
	else if (strncmp(name, prefix, sizeof(prefix) - 1) == 0 &&
		 number_parse(slice_of(name + sizeof(prefix) - 1), &number) && number >= 0 && number < CONFIG_WORKERS)
		slot = &s->shards[number];
	if (slot == NULL || *slot >= 0)
		return false;
	*slot = fd;
	if (slot >= s->shards && slot < s->shards + CONFIG_WORKERS && slot - s->shards >= s->shard_count)
		s->shard_count = (unsigned)(slot - s->shards) + 1;
	return true;
}

/* --- making ----------------------------------------------------------------------------------------------------- */

/* Interval of requests for more time from systemd while there is progress, and the time. */
#ifdef ATOMDB_TEST_HOOKS
#define PROGRESS_NS 1000000
#else
#define PROGRESS_NS 1000000000
#endif
#define EXTENSION_USEC 15000000u

/* Signalled when a thread ends. */
struct waiter {
	pthread_mutex_t mutex;
	pthread_cond_t done;
};

/* The work of one thread: shards `first`, `first` + `step`, … */
struct maker {
	counter progress; /* entries visited, in both passes */
	struct daemon *d;
	unsigned first, step;
	pthread_t thread;
	bool started;
	struct waiter *waiter;
	bool done; /* protected by the waiter's mutex */
};

static int errors_of_data[] = {ATOMDB_E_FORMAT, ATOMDB_E_VERSION, ATOMDB_E_CHECKSUM, ATOMDB_E_TRUNCATED, ATOMDB_E_SEED};

static bool is_unreadable(int error) {
	for (size_t i = 0; i < sizeof(errors_of_data) / sizeof(errors_of_data[0]); i++) {
		if (error == errors_of_data[i])
			return true;
	}
	return false;
}

static int make_shard(struct daemon *d, unsigned i, counter *progress) {
	struct shard_options options = {.id = i,
					.worker = i % d->worker_count,
					.budget = &d->budget,
					.fd = d->stored.shards[i],
					.now_ms = d->shared.start_ms,
					.progress = progress};
	int error = shard_new(&d->shards[i], &options);
	if (error == 0) {
		d->stored.shards[i] = -1;
		return 0;
	}
	if (options.fd < 0)
		return error;
	char name[STORED_NAME];
	shard_name(i, name);
	bool begin_anew = is_unreadable(error) && d->config->start_empty;
	log_report(d->events, &(struct log_event){.id = begin_anew ? LOG_EVENT_DATA_DROPPED : LOG_EVENT_DATA_REFUSED,
						  .error = error,
						  .detail = name});
	if (!begin_anew)
		return error;
	fdstore_remove(name);
	options.fd = -1;
	return shard_new(&d->shards[i], &options);
}

static void *make_some(void *context) {
	struct maker *m = context;
	for (unsigned i = m->first; i < m->d->shard_count; i += m->step)
		m->d->shard_errors[i] = make_shard(m->d, i, &m->progress);
	pthread_mutex_lock(&m->waiter->mutex);
	m->done = true;
	pthread_cond_signal(&m->waiter->done);
	pthread_mutex_unlock(&m->waiter->mutex);
	return NULL;
}

/* Waits up to PROGRESS_NS of monotonic time. Returns whether the thread is done. */
static bool wait_for(struct maker *m) {
	struct timespec until;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += PROGRESS_NS;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	int error = 0;
	pthread_mutex_lock(&m->waiter->mutex);
	while (!m->done && error == 0)
		error = pthread_cond_timedwait(&m->waiter->done, &m->waiter->mutex, &until);
	bool done = m->done;
	pthread_mutex_unlock(&m->waiter->mutex);
	return done;
}

/* Waits for a thread. Requests more time from systemd as long as any thread makes progress. */
static void join(struct daemon *d, struct maker *makers, struct maker *m, uint64_t *before) {
	while (!wait_for(m)) {
		uint64_t now = 0;
		for (unsigned i = 0; i < d->worker_count; i++)
			now += counter_get(&makers[i].progress);
		if (now != *before)
			sd_notifyf(0,
				   "EXTEND_TIMEOUT_USEC=%u\nSTATUS=Rebuilding after a crash, %" PRIu64
				   " entries checked",
				   EXTENSION_USEC, now);
		*before = now;
	}
	pthread_join(m->thread, NULL);
}

/* A rebuild takes about a second for ten million keys, so that one thread makes each worker's shards. */
static int make_all(struct daemon *d) {
	struct maker *makers = calloc(d->worker_count, sizeof(*makers));
	struct waiter waiter = {.mutex = PTHREAD_MUTEX_INITIALIZER};
	pthread_condattr_t monotonic;
	if (makers == NULL)
		return -ENOMEM;
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&waiter.done, &monotonic);
	pthread_condattr_destroy(&monotonic);
	for (unsigned i = 0; i < d->worker_count; i++) {
		makers[i] = (struct maker){.d = d, .waiter = &waiter, .first = i, .step = d->worker_count};
		makers[i].started = d->stored.shard_count > 0 &&
				    pthread_create(&makers[i].thread, NULL, make_some, &makers[i]) == 0;
		if (!makers[i].started)
			make_some(&makers[i]);
	}
	uint64_t progress = 0;
	for (unsigned i = 0; i < d->worker_count; i++) {
		if (makers[i].started)
			join(d, makers, &makers[i], &progress);
	}
	pthread_cond_destroy(&waiter.done);
	free(makers);
	int error = 0;
	for (unsigned i = 0; i < d->shard_count; i++)
		error = error == 0 ? d->shard_errors[i] : error;
	return error;
}

/* Frees the shards if one of them could not be made. The next process finds the data unchanged. */
static void free_all(struct daemon *d) {
	for (unsigned i = 0; i < d->shard_count; i++) {
		struct shard *s = d->shards[i];
		if (s != NULL && shard_recovery(s)->kind == RECOVERY_CLEAN)
			(void)shard_save(s);
		shard_free(s);
		d->shards[i] = NULL;
	}
}

int shards_make(struct daemon *d) {
	uint64_t begin = clock_monotonic_ns();
	d->shard_count = d->worker_count > d->stored.shard_count ? d->worker_count : d->stored.shard_count;
	int error = make_all(d);
	unsigned given = 0;
	for (; given < d->shard_count && error == 0; given++) {
		error = worker_add_shard(d->workers[given % d->worker_count], d->shards[given]);
		d->shard_counters[given] = shard_counters(d->shards[given]);
	}
	/* A worker owns the shards that are assigned to it. */
	if (error != 0 && given == 0)
		free_all(d);
	d->recovery.duration_ns = clock_monotonic_ns() - begin;
	return error;
}

/* --- reporting -------------------------------------------------------------------------------------------------- */

static enum recovery_kind sum_up(struct daemon *d) {
	enum recovery_kind kind = RECOVERY_NEW;
	for (unsigned i = 0; i < d->shard_count; i++) {
		const struct shard_recovery *r = shard_recovery(d->shards[i]);
		if (r->kind > kind)
			kind = r->kind;
		d->recovery.entries += r->entries;
		d->recovery.bytes += r->bytes;
		d->recovery.dropped += r->dropped;
	}
	return kind;
}

static void report_recovery(struct daemon *d, enum recovery_kind kind) {
	const struct recovery_counters *r = &d->recovery;
	char bytes[32], detail[192];
	size_format(r->bytes, bytes, sizeof(bytes));
	snprintf(detail, sizeof(detail),
		 "%s: %" PRIu64 " keys, %s, %" PRIu64 " clients, %" PRIu64 " damaged blocks dropped, %" PRIu64 " ms",
		 kind == RECOVERY_CRASHED ? "after a crash" : "after a restart", r->entries, bytes, r->clients,
		 r->dropped, r->duration_ns / 1000000);
	log_report(d->events, &(struct log_event){.id = LOG_EVENT_RECOVERED, .detail = detail});
}

void shards_report_memory(struct daemon *d) {
	char detail[128], have[32], may[32];
	uint64_t limit = atomic_load(&d->budget.limit), used = atomic_load(&d->budget.used);
	if (limit == 0 || used <= limit)
		return;
	size_format(used, have, sizeof(have));
	size_format(limit, may, sizeof(may));
	snprintf(detail, sizeof(detail), "all tenants together use %s, and may use %s", have, may);
	log_report(d->events, &(struct log_event){.id = LOG_EVENT_MEMORY_EXCEEDED, .detail = detail});
}

/* Logs if the number of workers has changed, or if the data exceeds max_memory. */
static void report_limits(struct daemon *d) {
	char detail[128];
	unsigned before = d->stored.shard_count;
	if (before != d->worker_count) {
		snprintf(detail, sizeof(detail), "%u workers now, %u before", d->worker_count, before);
		log_report(d->events, &(struct log_event){.id = LOG_EVENT_SHARDS_KEPT, .detail = detail});
	}
	shards_report_memory(d);
}

/* From now on the next process finds the data even after a crash. */
static int put_shards(struct daemon *d) {
	char name[STORED_NAME];
	int error = 0;
	for (unsigned i = 0; i < d->shard_count && error == 0; i++) {
		if (shard_recovery(d->shards[i])->kind != RECOVERY_NEW)
			continue;
		shard_name(i, name);
		error = fdstore_put(name, shard_fd(d->shards[i]));
	}
	return error;
}

int shards_store(struct daemon *d) {
	enum recovery_kind kind = sum_up(d);
	if (!d->has_store) {
		log_report(d->events, &(struct log_event){.id = LOG_EVENT_VOLATILE});
		return 0;
	}
	int error = put_shards(d);
	if (error != 0)
		return error;
	struct restart_counters counts = restart_counters_add(d->stored.restart_counters, kind, d->recovery.dropped);
	d->stored.restart_counters = -1;
	d->recovery.restarts = counts.restarts;
	d->recovery.crashes = counts.crashes;
	d->recovery.dropped_total = counts.dropped;
	if (kind == RECOVERY_NEW)
		log_report(d->events, &(struct log_event){.id = LOG_EVENT_EMPTY});
	else
		report_recovery(d, kind);
	if (kind != RECOVERY_NEW)
		report_limits(d);
	return 0;
}

void shards_save(struct daemon *d) {
	for (unsigned i = 0; i < d->shard_count && d->has_store; i++) {
		int error = d->shards[i] == NULL ? 0 : shard_save(d->shards[i]);
		if (error != 0)
			log_report(d->events, &(struct log_event){.id = LOG_EVENT_NOT_SAVED, .error = error});
	}
}
