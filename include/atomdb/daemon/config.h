/* The configuration: read from a libconfig file into plain structs, with every key checked against one table. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "atomdb/command/settings.h"
#include "atomdb/store/registry.h"

#define CONFIG_ADDRESSES   16
#define CONFIG_ADDRESS_MAX 112 /* "unix:" and the longest path of a Unix socket */
#define CONFIG_WORKERS     256
#define CONFIG_SIZE_MAX    ((int64_t)1 << 50)
#define CONFIG_LIMIT_MAX   ((int64_t)1 << 50)
#define CONFIG_SECONDS_MAX 1000000000000ll
#define CONFIG_FILE_MAX    ((size_t)16 << 20)
#define CONFIG_ERROR_MAX   512

struct config_addresses {
	char text[CONFIG_ADDRESSES][CONFIG_ADDRESS_MAX + 1];
	unsigned count;
	bool given; /* by the operator; else it is the default */
};

struct config_secret {
	bool set;
	struct secret secret;
};

struct config {
	struct config_addresses resp_listen;
	struct config_addresses http_listen;
	bool open_to_network;     /* open tenancy on an address other than loopback is meant */
	struct settings settings; /* port: of the first TCP address of resp_listen */
	uint32_t tenants_shown;
	uint32_t workers;           /* 0: one for each CPU */
	uint64_t max_memory;        /* bytes; 0: no limit */
	struct tenancy tenancy;     /* tenants: owned by the config */
	struct config_secret admin; /* of the operator */
	int log_level;              /* syslog's LOG_ERR to LOG_DEBUG */
};

/* Why a configuration was refused: "file:line: what is wrong". */
struct config_error {
	char text[CONFIG_ERROR_MAX];
};

/* Reads the file at `path`; NULL: the built-in defaults. Relative secret_file paths are taken from `credentials`, a
 * directory, or refused where it is NULL. Returns a configuration that the caller frees, complete and checked.
 * 0, ATOMDB_E_SYNTAX, -ENOMEM, or the -errno of the file; on failure `error` says why. */
int config_load(const char *path, const char *credentials, struct config **out, struct config_error *error);

/* The same for text in memory; `name` stands for the file in messages. `text` need not end in a NUL. */
int config_parse(const char *text, size_t len, const char *name, const char *credentials, struct config **out,
		 struct config_error *error);

/* Frees it and wipes the digests; NULL is fine. */
void config_free(struct config *c);

/* Refuses open tenancy on an address that other hosts reach, unless the configuration allows it. `address` as
 * listener_open takes it. */
bool config_allows_address(const struct config *c, const char *address);

/* Calls `changed` with "section.key" for each key that differs and takes effect at a restart only; returns how many. */
unsigned config_needs_restart(const struct config *running, const struct config *wanted,
			      void (*changed)(void *context, const char *key), void *context);

/* Writes the commented file with every key at its default (conf/atomdb.conf); with `active` the keys are not
 * commented out. */
void config_document(FILE *out, bool active);
