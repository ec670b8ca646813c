#include "observe/negotiate.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <zlib.h>

#include "atomdb/util/slice.h"
#include "observe/deflate_lines.h"

/* zlib: the largest window, and a gzip header. */
#define GZIP_WINDOW (15 + 16)
/* Pages are so repetitive that a higher level gains little. */
#define GZIP_LEVEL  1
#define GZIP_MEMORY 8

/* Weights are in thousandths. */
#define WEIGHT_ONE 1000

/* An element of a header, such as "text/plain;version=0.0.4;q=0.5". */
struct element {
	struct slice name;
	struct slice version; /* no data: the parameter is missing */
	int weight;
};

static bool is_space(char c) {
	return c == ' ' || c == '\t';
}

static struct slice trim(struct slice s) {
	while (s.len > 0 && is_space(s.data[0]))
		s = (struct slice){s.data + 1, s.len - 1};
	while (s.len > 0 && is_space(s.data[s.len - 1]))
		s.len--;
	return s;
}

/* Removes the text before `separator` from `*rest` and returns it. A separator within a quoted string (RFC 9110,
 * section 5.6.4) does not count. Returns false at the end. */
static bool take(struct slice *rest, char separator, struct slice *out) {
	bool quoted = false;
	size_t len = 0;
	if (rest->data == NULL)
		return false;
	for (; len < rest->len && (quoted || rest->data[len] != separator); len++) {
		if (rest->data[len] == '"')
			quoted = !quoted;
		else if (quoted && rest->data[len] == '\\' && len + 1 < rest->len)
			len++;
	}
	*out = trim((struct slice){rest->data, len});
	if (len < rest->len)
		*rest = (struct slice){rest->data + len + 1, rest->len - len - 1};
	else
		*rest = (struct slice){NULL, 0};
	return true;
}

/* Returns a weight (RFC 9110, section 12.4.2), or -1 if it is malformed. */
static int read_weight(struct slice s) {
	int weight = 0, unit = WEIGHT_ONE;
	for (size_t i = 0; i < s.len; i++) {
		if (i == 1 ? s.data[i] != '.' : s.data[i] < '0' || s.data[i] > '9')
			return -1;
		if (i == 1)
			continue;
		weight += (s.data[i] - '0') * unit;
		unit /= 10;
	}
	return s.len == 0 || weight > WEIGHT_ONE ? -1 : weight;
}

static struct slice unquote(struct slice s) {
	if (s.len >= 2 && s.data[0] == '"' && s.data[s.len - 1] == '"')
		return (struct slice){s.data + 1, s.len - 2};
	return s;
}

/* Removes the next element with a name and a valid weight from `*rest`. Returns false at the end. */
static bool next_element(struct slice *rest, struct element *e) {
	struct slice text, parameter, name;
	while (take(rest, ',', &text)) {
		*e = (struct element){.weight = WEIGHT_ONE};
		take(&text, ';', &e->name);
		while (take(&text, ';', &parameter)) {
			struct slice value = parameter;
			take(&value, '=', &name);
			if (value.data == NULL)
				continue;
			value = trim(value);
			if (slice_is(name, "q"))
				e->weight = read_weight(value);
			else if (slice_is(name, "version"))
				e->version = unquote(value);
		}
		if (e->name.len > 0 && e->weight >= 0)
			return true;
	}
	return false;
}

static struct slice header_value(const char *header) {
	return header != NULL ? slice_of(header) : (struct slice){NULL, 0};
}

/* Returns how specific a range is that includes the type (RFC 9110, section 12.5.1). */
enum fit { FIT_NONE, FIT_ANY, FIT_GROUP, FIT_NAME, FIT_VERSION };

static enum fit fit_of(const struct element *e, const struct media_type *type) {
	size_t group = strcspn(type->name, "/") + 1;
	if (slice_is(e->name, type->name)) {
		if (e->version.data == NULL)
			return FIT_NAME;
		return slice_is(e->version, type->version) ? FIT_VERSION : FIT_NONE;
	}
	if (slice_is(e->name, "*/*") || slice_is(e->name, "*"))
		return FIT_ANY;
	if (e->name.len == group + 1 && e->name.data[group] == '*' && strncasecmp(e->name.data, type->name, group) == 0)
		return FIT_GROUP;
	return FIT_NONE;
}

/* Returns the weight of a type: the weight of the most specific range. */
struct opinion {
	enum fit fit;
	int weight;
};

static struct opinion opinion_of(const char *accept, const struct media_type *type) {
	struct opinion best = {.fit = FIT_NONE};
	struct slice rest = header_value(accept);
	struct element e;
	while (next_element(&rest, &e)) {
		enum fit fit = fit_of(&e, type);
		if (fit > best.fit)
			best = (struct opinion){fit, e.weight};
	}
	return best;
}

/* `plain`: `b` is the default type of a client without a preference. */
static bool is_better(const struct opinion *a, const struct opinion *b, bool plain) {
	bool named = a->fit >= FIT_NAME;
	if (a->weight != b->weight)
		return a->weight > b->weight;
	return named && (plain || b->fit < FIT_NAME);
}

unsigned negotiate_type(const char *accept, const struct media_type *types, unsigned count) {
	struct opinion best = opinion_of(accept, &types[0]);
	unsigned chosen = 0;
	for (unsigned i = 1; i < count; i++) {
		struct opinion other = opinion_of(accept, &types[i]);
		if (other.weight > 0 && is_better(&other, &best, chosen == 0)) {
			best = other;
			chosen = i;
		}
	}
	return chosen;
}

enum content_coding negotiate_coding(const char *accept_encoding) {
	int gzip = -1, identity = -1, star = -1;
	struct slice rest = header_value(accept_encoding);
	struct element e;
	while (next_element(&rest, &e)) {
		if (slice_is(e.name, "gzip") || slice_is(e.name, "x-gzip"))
			gzip = e.weight;
		else if (slice_is(e.name, "identity"))
			identity = e.weight;
		else if (slice_is(e.name, "*"))
			star = e.weight;
	}
	bool named = gzip >= 0, refused = identity == 0 || (identity < 0 && star == 0);
	if (!named)
		gzip = star;
	if (identity < 0)
		identity = star;
	if (gzip <= 0)
		return CODING_NONE;
	if (refused)
		return CODING_NEEDED;
	return gzip > identity || (named && gzip == identity) ? CODING_ALLOWED : CODING_NONE;
}

int negotiate_gzip(struct buffer *body) {
	z_stream z = {.zalloc = Z_NULL};
	struct buffer out;
	buffer_init(&out);
	if (deflateInit2(&z, GZIP_LEVEL, Z_DEFLATED, GZIP_WINDOW, GZIP_MEMORY, Z_DEFAULT_STRATEGY) != Z_OK)
		return -ENOMEM;
	uLong most = deflateBound(&z, body->len);
	int error = body->len > UINT32_MAX ? -ENOMEM : buffer_reserve(&out, most, SIZE_MAX);
	if (error == 0) {
		z.next_in = (Bytef *)body->data;
		z.avail_in = (uInt)body->len;
		z.next_out = (Bytef *)out.data;
		z.avail_out = (uInt)most;
		error = deflate(&z, Z_FINISH) == Z_STREAM_END ? 0 : -ENOMEM;
	}
	out.len = z.total_out;
	deflateEnd(&z);
	if (error != 0) {
		buffer_deinit(&out);
		return error;
	}
	buffer_deinit(body);
	*body = out;
	return 0;
}

/* Little-endian. */
static void put_u32(char out[4], uint32_t value) {
	for (unsigned i = 0; i < 4; i++)
		out[i] = (char)(value >> (8 * i));
}

int negotiate_gzip_lines(struct buffer *body) {
	static const unsigned char head[] = {0x1f, 0x8b, 8 /* deflate */, 0, 0, 0, 0, 0, 4 /* the fastest */, 255};
	struct buffer out;
	buffer_init(&out);
	char tail[8];
	int error = body->len > UINT32_MAX ? -ENOMEM : buffer_append(&out, head, sizeof(head), SIZE_MAX);
	if (error == 0)
		error = deflate_lines((struct slice){body->data, body->len}, &out);
	if (error == 0) {
		put_u32(tail, (uint32_t)crc32(crc32(0, NULL, 0), (const Bytef *)body->data, (uInt)body->len));
		put_u32(tail + 4, (uint32_t)body->len);
		error = buffer_append(&out, tail, sizeof(tail), SIZE_MAX);
	}
	if (error != 0) {
		buffer_deinit(&out);
		return error;
	}
	buffer_deinit(body);
	*body = out;
	return 0;
}
