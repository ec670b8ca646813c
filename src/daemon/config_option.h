/* The table of keys, and the functions that read one key. */
#pragma once

#include <libconfig.h>

#include "atomdb/daemon/config_fields.h"

struct config_reader;

enum option_type {
	OPTION_BOOL,
	OPTION_COUNT,       /* uint32_t */
	OPTION_LIMIT,       /* uint64_t */
	OPTION_SIZE,        /* uint64_t bytes; "64M" or a number */
	OPTION_SECONDS,     /* int64_t milliseconds, written in seconds */
	OPTION_THOUSANDTHS, /* uint32_t thousandths, written as a decimal fraction */
	OPTION_NAME,        /* char [TENANT_NAME_MAX + 1]: a tenant's name or "" */
	OPTION_ADDRESSES,
	OPTION_HOSTS, /* struct config_addresses: host names */
	OPTION_MODE,  /* mode_t; octal digits */
	OPTION_GROUP, /* gid_t; a name, a number, or "": LISTENER_OWN_GROUP */
	OPTION_SECRET_FILE,
	OPTION_TENANCY,
	OPTION_UNREADABLE, /* bool: start empty */
	OPTION_GUARDED,    /* bool: everything */
	OPTION_EVICTION,
	OPTION_LEVEL,
};

struct option_row {
	const char *section; /* "" for the top level */
	const char *key;
	enum option_type type;
	size_t offset; /* in struct config */
	const char *fallback;
	int64_t lowest, highest;
	bool restart;
	const char *help;
};

extern const struct option_row option_rows[];
extern const size_t option_count;

/* Returns the row of a key, or NULL. */
const struct option_row *option_find(const char *section, const char *key);
bool option_is_section(const char *name);
/* Returns the word for the value of a row whose values are words. */
const char *option_choice_text(const struct option_row *row, const void *field);

/* Checks the setting against the row and stores it in `base`, a struct config. Returns 0 or ATOMDB_E_SYNTAX. */
int option_read(struct config_reader *r, const struct option_row *row, const config_setting_t *setting, void *base);
/* Like config_option_read, for a row of section "defaults" and the limits of one tenant. `source` is the position of
 * the setting. */
int option_read_limit(struct config_reader *r, const struct option_row *row, const config_setting_t *setting,
		      struct tenant_limits *limits, enum limit_source source);
/* Records that the tenant has its own value for a row of section "defaults". */
void option_note_own(struct tenant_config *t, const struct option_row *row);
/* Returns whether the tenant has its own value for a row of section "defaults". */
bool option_is_own(const struct tenant_config *t, const struct option_row *row);
/* Returns whether a tenant may have this name. */
bool config_name_valid(const char *name);
