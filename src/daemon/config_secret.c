/* Keeps the secrets of a configuration from libconfig, which leaves copies of every string on the heap. libconfig reads
 * marks instead; a mark has the offset of the string in the text. */
#include "daemon/config_secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "atomdb/store/tenant_config.h"
#include "atomdb/util/buffer.h"
#include "atomdb/util/error.h"
#include "atomdb/util/secure_memory.h"
#include "daemon/config_reader.h"

/* One byte more detects a secret that is too long; another one takes a line end. */
#define SECRET_ROOM ((size_t)SECRET_MAX + 3)

/* A mark: this byte, and the offset of the string's first byte in this many hexadecimal digits. */
#define MARK        '\1'
#define MARK_DIGITS 8

/* The context of a string: for each depth of brackets, whether the key of the string is a key for secrets. */
struct context {
	bool secret[CONFIG_DEPTH_MAX + 1];
	unsigned depth;
	struct slice word; /* the latest name */
};

static bool is_name(char c) {
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
	       c == '*';
}

/* Takes a byte that is neither in a string nor in a comment. */
static void context_take(struct context *x, const char *at) {
	char c = *at;
	if (is_name(c)) {
		bool follows = x->word.data != NULL && x->word.data + x->word.len == at;
		x->word = follows ? (struct slice){x->word.data, x->word.len + 1} : (struct slice){at, 1};
	} else if (c == '=' || c == ':') {
		x->secret[x->depth] = slice_is(x->word, "secret") || slice_is(x->word, "secrets");
	} else if (strchr("{([", c) != NULL && x->depth < CONFIG_DEPTH_MAX) {
		x->depth++;
		x->secret[x->depth] = x->secret[x->depth - 1];
	} else if (strchr("})]", c) != NULL && x->depth > 0) {
		x->depth--;
	}
}

/* Writes a mark between quotes, followed by the string's newlines, so that lines keep their numbers. */
static int mark_string(struct buffer *out, const char *text, size_t begin, size_t end) {
	char mark[MARK_DIGITS + 2];
	snprintf(mark, sizeof(mark), "%c%0*zx", MARK, MARK_DIGITS, begin);
	int error = buffer_append(out, mark, MARK_DIGITS + 1, SIZE_MAX);
	for (size_t i = begin; i < end && error == 0; i++)
		if (text[i] == '\n')
			error = buffer_append(out, "\n", 1, SIZE_MAX);
	return error;
}

int config_mark_secrets(const char *text, size_t len, struct buffer *out) {
	struct context x = {.depth = 0};
	enum scan_state state = SCAN_PLAIN;
	int error = 0;
	size_t begin = 0; /* of the string */
	for (size_t i = 0; i < len && error == 0; i++) {
		size_t at = i;
		enum scan_state next = config_scan(state, text, len, &i);
		bool hidden = x.secret[x.depth];
		if (state == SCAN_PLAIN && next == SCAN_PLAIN)
			context_take(&x, text + at);
		if (state == SCAN_PLAIN && next == SCAN_STRING)
			begin = i + 1;
		if (state == SCAN_STRING && next == SCAN_PLAIN && hidden)
			error = mark_string(out, text, begin, i);
		if (error == 0 && (state != SCAN_STRING || next == SCAN_PLAIN || !hidden))
			error = state == SCAN_STRING && hidden ? buffer_append(out, "\"", 1, SIZE_MAX)
							       : buffer_append(out, text + at, i + 1 - at, SIZE_MAX);
		state = next;
	}
	return error != 0 ? error : buffer_append(out, "", 1, SIZE_MAX);
}

static int hex_digit(char c) {
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Returns whether a letter behind a backslash stands for another byte. Releases of libconfig differ here, so AtomDB
 * parses it. */
static bool find_escape(char letter, char *byte) {
	char text[] = "x = \"\\?\";";
	const char *read = NULL;
	config_t parsed;
	*strchr(text, '?') = letter;
	config_init(&parsed);
	bool found = config_read_string(&parsed, text) == CONFIG_TRUE &&
		     config_lookup_string(&parsed, "x", &read) == CONFIG_TRUE && strlen(read) == 1;
	if (found)
		*byte = *read;
	config_destroy(&parsed);
	return found;
}

/* Reads the escape whose backslash is at `p`, like libconfig. Returns its end. A backslash that begins no escape stands
 * for itself. */
static const char *unescape(const char *p, const char *end, char *byte) {
	*byte = '\\';
	if (end - p < 2)
		return p + 1;
	if (p[1] == '\\' || p[1] == '"') {
		*byte = p[1];
		return p + 2;
	}
	if (end - p >= 4 && p[1] == 'x' && hex_digit(p[2]) >= 0 && hex_digit(p[3]) >= 0) {
		*byte = (char)(hex_digit(p[2]) << 4 | hex_digit(p[3]));
		return p + 4;
	}
	return p + (p[1] >= 'a' && p[1] <= 'z' && p[1] != 'x' && find_escape(p[1], byte) ? 2 : 1);
}

/* Appends the string at `p`, behind its quote, to `out`, which has `len` bytes. Returns the new length. */
static size_t read_string(const char *p, const char *end, char *out, size_t len, size_t room) {
	while (p < end && *p != '"') {
		char c = *p;
		p = c == '\\' ? unescape(p, end, &c) : p + 1;
		/* libconfig leaves "\x00" out. */
		if (c != '\0' && len < room)
			out[len++] = c;
	}
	return len;
}

size_t config_find_secret(const struct config_reader *r, const char *text, char *out, size_t room) {
	size_t len = 0;
	if (r->text == NULL || *text != MARK) {
		len = strlen(text) < room ? strlen(text) : room;
		memcpy(out, text, len);
		return len;
	}
	/* libconfig joins strings that follow one another. */
	for (const char *p = text; *p == MARK; p += strspn(p, "\n")) {
		char digits[MARK_DIGITS + 1] = "";
		strncpy(digits, p + 1, MARK_DIGITS);
		size_t at = strtoul(digits, NULL, 16);
		if (strlen(digits) < MARK_DIGITS)
			break;
		p += 1 + MARK_DIGITS;
		if (at < r->text_len)
			len = read_string(r->text + at, r->text + r->text_len, out, len, room);
	}
	return len;
}

/* --- files ------------------------------------------------------------------------------------------------------ */

static int open_secret_file(struct config_reader *r, const config_setting_t *setting, int *out) {
	const char *name = config_setting_get_string(setting);
	unsigned line = config_setting_source_line(setting);
	char path[4096];
	if (*name != '/' && r->credentials == NULL)
		return config_reader_fail(r, line,
					  "secret_file \"%.128s\": a relative path needs $CREDENTIALS_DIRECTORY "
					  "(LoadCredential= in the unit)",
					  name);
	int len = *name == '/' ? snprintf(path, sizeof(path), "%s", name)
			       : snprintf(path, sizeof(path), "%s/%s", r->credentials, name);
	if (len < 0 || (size_t)len >= sizeof(path))
		return config_reader_fail(r, line, "secret_file: the path is too long");
	/* O_NONBLOCK: the check below refuses a FIFO instead of waiting for its writer. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return config_reader_fail(r, line, "secret_file \"%.128s\": %s", name, error_text(-errno));
	struct stat status;
	if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
		close(fd);
		return config_reader_fail(r, line, "secret_file \"%.128s\" is not a file", name);
	}
	*out = fd;
	return 0;
}

/* Reads until the end of the file, or until `room` bytes are read. Returns 0 or -errno. */
static int read_up_to(int fd, char *text, size_t room, size_t *len) {
	while (*len < room) {
		ssize_t got = read(fd, text + *len, room - *len);
		if (got < 0 && errno != EINTR)
			return -errno;
		if (got == 0)
			break;
		*len += got > 0 ? (size_t)got : 0;
	}
	return 0;
}

int config_read_secret_file(struct config_reader *r, const config_setting_t *setting, struct secret *out) {
	const char *name = config_setting_get_string(setting);
	unsigned line = config_setting_source_line(setting);
	int fd = -1;
	int error = open_secret_file(r, setting, &fd);
	if (error != 0)
		return error;
	char *text = secure_alloc(SECRET_ROOM);
	if (text == NULL) {
		close(fd);
		return -ENOMEM;
	}
	size_t len = 0;
	int failure = read_up_to(fd, text, SECRET_ROOM, &len);
	close(fd);
	if (len > 0 && text[len - 1] == '\n')
		len--;
	if (len > 0 && text[len - 1] == '\r')
		len--;
	if (failure != 0)
		error = config_reader_fail(r, line, "secret_file \"%.128s\": %s", name, error_text(failure));
	else if (len == 0)
		error = config_reader_fail(r, line, "secret_file \"%.128s\" is empty", name);
	else if (len > SECRET_MAX)
		error = config_reader_fail(r, line, "secret_file \"%.128s\" is longer than %d bytes", name, SECRET_MAX);
	else
		secret_digest((struct slice){text, len}, out);
	secure_free(text, SECRET_ROOM);
	return error;
}
