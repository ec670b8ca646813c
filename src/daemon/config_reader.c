#include "daemon/config_reader.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "atomdb/daemon/config_fields.h"
#include "atomdb/util/error.h"

int config_reader_fail(struct config_reader *r, unsigned line, const char *format, ...) {
	int len = snprintf(r->error->text, sizeof(r->error->text), "%.200s:%u: ", r->name, line);
	if (len < 0)
		len = 0;
	va_list args;
	va_start(args, format);
	vsnprintf(r->error->text + len, sizeof(r->error->text) - (size_t)len, format, args);
	va_end(args);
	return ATOMDB_E_SYNTAX;
}

enum scan_state config_scan(enum scan_state state, const char *text, size_t len, size_t *at) {
	char c = text[*at];
	char next = *at + 1 < len ? text[*at + 1] : '\0';
	switch (state) {
	case SCAN_STRING:
		if (c == '\\' && next != '\n' && next != '\0')
			++*at;
		return c == '"' ? SCAN_PLAIN : SCAN_STRING;
	case SCAN_LINE_COMMENT:
		return c == '\n' ? SCAN_PLAIN : SCAN_LINE_COMMENT;
	case SCAN_BLOCK_COMMENT:
		if (c != '*' || next != '/')
			return SCAN_BLOCK_COMMENT;
		++*at;
		return SCAN_PLAIN;
	case SCAN_PLAIN:
		break;
	}
	if (c == '"')
		return SCAN_STRING;
	if (c == '#' || (c == '/' && next == '/'))
		return SCAN_LINE_COMMENT;
	if (c != '/' || next != '*')
		return SCAN_PLAIN;
	++*at;
	return SCAN_BLOCK_COMMENT;
}

void config_wipe(const config_setting_t *setting) {
	if (setting == NULL)
		return;
	if (config_setting_type(setting) == CONFIG_TYPE_STRING) {
		const char *text = config_setting_get_string(setting);
		if (text != NULL)
			explicit_bzero((char *)(uintptr_t)text, strlen(text));
	} else if (config_setting_is_aggregate(setting)) {
		for (int i = 0; i < config_setting_length(setting); i++)
			config_wipe(config_setting_get_elem(setting, (unsigned)i));
	}
}
