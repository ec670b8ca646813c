#include "daemon/limits.h"

#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <sys/resource.h>

#include "atomdb/util/size.h"
#include "daemon/daemon_state.h"
#include "daemon/memory_pressure.h"

/* Files that are not clients: the standard three, the loop's, listening sockets, HTTP, and each worker's own. */
#define FILES_OF_DAEMON (64 + HTTP_OPEN_MAX)
#define FILES_OF_WORKER 8

unsigned limits_count_workers(const struct config *config) {
	if (config->workers != 0)
		return config->workers;
	cpu_set_t cpus;
	int count = sched_getaffinity(0, sizeof(cpus), &cpus) == 0 ? CPU_COUNT(&cpus) : 1;
	if (count < 1)
		return 1;
	return count < CONFIG_WORKERS ? (unsigned)count : CONFIG_WORKERS;
}

uint32_t limits_client_room(unsigned workers) {
	struct rlimit files;
	if (getrlimit(RLIMIT_NOFILE, &files) != 0)
		return UINT32_MAX;
	if (files.rlim_cur < files.rlim_max) {
		struct rlimit raised = {files.rlim_max, files.rlim_max};
		if (setrlimit(RLIMIT_NOFILE, &raised) == 0)
			files = raised;
	}
	rlim_t reserve = FILES_OF_DAEMON + (rlim_t)workers * FILES_OF_WORKER;
	if (files.rlim_cur >= UINT32_MAX)
		return UINT32_MAX;
	return files.rlim_cur > reserve ? (uint32_t)(files.rlim_cur - reserve) : 1;
}

/* Share of the control group's memory for tenants. The rest is for tables of the process, its stacks, and the kernel's
 * buffers of connections, which the group counts too. */
static uint64_t share_of(uint64_t room) {
	return room / 8 * 7;
}

uint64_t limits_memory_budget(struct daemon *d, const struct config *config) {
	uint64_t wanted = config->max_memory;
	if (d->memory_room == UINT64_MAX || (wanted != 0 && wanted <= share_of(d->memory_room)))
		return wanted;
	char room[32], given[32], detail[128];
	size_format(d->memory_room, room, sizeof(room));
	size_format(share_of(d->memory_room), given, sizeof(given));
	snprintf(detail, sizeof(detail), "all tenants together may use %s of %s", given, room);
	/* Warns only if the limit is lower than the configured limit. */
	log_report(d->events, &(struct log_event){.id = wanted != 0 ? LOG_EVENT_MEMORY_DIFFERS : LOG_EVENT_MEMORY_LIMIT,
						  .detail = detail});
	return share_of(d->memory_room);
}

void limits_watch_memory(struct daemon *d) {
	struct cgroup_memory memory;
	if (!cgroup_memory_read(d->options->cgroup, d->options->cgroup_root, &memory))
		return;
	uint64_t resident = atomic_load_explicit(&d->budget.used, memory_order_relaxed);
	struct memory_pressure p = {d->memory_allowed, atomic_load_explicit(&d->budget.limit, memory_order_relaxed)};
	uint64_t limit = memory_pressure_limit(&p, &memory, resident);
	if (limit == p.in_force)
		return;
	atomic_store_explicit(&d->budget.limit, limit, memory_order_relaxed);
	if (limit == p.allowed) {
		log_report(d->events, &(struct log_event){.id = LOG_EVENT_MEMORY_RELIEVED});
		return;
	}
	char have[32], may[32], detail[128];
	size_format(resident, have, sizeof(have));
	size_format(limit, may, sizeof(may));
	snprintf(detail, sizeof(detail), "all tenants together use %s, and may use %s for now", have, may);
	log_report(d->events, &(struct log_event){.id = LOG_EVENT_MEMORY_PRESSURE, .detail = detail});
}

struct settings limits_settings(struct daemon *d, const struct config *config) {
	struct settings settings = config->settings;
	settings.port = 0;
	for (unsigned i = 0; i < d->resp_count && settings.port == 0; i++)
		settings.port = listener_port(d->resp[i]);
	if (settings.max_clients == 0) {
		settings.max_clients = d->client_room;
	} else if (settings.max_clients > d->client_room) {
		char detail[96];
		snprintf(detail, sizeof(detail), "max_clients is %" PRIu32 " instead of %" PRIu32, d->client_room,
			 settings.max_clients);
		log_report(d->events, &(struct log_event){.id = LOG_EVENT_OPEN_FILES, .detail = detail});
		settings.max_clients = d->client_room;
	}
	return settings;
}
