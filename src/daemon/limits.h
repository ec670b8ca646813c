/* Limits that the daemon derives from the configuration and from the system: processors, open files, memory. */
#pragma once

#include <stdint.h>

struct config;
struct daemon;
struct settings;

/* Returns the number of workers that `config` asks for. */
unsigned limits_count_workers(const struct config *config);
/* Raises the limit on open files as far as possible. Returns the number of clients that fit in addition to the files of
 * `workers` workers. */
uint32_t limits_client_room(unsigned workers);
/* Returns the settings of `config`, with max_clients lowered to the limit on open files. Logs a lowered value. */
struct settings limits_settings(struct daemon *d, const struct config *config);
/* Returns the bytes that all tenants together may have; 0: no limit. Logs a control group that allows less than
 * `config`. */
uint64_t limits_memory_budget(struct daemon *d, const struct config *config);
/* Lowers the memory limit of tenants while the control group is short of memory, and raises it afterwards. Call it
 * every second. */
void limits_watch_memory(struct daemon *d);
