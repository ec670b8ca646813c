/* State and helpers that the parts of the configuration's parser share. */
#pragma once

#include <libconfig.h>
#include <stdbool.h>
#include <stddef.h>

struct config;
struct config_error;

#define CONFIG_DEPTH_MAX 8 /* depth of brackets in a file */

/* One file being read. */
struct config_reader {
	struct config *config;
	const char *name; /* name of the file, for messages */
	const char *text; /* text of the file, which has the secrets; NULL: the settings have them */
	size_t text_len;
	const char *credentials; /* directory of relative secret files, or NULL */
	struct config_error *error;
	bool given;                        /* the reader reads the operator's file, not the defaults */
	const config_setting_t *addresses; /* setting of resp.listen, for messages; NULL: the default */
	const config_setting_t *anonymous; /* setting of anonymous, or NULL */
	const config_setting_t *removed;   /* setting of removed, or NULL */
	unsigned admin_line;               /* line of admin.secret_file */
};

/* Sets r->error to "name:line: text". Returns ATOMDB_E_SYNTAX. */
int config_reader_fail(struct config_reader *r, unsigned line, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The syntax that a byte of a file belongs to. */
enum scan_state { SCAN_PLAIN, SCAN_STRING, SCAN_LINE_COMMENT, SCAN_BLOCK_COMMENT };

/* Returns the state after the byte at `*at`; `state` is the state before it. If two bytes belong together, moves `*at`
 * to the second. */
enum scan_state config_scan(enum scan_state state, const char *text, size_t len, size_t *at);
/* Overwrites the strings that libconfig holds, because they may be secrets. NULL is allowed. */
void config_wipe(const config_setting_t *setting);
