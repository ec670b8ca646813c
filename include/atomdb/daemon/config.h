/* The configuration: read from a libconfig file into plain structs, with every key checked against one table. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "atomdb/net/listener.h"
#include "atomdb/session/settings.h"
#include "atomdb/store/registry.h"

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
	bool given; /* by the operator; else it is the default */
};

struct config_secret {
	bool set;
	struct secret secret;
};

struct config {
	struct config_addresses resp_listen;
	struct config_addresses http_listen;
	struct listener_access resp_socket, http_socket; /* of their Unix sockets */
	bool open_to_network;                            /* open tenancy on an address other than loopback is meant */
	struct settings settings;                        /* port: of the first TCP address of resp_listen */
	uint32_t tenants_shown;
	struct config_secret http_secret;     /* for counters over HTTP */
	struct config_addresses http_hosts;   /* names without a port, or CONFIG_ANY_HOST */
	bool http_secret_for_all;             /* else for those of the tenants only */
	uint32_t workers;                     /* 0: one for each CPU */
	uint64_t max_memory;                  /* bytes; 0: no limit */
	bool huge_pages;                      /* for memory that is full */
	bool start_empty;                     /* where data that was kept cannot be read */
	struct tenants_config tenants_config; /* tenants, removed: owned by the config */
	struct config_secret admin;           /* of the operator */
	int log_level;                        /* syslog's LOG_ERR to LOG_DEBUG */
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

/* Whether `name` is one that a tenant may have. */
bool config_name_valid(const char *name);
/* Whether `removed` lists that name. */
bool config_removes(const struct config *c, const char *name);
/* A copy that the caller frees, with room for `more` tenants; NULL for want of memory. */
struct config *config_copy(const struct config *c, size_t more);

/* The calls below are for changes while AtomDB runs. Texts end in a NUL beyond their length. */

/* Calls `visit` with "section.key" and the value of every key that can be changed so; of the limits of a tenant, with
 * "key". */
void config_show(const struct config *c, void (*visit)(void *context, const char *key, const char *value),
		 void *context);
void config_show_limits(const struct tenant_limits *l, void (*visit)(void *context, const char *key, const char *value),
			void *context);
/* The key that `name` stands for, which may be Redis's; false: there is none. */
bool config_key(struct slice name, char key[CONFIG_KEY_MAX]);
/* Sets one key, called as in the file or as Redis calls it. 0; -ENOENT: there is no such key; or as config_load, with
 * `error` free of a place. */
int config_change(struct config *c, struct slice key, struct slice value, struct config_error *error);
/* Whether the keys go together, as config_load demands. */
int config_check(const struct config *c, struct config_error *error);
/* Sets an option of a tenant of `c`; a secret is added to those that it has. As config_change. */
int config_change_tenant(const struct config *c, const char *credentials, struct tenant_config *tenant,
			 struct slice key, struct slice value, struct config_error *error);

/* Writes the commented file with every key at its default (conf/atomdb.conf); with `active` the keys are not
 * commented out. */
void config_document(FILE *out, bool active);
