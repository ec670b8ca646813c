/* The settings of a server that commands and connections obey: a plain copy, one a worker, replaced at reload. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "atomdb/store/tenant.h"

struct settings {
	uint32_t max_clients;                /* 0: no limit */
	uint32_t auth_timeout;               /* seconds for a client to authenticate; 0: no limit */
	uint32_t auth_rate;                  /* wrong or new secrets a second of a client or source; 0: no limit */
	uint32_t new_tenants_per_second;     /* made by clients, all together; 0: no limit */
	uint32_t idle_timeout;               /* seconds without a command; 0: no limit */
	uint32_t tcp_keepalive;              /* seconds; 0: off */
	uint64_t query_buffer;               /* bytes a client's unfinished command may take */
	uint64_t output_buffer;              /* bytes of unsent replies at which a client is closed */
	uint32_t busy_limit;                 /* seconds of a reader that delays evictions; 0: no limit */
	uint16_t port;                       /* of the first TCP address; 0: none */
	bool debug;                          /* DEBUG may be used */
	char anonymous[TENANT_NAME_MAX + 1]; /* "": AUTH is required */
};
