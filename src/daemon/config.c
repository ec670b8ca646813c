/* Reads the configuration in two passes: first the document that config_document writes, which has the defaults, then
 * the operator's file. So the documented defaults are those in force.
 *
 * config_parse scans the text before libconfig reads it. It refuses NULs, @include (which would read any file, without
 * a bound), nesting that would make libconfig recurse deeply, and numbers that libconfig would cut to 32 bits without
 * an error. config_secret.c keeps secrets from it. */
#include "atomdb/daemon/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include "atomdb/daemon/config_document.h"
#include "atomdb/util/buffer.h"
#include "atomdb/util/error.h"
#include "atomdb/util/secure_memory.h"
#include "daemon/config_option.h"
#include "daemon/config_reader.h"
#include "daemon/config_rules.h"
#include "daemon/config_secret.h"
#include "daemon/config_tenant.h"

#define DIGITS_MAX 9 /* these always fit 32 bits */

static int scan_text(struct config_reader *r, const char *text, size_t len) {
	unsigned line = 1, depth = 0, digits = 0;
	enum scan_state state = SCAN_PLAIN;
	unsigned opened = 0; /* line of the last string or comment */
	bool blank = true;   /* the line has only spaces so far */
	for (size_t i = 0; i < len; i++) {
		char c = text[i];
		if (c == '\0')
			return config_reader_fail(r, line, "a NUL byte is not text");
		/* Strings and comments are checked too: only libconfig decides where one ends. */
		if (blank && c == '@')
			return config_reader_fail(r, line, "@include is not supported");
		blank = c == '\n' || (blank && (c == ' ' || c == '\t' || c == '\r'));
		if (state == SCAN_PLAIN && (c == '{' || c == '(' || c == '[') && ++depth > CONFIG_DEPTH_MAX)
			return config_reader_fail(r, line, "nested too deeply");
		if (state == SCAN_PLAIN && (c == '}' || c == ')' || c == ']') && depth > 0)
			depth--;
		digits = state == SCAN_PLAIN && c >= '0' && c <= '9' ? digits + 1 : 0;
		if (digits > DIGITS_MAX && (i + 1 == len || strchr("0123456789L", text[i + 1]) == NULL))
			return config_reader_fail(r, line, "a number of 10 digits or more must end in L: 5000000000L");
		if (c == '\n')
			line++;
		enum scan_state next = config_scan(state, text, len, &i);
		opened = state == SCAN_PLAIN ? line : opened;
		state = next;
	}
	/* libconfig would leak the memory of such a string. */
	if (state == SCAN_STRING || state == SCAN_BLOCK_COMMENT)
		return config_reader_fail(r, opened, "a %s is not closed", state == SCAN_STRING ? "string" : "comment");
	return 0;
}

static int read_section(struct config_reader *r, const config_setting_t *group) {
	const char *section = config_setting_name(group);
	if (config_setting_type(group) != CONFIG_TYPE_GROUP)
		return config_reader_fail(r, config_setting_source_line(group), "%s must be a group: %s: { ... };",
					  section, section);
	for (int i = 0; i < config_setting_length(group); i++) {
		const config_setting_t *setting = config_setting_get_elem(group, (unsigned)i);
		const struct option_row *row = option_find(section, config_setting_name(setting));
		if (row == NULL)
			return config_reader_fail(r, config_setting_source_line(setting), "unknown key '%s.%.64s'",
						  section, config_setting_name(setting));
		int error = option_read(r, row, setting, r->config);
		if (error != 0)
			return error;
	}
	return 0;
}

/* Reads the tenants last: they inherit from the defaults, which may stand behind them in the file. */
static int read_root(struct config_reader *r, const config_setting_t *root) {
	const config_setting_t *tenants = NULL;
	for (int i = 0; i < config_setting_length(root); i++) {
		const config_setting_t *setting = config_setting_get_elem(root, (unsigned)i);
		const char *key = config_setting_name(setting);
		const struct option_row *row = option_find("", key);
		int error = 0;
		if (strcmp(key, "tenants") == 0)
			tenants = setting;
		else if (strcmp(key, "removed") == 0)
			error = config_read_removed(r, setting);
		else if (option_is_section(key))
			error = read_section(r, setting);
		else if (row != NULL)
			error = option_read(r, row, setting, r->config);
		else
			error = config_reader_fail(r, config_setting_source_line(setting), "unknown key '%.64s'", key);
		if (error != 0)
			return error;
	}
	return tenants != NULL ? config_read_tenants(r, tenants) : 0;
}

/* Reads `text`, which ends in a NUL, into r->config. */
static int read_text(struct config_reader *r, const char *text, bool check) {
	config_t parsed;
	config_init(&parsed);
	r->addresses = r->anonymous = r->removed = NULL;
	int error;
	if (config_read_string(&parsed, text) != CONFIG_TRUE)
		error = config_reader_fail(r, (unsigned)config_error_line(&parsed), "%s", config_error_text(&parsed));
	else
		error = read_root(r, config_root_setting(&parsed));
	if (error == 0 && check)
		error = config_check_together(r);
	config_wipe(config_root_setting(&parsed));
	config_destroy(&parsed);
	return error;
}

static int read_defaults(struct config_reader *r) {
	char *text = NULL;
	size_t len = 0;
	FILE *stream = open_memstream(&text, &len);
	if (stream == NULL)
		return -ENOMEM;
	config_document(stream, true);
	int error = fclose(stream) == 0 && text != NULL ? read_text(r, text, false) : -ENOMEM;
	free(text);
	return error;
}

/* Returns the port of the first address that has one. INFO shows it. */
static uint16_t first_port(const struct config_addresses *addresses) {
	for (unsigned i = 0; i < addresses->count; i++) {
		const char *colon = strrchr(addresses->text[i], ':');
		if (strncmp(addresses->text[i], "unix:", 5) != 0 && colon != NULL)
			return (uint16_t)strtoul(colon + 1, NULL, 10);
	}
	return 0;
}

static int read_all(struct config_reader *r, const char *text, size_t len) {
	int error = read_defaults(r);
	if (error != 0 || text == NULL)
		return error;
	if (len > CONFIG_FILE_MAX)
		return config_reader_fail(r, 1, "longer than %zu MiB", CONFIG_FILE_MAX >> 20);
	error = scan_text(r, text, len);
	if (error != 0)
		return error;
	struct buffer marked;
	buffer_init(&marked);
	error = config_mark_secrets(text, len, &marked);
	r->given = true;
	r->text = text;
	r->text_len = len;
	if (error == 0)
		error = read_text(r, marked.data, true);
	buffer_deinit(&marked);
	return error;
}

int config_parse(const char *text, size_t len, const char *name, const char *credentials, struct config **out,
		 struct config_error *error) {
	struct config *c = calloc(1, sizeof(*c));
	if (c == NULL) {
		snprintf(error->text, sizeof(error->text), "%s", error_text(-ENOMEM));
		return -ENOMEM;
	}
	struct config_reader r = {.config = c, .name = name, .credentials = credentials, .error = error};
	int result = read_all(&r, text, len);
	if (result != 0) {
		if (result == -ENOMEM)
			snprintf(error->text, sizeof(error->text), "%.200s: %s", name, error_text(result));
		config_free(c);
		return result;
	}
	snprintf(c->settings.anonymous, sizeof(c->settings.anonymous), "%s", c->tenants_config.anonymous);
	c->settings.port = first_port(&c->resp_listen);
	c->tenants_config.admin = c->admin.set ? &c->admin.secret : NULL;
	*out = c;
	return 0;
}

/* The bytes of a file, in memory that is wiped. */
struct contents {
	char *bytes; /* owned */
	size_t len, room;
};

static int contents_grow(struct contents *c) {
	struct contents larger = {.len = c->len, .room = c->room == 0 ? 65536 : c->room * 4};
	larger.bytes = secure_alloc(larger.room);
	if (larger.bytes == NULL)
		return -ENOMEM;
	if (c->len > 0)
		memcpy(larger.bytes, c->bytes, c->len);
	secure_free(c->bytes, c->room);
	*c = larger;
	return 0;
}

/* Reads the whole file, or a little more than CONFIG_FILE_MAX bytes. Appends a NUL. */
static int read_contents(int fd, struct contents *c) {
	struct stat status;
	if (fstat(fd, &status) != 0 || S_ISDIR(status.st_mode))
		return -EISDIR;
	while (c->len <= CONFIG_FILE_MAX) {
		int error = c->len + 1 >= c->room ? contents_grow(c) : 0;
		if (error != 0)
			return error;
		ssize_t got = read(fd, c->bytes + c->len, c->room - c->len - 1);
		if (got < 0 && errno != EINTR)
			return -errno;
		if (got == 0)
			break;
		c->len += got > 0 ? (size_t)got : 0;
	}
	return 0;
}

static int read_file(const char *path, struct contents *out) {
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return -errno;
	int error = read_contents(fd, out);
	close(fd);
	return error;
}

int config_load(const char *path, const char *credentials, struct config **out, struct config_error *error) {
	if (path == NULL)
		return config_parse(NULL, 0, "built-in defaults", credentials, out, error);
	struct contents c = {NULL, 0, 0};
	int result = read_file(path, &c);
	if (result != 0)
		snprintf(error->text, sizeof(error->text), "%.200s: %s", path, error_text(result));
	else
		result = config_parse(c.bytes, c.len, path, credentials, out, error);
	secure_free(c.bytes, c.room);
	return result;
}

void config_free(struct config *c) {
	if (c == NULL)
		return;
	struct tenant_config *tenants = (struct tenant_config *)(uintptr_t)c->tenants_config.tenants;
	if (tenants != NULL)
		explicit_bzero(tenants, c->tenants_config.tenant_count * sizeof(*tenants));
	free(tenants);
	free((void *)(uintptr_t)c->tenants_config.removed);
	explicit_bzero(&c->admin, sizeof(c->admin));
	explicit_bzero(&c->http_secret, sizeof(c->http_secret));
	free(c);
}
