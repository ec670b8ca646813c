/* The configuration as plain structs. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "atomdb/net/listener.h"
#include "atomdb/session/settings.h"
#include "atomdb/store/tenant_config.h"

#define CONFIG_ADDRESSES   16
#define CONFIG_ADDRESS_MAX 112 /* "unix:" and the longest path of a Unix socket */
#define CONFIG_ANY_HOST    "*"
#define CONFIG_WORKERS     256
#define CONFIG_SIZE_MAX    ((int64_t)1 << 50)
#define CONFIG_LIMIT_MAX   ((int64_t)1 << 50)
#define CONFIG_SECONDS_MAX 1000000000000ll
#define CONFIG_FILE_MAX    ((size_t)16 << 20)
#define CONFIG_ERROR_MAX   512
#define CONFIG_KEY_MAX     64

struct config_addresses {
	char text[CONFIG_ADDRESSES][CONFIG_ADDRESS_MAX + 1];
	unsigned count;
	bool given; /* read from the file, not the default */
};

struct config_secret {
	bool set;
	struct secret secret;
};

struct config {
	struct config_addresses resp_listen;
	struct config_addresses http_listen;
	struct listener_access resp_socket, http_socket; /* mode and group of the Unix sockets */
	bool open_to_network;                            /* allows open tenancy on an address other than loopback */
	struct settings settings;                        /* its port is that of the first TCP address in resp_listen */
	uint32_t tenants_shown;
	struct config_secret http_secret;     /* protects counters over HTTP */
	struct config_addresses http_hosts;   /* host names without a port, or CONFIG_ANY_HOST */
	bool http_secret_for_all;             /* protects all counters; else only those of tenants */
	uint32_t workers;                     /* 0: one for each CPU */
	uint64_t max_memory;                  /* bytes; 0: no limit */
	bool huge_pages;                      /* backs full memory with huge pages */
	bool start_empty;                     /* starts empty if kept data cannot be read */
	struct tenants_config tenants_config; /* owned: names of tenants that may be removed */
	struct config_secret admin;           /* of the operator */
	int log_level;                        /* syslog's LOG_ERR to LOG_DEBUG */
};

/* The reason for which a configuration is refused: "file:line: reason". */
struct config_error {
	char text[CONFIG_ERROR_MAX];
};
