/* What the parts of the configuration's parser share; libconfig stays behind it. */
#pragma once

#include <libconfig.h>

#include "atomdb/daemon/config.h"
#include "atomdb/util/buffer.h"

#define CONFIG_DEPTH_MAX 8 /* of brackets in a file */

/* One file being read. */
struct config_reader {
	struct config *config;
	const char *name; /* of the file, for messages */
	const char *text; /* of the file, where the secrets are. NULL: settings have them */
	size_t text_len;
	const char *credentials; /* directory of relative secret files, or NULL */
	struct config_error *error;
	bool given;                        /* what is read now is the operator's, not the defaults */
	const config_setting_t *addresses; /* resp.listen, for messages about it; NULL: the default */
	const config_setting_t *anonymous; /* likewise */
	const config_setting_t *removed;   /* likewise */
	unsigned admin_line;               /* likewise, of admin.secret_file */
};

/* Notes "name:line: text" as the reason; returns ATOMDB_E_SYNTAX. */
int config_reader_fail(struct config_reader *r, unsigned line, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The part of the syntax that a byte of a file belongs to. */
enum scan_state { SCAN_PLAIN, SCAN_STRING, SCAN_LINE_COMMENT, SCAN_BLOCK_COMMENT };

/* The state behind the byte at `*at`, before which it was `state`; skips a second byte if two belong together. */
enum scan_state config_scan(enum scan_state state, const char *text, size_t len, size_t *at);

/* Appends the text and a NUL to `out`, with marks in place of the strings of secrets. The text has passed the checks of
 * config_parse: nothing nests deeper than CONFIG_DEPTH_MAX. 0 or -ENOMEM. */
int config_mark_secrets(const char *text, size_t len, struct buffer *out);
/* Writes the secret that a setting's string stands for, or is, at most `room` bytes; returns its length. */
size_t config_find_secret(const struct config_reader *r, const char *text, char *out, size_t room);

enum option_type {
	OPTION_BOOL,
	OPTION_COUNT,   /* uint32_t */
	OPTION_LIMIT,   /* uint64_t */
	OPTION_SIZE,    /* uint64_t bytes; "64M" or a number */
	OPTION_SECONDS, /* int64_t milliseconds, written in seconds */
	OPTION_NAME,    /* char [TENANT_NAME_MAX + 1]: a tenant's name or "" */
	OPTION_ADDRESSES,
	OPTION_HOSTS, /* struct config_addresses: names of hosts */
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

/* The row of that key, or NULL. */
const struct option_row *option_find(const char *section, const char *key);
bool option_is_section(const char *name);
/* How the file writes the value of a row with words to choose from. */
const char *option_choice_text(const struct option_row *row, const void *field);

/* Checks the setting against the row and stores it in `base`, a struct config. 0 or ATOMDB_E_SYNTAX. */
int option_read(struct config_reader *r, const struct option_row *row, const config_setting_t *setting, void *base);
/* The same for a row of section "defaults" and the limits of one tenant; `source` is where it is written. */
int option_read_limit(struct config_reader *r, const struct option_row *row, const config_setting_t *setting,
		      struct tenant_limits *limits, enum limit_source source);

/* Reads a secret from a file; its digest. */
int config_read_secret_file(struct config_reader *r, const config_setting_t *setting, struct secret *out);
/* Reads one key of a tenant. */
int config_read_tenant_key(struct config_reader *r, const config_setting_t *setting, struct tenant_config *tenant);
/* Notes that the tenant has a value of its own for a row of the defaults. */
void config_note_own(struct tenant_config *t, const struct option_row *row);
/* Requirements between keys. 0 or ATOMDB_E_SYNTAX. */
int config_check_together(struct config_reader *r);
/* Overwrites the strings that libconfig holds, for there may be secrets among them. */
void config_wipe(const config_setting_t *setting);
/* Reads the list of tenants that may go with their keys. 0, ATOMDB_E_SYNTAX or -ENOMEM. */
int config_read_removed(struct config_reader *r, const config_setting_t *removed);
/* Checks that list against the rest of the configuration. 0 or ATOMDB_E_SYNTAX. */
int config_check_removed(struct config_reader *r);
/* Reads the list of tenants into r->config; the other keys have been read. 0, ATOMDB_E_SYNTAX or -ENOMEM. */
int config_read_tenants(struct config_reader *r, const config_setting_t *tenants);
