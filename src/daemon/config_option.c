#include "daemon/config_option.h"

#include <arpa/inet.h>
#include <grp.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <syslog.h>

#include "atomdb/util/error.h"
#include "atomdb/util/number.h"
#include "atomdb/util/size.h"
#include "daemon/config_reader.h"
#include "daemon/config_secret.h"

const struct option_row option_rows[] = {
#define OPTION(section, key, type, field, fallback, lowest, highest, restart, help) \
	{section, key, OPTION_##type, offsetof(struct config, field), fallback, lowest, highest, restart, help},
#include "daemon/options.def"
#undef OPTION
};
const size_t option_count = sizeof(option_rows) / sizeof(option_rows[0]);

struct choice {
	const char *text;
	int value;
};

static const struct choice tenancy_choices[] = {{"open", 1}, {"listed", 0}, {NULL, 0}};
static const struct choice unreadable_choices[] = {{"refuse", 0}, {"start_empty", 1}, {NULL, 0}};
static const struct choice guarded_choices[] = {{"everything", 1}, {"tenants", 0}, {NULL, 0}};
static const struct choice eviction_choices[] = {{"lru", EVICTION_LRU}, {"none", EVICTION_NONE}, {NULL, 0}};
static const struct choice level_choices[] = {{"error", LOG_ERR}, {"warning", LOG_WARNING}, {"notice", LOG_NOTICE},
					      {"info", LOG_INFO}, {"debug", LOG_DEBUG},     {NULL, 0}};

const struct option_row *option_find(const char *section, const char *key) {
	for (size_t i = 0; i < option_count; i++)
		if (strcmp(option_rows[i].section, section) == 0 && strcmp(option_rows[i].key, key) == 0)
			return &option_rows[i];
	return NULL;
}

bool option_is_section(const char *name) {
	if (*name == '\0')
		return false;
	for (size_t i = 0; i < option_count; i++)
		if (strcmp(option_rows[i].section, name) == 0)
			return true;
	return false;
}

/* Writes the name of a row for messages: "resp.listen", "workers". */
#define ROW_FORMAT    "%s%s%s"
#define ROW_ARGS(row) (row)->section, *(row)->section != '\0' ? "." : "", (row)->key

static int read_number(struct config_reader *r, const struct option_row *row, const config_setting_t *setting,
		       int64_t *out) {
	int type = config_setting_type(setting);
	/* libconfig cuts hexadecimal numbers to 32 bits without an error. */
	if ((type != CONFIG_TYPE_INT && type != CONFIG_TYPE_INT64) ||
	    config_setting_get_format(setting) != CONFIG_FORMAT_DEFAULT)
		return config_reader_fail(r, config_setting_source_line(setting),
					  ROW_FORMAT " must be a whole decimal number", ROW_ARGS(row));
	int64_t value = config_setting_get_int64(setting);
	if (value < row->lowest || value > row->highest)
		return config_reader_fail(r, config_setting_source_line(setting),
					  ROW_FORMAT " must be from %" PRId64 " to %" PRId64 ", not %" PRId64,
					  ROW_ARGS(row), row->lowest, row->highest, value);
	*out = value;
	return 0;
}

static int read_size(struct config_reader *r, const struct option_row *row, const config_setting_t *setting,
		     uint64_t *out) {
	if (config_setting_type(setting) != CONFIG_TYPE_STRING) {
		int64_t value;
		if (!config_setting_is_number(setting))
			return config_reader_fail(r, config_setting_source_line(setting),
						  ROW_FORMAT " must be a size such as \"64M\"", ROW_ARGS(row));
		int error = read_number(r, row, setting, &value);
		if (error == 0)
			*out = (uint64_t)value;
		return error;
	}
	const char *text = config_setting_get_string(setting);
	uint64_t bytes = UINT64_MAX;
	int error = size_parse(text, &bytes);
	if (error == ATOMDB_E_SYNTAX)
		return config_reader_fail(r, config_setting_source_line(setting),
					  ROW_FORMAT " must be a size such as \"64M\"", ROW_ARGS(row));
	if (error != 0 || bytes < (uint64_t)row->lowest || bytes > (uint64_t)row->highest)
		return config_reader_fail(r, config_setting_source_line(setting),
					  ROW_FORMAT " must be from %" PRId64 " to %" PRId64 " bytes", ROW_ARGS(row),
					  row->lowest, row->highest);
	*out = bytes;
	return 0;
}

static const struct choice *choices_of(const struct option_row *row) {
	return row->type == OPTION_TENANCY      ? tenancy_choices
	       : row->type == OPTION_UNREADABLE ? unreadable_choices
	       : row->type == OPTION_GUARDED    ? guarded_choices
	       : row->type == OPTION_EVICTION   ? eviction_choices
						: level_choices;
}

/* Returns whether the two words of a row mean true and false. */
static bool is_flag(const struct option_row *row) {
	return row->type == OPTION_TENANCY || row->type == OPTION_UNREADABLE || row->type == OPTION_GUARDED;
}

const char *option_choice_text(const struct option_row *row, const void *field) {
	int value = is_flag(row)                   ? *(const bool *)field
		    : row->type == OPTION_EVICTION ? (int)*(const enum eviction *)field
						   : *(const int *)field;
	const struct choice *c = choices_of(row);
	while (c->value != value)
		c++;
	return c->text;
}

static int read_choice(struct config_reader *r, const struct option_row *row, const config_setting_t *setting,
		       const struct choice *choices, int *out) {
	if (config_setting_type(setting) == CONFIG_TYPE_STRING) {
		for (const struct choice *c = choices; c->text != NULL; c++) {
			if (strcmp(c->text, config_setting_get_string(setting)) == 0) {
				*out = c->value;
				return 0;
			}
		}
	}
	char list[128] = "";
	for (const struct choice *c = choices; c->text != NULL; c++) {
		size_t len = strlen(list);
		snprintf(list + len, sizeof(list) - len, "%s\"%s\"", len > 0 ? ", " : "", c->text);
	}
	return config_reader_fail(r, config_setting_source_line(setting), ROW_FORMAT " must be one of %s",
				  ROW_ARGS(row), list);
}

/* A host in brackets is IPv6, one without is IPv4. Names are not looked up, so that a start never waits for DNS. */
static bool address_valid(const char *text) {
	if (strncmp(text, "unix:", 5) == 0) {
		size_t len = strlen(text + 5);
		return text[5] == '/' && len > 1 && len < sizeof(((struct sockaddr_un *)NULL)->sun_path);
	}
	const char *colon = strrchr(text, ':');
	if (colon == NULL)
		return false;
	int64_t port;
	if (!number_parse(slice_of(colon + 1), &port) || port < 0 || port > 65535)
		return false;
	char host[INET6_ADDRSTRLEN];
	bool bracket = text[0] == '[';
	size_t len = (size_t)(colon - text);
	if (bracket && (len < 3 || colon[-1] != ']'))
		return false;
	len -= bracket ? 2 : 0;
	if (len == 0 || len >= sizeof(host))
		return false;
	memcpy(host, text + (bracket ? 1 : 0), len);
	host[len] = '\0';
	struct in6_addr binary;
	return inet_pton(bracket ? AF_INET6 : AF_INET, host, &binary) == 1;
}

static int read_addresses(struct config_reader *r, const struct option_row *row, const config_setting_t *setting,
			  struct config_addresses *out) {
	int type = config_setting_type(setting);
	int count = config_setting_length(setting);
	struct config_addresses found = {.given = r->given};
	if (type != CONFIG_TYPE_ARRAY && type != CONFIG_TYPE_LIST)
		return config_reader_fail(r, config_setting_source_line(setting),
					  ROW_FORMAT " must be a list of addresses such as [ \"127.0.0.1:8080\" ]",
					  ROW_ARGS(row));
	if (count < row->lowest || count > row->highest)
		return config_reader_fail(r, config_setting_source_line(setting),
					  ROW_FORMAT " must have from %" PRId64 " to %" PRId64 " addresses",
					  ROW_ARGS(row), row->lowest, row->highest);
	for (int i = 0; i < count; i++) {
		const config_setting_t *element = config_setting_get_elem(setting, (unsigned)i);
		const char *text = config_setting_get_string(element);
		if (text == NULL || strlen(text) > CONFIG_ADDRESS_MAX || !address_valid(text))
			return config_reader_fail(r, config_setting_source_line(element),
						  ROW_FORMAT " must have addresses such as \"127.0.0.1:8080\", "
							     "\"[::1]:8080\" or \"unix:/run/atomdb/atomdb.sock\"",
						  ROW_ARGS(row));
		memcpy(found.text[found.count++], text, strlen(text) + 1);
	}
	*out = found;
	return 0;
}

/* A host name has no port, and consists of letters, digits, '-', '_' and '.'. A name with a dot at its end would never
 * match. */
static bool host_valid(const char *text) {
	size_t len = strlen(text);
	if (strcmp(text, CONFIG_ANY_HOST) == 0)
		return true;
	return len > 0 && len <= CONFIG_ADDRESS_MAX && text[len - 1] != '.' &&
	       strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") == len;
}

static int read_hosts(struct config_reader *r, const struct option_row *row, const config_setting_t *setting,
		      struct config_addresses *out) {
	int type = config_setting_type(setting), count = config_setting_length(setting);
	struct config_addresses found = {.given = r->given};
	bool valid = (type == CONFIG_TYPE_ARRAY || type == CONFIG_TYPE_LIST) && count <= row->highest;
	for (int i = 0; valid && i < count; i++) {
		const char *text = config_setting_get_string_elem(setting, i);
		valid = text != NULL && host_valid(text);
		if (valid)
			memcpy(found.text[found.count++], text, strlen(text) + 1);
	}
	if (!valid)
		return config_reader_fail(r, config_setting_source_line(setting),
					  ROW_FORMAT " must be a list of at most %" PRId64
						     " names without a port, such as [ \"db1.example.com\" ]",
					  ROW_ARGS(row), row->highest);
	*out = found;
	return 0;
}

static int read_mode(struct config_reader *r, const struct option_row *row, const config_setting_t *setting,
		     mode_t *out) {
	const char *text = config_setting_get_string(setting);
	unsigned long mode = ULONG_MAX;
	/* libconfig reads octal digits as a decimal number. */
	if (text != NULL && *text != '\0' && strlen(text) <= 8 && text[strspn(text, "01234567")] == '\0')
		mode = strtoul(text, NULL, 8);
	if (mode > (unsigned long)row->highest)
		return config_reader_fail(r, config_setting_source_line(setting),
					  ROW_FORMAT " must be a string of octal digits up to \"%04" PRIo64
						     "\", such as \"0660\"",
					  ROW_ARGS(row), (uint64_t)row->highest);
	*out = (mode_t)mode;
	return 0;
}

/* Finds a group by its name or number. Returns false if there is none. */
static bool find_group(const char *text, gid_t *out) {
	struct group group, *found = NULL;
	char bytes[65536]; /* holds the names of all members too */
	int64_t number;
	if (number_parse(slice_of(text), &number)) {
		*out = (gid_t)number;
		return number >= 0 && number < LISTENER_OWN_GROUP;
	}
	if (getgrnam_r(text, &group, bytes, sizeof(bytes), &found) != 0 || found == NULL)
		return false;
	*out = group.gr_gid;
	return true;
}

static int read_group(struct config_reader *r, const struct option_row *row, const config_setting_t *setting,
		      gid_t *out) {
	const char *text = config_setting_get_string(setting);
	gid_t found = LISTENER_OWN_GROUP;
	if (text == NULL)
		return config_reader_fail(r, config_setting_source_line(setting),
					  ROW_FORMAT " must be the name of a group, or \"\"", ROW_ARGS(row));
	if (*text != '\0' && !find_group(text, &found))
		return config_reader_fail(r, config_setting_source_line(setting),
					  ROW_FORMAT ": there is no group '%.64s'", ROW_ARGS(row), text);
	*out = found;
	return 0;
}

bool config_name_valid(const char *name) {
	size_t len = strlen(name);
	return len >= 1 && len <= TENANT_NAME_MAX &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") == len;
}

static int read_name(struct config_reader *r, const struct option_row *row, const config_setting_t *setting,
		     char *out) {
	const char *text = config_setting_get_string(setting);
	if (text == NULL || (*text != '\0' && !config_name_valid(text)))
		return config_reader_fail(r, config_setting_source_line(setting),
					  ROW_FORMAT
					  " must be \"\" or a name of up to %d letters, digits, '-', '_' and "
					  "'.'",
					  ROW_ARGS(row), TENANT_NAME_MAX);
	memcpy(out, text, strlen(text) + 1);
	return 0;
}

static int read_secret_option(struct config_reader *r, const struct option_row *row, const config_setting_t *setting,
			      struct config_secret *out) {
	const char *path = config_setting_get_string(setting);
	if (path == NULL)
		return config_reader_fail(r, config_setting_source_line(setting),
					  ROW_FORMAT " must be the name of a file, or \"\"", ROW_ARGS(row));
	struct config_secret found = {.set = *path != '\0'};
	if (found.set) {
		int error = config_read_secret_file(r, setting, &found.secret);
		if (error != 0)
			return error;
		if (row->offset == offsetof(struct config, admin))
			r->admin_line = config_setting_source_line(setting);
	}
	*out = found;
	return 0;
}

static int read_numeric(struct config_reader *r, const struct option_row *row, const config_setting_t *setting,
			void *field) {
	int64_t number = 0;
	int error = read_number(r, row, setting, &number);
	if (error != 0)
		return error;
	switch (row->type) {
	case OPTION_COUNT:
		*(uint32_t *)field = (uint32_t)number;
		break;
	case OPTION_LIMIT:
		*(uint64_t *)field = (uint64_t)number;
		break;
	default:
		*(int64_t *)field = number * 1000;
	}
	return 0;
}

static int read_chosen(struct config_reader *r, const struct option_row *row, const config_setting_t *setting,
		       void *field) {
	int chosen = 0;
	int error = read_choice(r, row, setting, choices_of(row), &chosen);
	if (error != 0)
		return error;
	if (is_flag(row))
		*(bool *)field = chosen != 0;
	else if (row->type == OPTION_EVICTION)
		*(enum eviction *)field = (enum eviction)chosen;
	else
		*(int *)field = chosen;
	return 0;
}

static int read_thousandths(struct config_reader *r, const struct option_row *row, const config_setting_t *setting,
			    uint32_t *out) {
	double thousandths = config_setting_is_number(setting) ? config_setting_get_float(setting) * 1000 : -1;
	/* libconfig reads an integer as 0 if it is asked for a float. */
	if (config_setting_type(setting) == CONFIG_TYPE_INT || config_setting_type(setting) == CONFIG_TYPE_INT64)
		thousandths = (double)config_setting_get_int64(setting) * 1000;
	if (!(thousandths >= (double)row->lowest && thousandths <= (double)row->highest) ||
	    (thousandths > 0 && thousandths < 1))
		return config_reader_fail(r, config_setting_source_line(setting),
					  ROW_FORMAT " must be 0, or a number from 0.001 to %g such as 0.5",
					  ROW_ARGS(row), (double)row->highest / 1000);
	*out = (uint32_t)(thousandths + 0.5);
	return 0;
}

static int read_field(struct config_reader *r, const struct option_row *row, const config_setting_t *setting,
		      void *field) {
	switch (row->type) {
	case OPTION_BOOL:
		if (config_setting_type(setting) != CONFIG_TYPE_BOOL)
			return config_reader_fail(r, config_setting_source_line(setting),
						  ROW_FORMAT " must be true or false", ROW_ARGS(row));
		*(bool *)field = config_setting_get_bool(setting) == CONFIG_TRUE;
		return 0;
	case OPTION_SIZE:
		return read_size(r, row, setting, field);
	case OPTION_THOUSANDTHS:
		return read_thousandths(r, row, setting, field);
	case OPTION_NAME:
		r->anonymous = setting;
		return read_name(r, row, setting, field);
	case OPTION_ADDRESSES:
		if (row->offset == offsetof(struct config, resp_listen))
			r->addresses = setting;
		return read_addresses(r, row, setting, field);
	case OPTION_HOSTS:
		return read_hosts(r, row, setting, field);
	case OPTION_MODE:
		return read_mode(r, row, setting, field);
	case OPTION_GROUP:
		return read_group(r, row, setting, field);
	case OPTION_SECRET_FILE:
		return read_secret_option(r, row, setting, field);
	case OPTION_TENANCY:
	case OPTION_UNREADABLE:
	case OPTION_GUARDED:
	case OPTION_EVICTION:
	case OPTION_LEVEL:
		return read_chosen(r, row, setting, field);
	case OPTION_COUNT:
	case OPTION_LIMIT:
	case OPTION_SECONDS:
		break;
	}
	return read_numeric(r, row, setting, field);
}

/* Returns whether a row applies to tenants with a name. The built-in max_entries applies to tenants that clients open.
 */
static bool is_for_named(const struct config_reader *r, const struct option_row *row) {
	if (strcmp(row->section, "defaults") != 0)
		return false;
	return r->given || row->offset != offsetof(struct config, tenants_config.defaults.max_entries);
}

/* Records the source of a limit that makes tenants lose keys. */
static void note_source(const struct option_row *row, struct tenant_limits *limits, enum limit_source source) {
	static const size_t offsets[KEY_LIMITS] = {
		[KEY_LIMIT_ENTRIES] = offsetof(struct config, tenants_config.defaults.max_entries),
		[KEY_LIMIT_MEMORY] = offsetof(struct config, tenants_config.defaults.max_memory),
		[KEY_LIMIT_EVICTION] = offsetof(struct config, tenants_config.defaults.eviction),
	};
	for (unsigned i = 0; i < KEY_LIMITS; i++)
		if (row->offset == offsets[i])
			limits->sources[i] = (uint8_t)source;
}

int option_read(struct config_reader *r, const struct option_row *row, const config_setting_t *setting, void *base) {
	int error = read_field(r, row, setting, (char *)base + row->offset);
	enum limit_source source = r->given ? LIMIT_IN_DEFAULTS : LIMIT_BUILT_IN;
	if (error == 0)
		note_source(row, &r->config->tenants_config.defaults, source);
	if (error == 0 && is_for_named(r, row))
		error = option_read_limit(r, row, setting, &r->config->tenants_config.named, source);
	return error;
}

int option_read_limit(struct config_reader *r, const struct option_row *row, const config_setting_t *setting,
		      struct tenant_limits *limits, enum limit_source source) {
	struct option_row own = *row;
	own.section = ""; /* messages use the key's name in the tenant's section */
	note_source(row, limits, source);
	return read_field(r, &own, setting,
			  (char *)limits + (row->offset - offsetof(struct config, tenants_config.defaults)));
}

/* Returns the bit of tenant_config.own that stands for a row of the defaults. */
static uint32_t own_bit(const struct option_row *row) {
	unsigned i = 0;
	while (strcmp(option_rows[i].section, "defaults") != 0)
		i++;
	return UINT32_C(1) << (row - &option_rows[i]);
}

void option_note_own(struct tenant_config *t, const struct option_row *row) {
	t->own |= own_bit(row);
}

bool option_is_own(const struct tenant_config *t, const struct option_row *row) {
	return (t->own & own_bit(row)) != 0;
}
