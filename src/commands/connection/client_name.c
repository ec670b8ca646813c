/* CLIENT SETNAME, GETNAME and SETINFO. */
#include "commands/connection/client_name.h"

#include <errno.h>
#include <stdlib.h>

#include "commands/handlers.h"

/* Returns whether it is printable ASCII without spaces, as names of clients, libraries and versions must be. A text
 * that is too long is refused later. */
static bool text_ok(struct slice text) {
	for (size_t i = 0; i < text.len && i <= CLIENT_TEXT_MAX; i++) {
		if (text.data[i] < '!' || text.data[i] > '~')
			return false;
	}
	return true;
}

int client_text_set(char **field, struct slice text) {
	char *copy = NULL;
	if (text.len != 0) {
		copy = strndup(text.data, text.len);
		if (copy == NULL)
			return -ENOMEM;
	}
	free(*field);
	*field = copy;
	return 0;
}

/* Sets a field of the session. Returns false if an error was replied. */
static bool set_text(struct session *s, char **field, struct slice text) {
	if (text.len > CLIENT_TEXT_MAX) {
		writer_error(s->reply, "ERR names of clients have a limit of 128 bytes");
		return false;
	}
	int error = client_text_set(field, text);
	if (error < 0)
		reply_store_error(s, error);
	return error == 0;
}

bool client_set_name(struct session *s, struct slice name) {
	if (!text_ok(name)) {
		writer_error(s->reply, "ERR Client names cannot contain spaces, newlines or special characters.");
		return false;
	}
	return set_text(s, &s->name, name);
}

enum outcome cmd_client_setname(struct session *s, const struct request *r) {
	if (client_set_name(s, r->argv[2]))
		writer_ok(s->reply);
	return OUTCOME_DONE;
}

enum outcome cmd_client_getname(struct session *s, const struct request *r) {
	(void)r;
	if (s->name == NULL)
		writer_null(s->reply);
	else
		writer_bulk(s->reply, slice_of(s->name));
	return OUTCOME_DONE;
}

enum outcome cmd_client_setinfo(struct session *s, const struct request *r) {
	char **field;
	if (slice_is(r->argv[2], "lib-name")) {
		field = &s->lib_name;
	} else if (slice_is(r->argv[2], "lib-ver")) {
		field = &s->lib_version;
	} else {
		writer_errorf(s->reply, "ERR Unrecognized option '%.*s'", ECHO_TEXT(r->argv[2], ECHO_LONG));
		return OUTCOME_DONE;
	}
	if (!text_ok(r->argv[3])) {
		writer_errorf(s->reply, "ERR %.*s cannot contain spaces, newlines or special characters.",
			      ECHO_TEXT(r->argv[2], ECHO_LONG));
		return OUTCOME_DONE;
	}
	if (set_text(s, field, r->argv[3]))
		writer_ok(s->reply);
	return OUTCOME_DONE;
}
