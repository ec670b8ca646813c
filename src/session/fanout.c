#include "atomdb/session/fanout.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "atomdb/session/reply.h"
#include "atomdb/store/registry_walk.h"
#include "atomdb/util/fiber.h"

/* Copied arguments between two check points. */
#define CHECK_ARGUMENTS 256

struct fanout *fanout_of(const struct session *s) {
	struct fanout *c = s->env->fanouts;
	while (c != NULL && c->session != s)
		c = c->sibling;
	return c;
}

/* Copies the arguments with their bytes into one block. */
static struct slice *copy_arguments(const struct slice *argv, uint32_t argc) {
	size_t bytes = (argc + 1) * sizeof(struct slice), work = 0;
	for (uint32_t i = 0; i < argc; i++)
		bytes += argv[i].len + 1;
	struct slice *copy = malloc(bytes);
	if (copy == NULL)
		return NULL;
	char *text = (char *)&copy[argc];
	for (uint32_t i = 0; i < argc; i++) {
		copy[i] = (struct slice){text, argv[i].len};
		if (argv[i].len != 0)
			fiber_copy(text, argv[i].data, argv[i].len);
		(void)fiber_check_every(&work, 1, CHECK_ARGUMENTS);
		text[argv[i].len] = '\0';
		text += argv[i].len + 1;
	}
	return copy;
}

static struct fanout *fanout_new(struct environment *env, const struct fanout_kind *kind, int64_t number) {
	struct fanout *c = calloc(1, sizeof(*c) + env->worker_count * sizeof(c->answers[0]));
	if (c == NULL)
		return NULL;
	c->kind = kind;
	c->worker = env->worker;
	c->workers = env->worker_count;
	c->number = number;
	return c;
}

void fanout_free(struct fanout *c) {
	for (uint32_t i = 0; i < c->argc; i++)
		explicit_bzero((char *)(uintptr_t)c->argv[i].data, c->argv[i].len);
	free((void *)(uintptr_t)c->argv);
	for (unsigned i = 0; i < c->workers; i++)
		buffer_deinit(&c->answers[i].text);
	free(c->envelopes);
	free(c->data);
	free(c);
}

/* Runs the part of this worker and sends the fanout to the others. Returns 0 if there are none and the fanout is
 * complete, 1 if answers will follow, or a negative error, and nothing was sent. */
static int start(struct environment *env, struct fanout *c) {
	bool visits = c->kind->on_session != NULL, control = c->kind->on_worker == NULL && !visits;
	/* The visit of this worker's sessions counts its own answer when it ends. */
	unsigned others = control || visits ? 1 : 0;
	others += control ? 0 : c->workers - 1;
	atomic_init(&c->waiting, others);
	int error = others == 0 ? 0 : env->host->prepare_fanout(env, c);
	if (error < 0)
		return error;
	if (c->kind->on_worker != NULL)
		c->kind->on_worker(env, c, &c->answers[env->worker]);
	c->done = others == 0;
	if (visits)
		env->host->visit(env, c);
	if (others != 0)
		env->host->send_fanout(env, c);
	return others != 0;
}

static void unlink_fanout(struct environment *env, const struct fanout *c) {
	struct fanout **at = &env->fanouts;
	while (*at != c)
		at = &(*at)->sibling;
	*at = c->sibling;
}

static enum outcome finish(struct session *s, struct fanout *c) {
	c->kind->gather(s, c);
	unlink_fanout(s->env, c);
	fanout_free(c);
	return OUTCOME_DONE;
}

enum outcome fanout_run(struct session *s, const struct request *r, const struct fanout_kind *kind, int64_t number) {
	struct fanout *c = fanout_of(s);
	if (c != NULL)
		return c->done ? finish(s, c) : OUTCOME_BLOCKED;
	return fanout_run_with(s, r, kind, number, NULL);
}

enum outcome fanout_run_with(struct session *s, const struct request *r, const struct fanout_kind *kind, int64_t number,
			     void *data) {
	struct fanout *c = fanout_new(s->env, kind, number);
	if (c == NULL) {
		free(data);
		return reply_store_error(s, -ENOMEM);
	}
	c->data = data;
	if (data == NULL)
		c->argv = copy_arguments(r->argv, r->argc);
	c->argc = c->argv == NULL ? 0 : r->argc;
	c->protocol = s->protocol;
	c->session = s;
	int started = c->argv == NULL && data == NULL ? -ENOMEM : start(s->env, c);
	if (started < 0) {
		fanout_free(c);
		return reply_store_error(s, started);
	}
	c->sibling = s->env->fanouts;
	s->env->fanouts = c;
	return started ? OUTCOME_BLOCKED : finish(s, c);
}

void fanout_post(struct environment *env, const struct fanout_kind *kind, int64_t number) {
	struct fanout *c = fanout_new(env, kind, number);
	if (c != NULL && start(env, c) <= 0)
		fanout_free(c);
}

/* All have answered, and no session waits. */
static void give_up(struct environment *env, struct fanout *c) {
	if (c->kind->undo != NULL)
		c->kind->undo(env);
	fanout_free(c);
}

void fanout_done(struct environment *env, struct fanout *c) {
	if (c->session == NULL) {
		give_up(env, c);
		return;
	}
	c->done = true;
	env->host->wake(env);
}

void fanout_abandon(struct session *s) {
	struct fanout *c = fanout_of(s);
	if (c == NULL)
		return;
	unlink_fanout(s->env, c);
	c->session = NULL;
	if (c->done)
		give_up(s->env, c);
}

void fanout_close(struct environment *env, const struct fanout *c, struct session *s) {
	if (env->worker == c->worker && c->session == s)
		s->flags |= SESSION_CLOSING;
	else
		env->host->close(s);
}

bool operator_only(struct session *s, const struct request *r) {
	if (s->tenant->is_operator)
		return true;
	writer_errorf(s->reply, "NOPERM this user has no permissions to run the '%s' command", r->command->name);
	return false;
}

struct collection {
	struct tenant_array *out;
	size_t room;
	int error;
};

static void collect(void *context, struct tenant *t) {
	struct collection *c = context;
	if (c->error != 0)
		return;
	if (c->out->count == c->room) {
		size_t room = c->room == 0 ? 64 : c->room * 2;
		struct tenant **larger = realloc(c->out->at, room * sizeof(struct tenant *));
		if (larger == NULL) {
			c->error = -ENOMEM;
			return;
		}
		c->out->at = larger;
		c->room = room;
	}
	c->out->at[c->out->count++] = t;
}

int operator_own_tenants(struct environment *env, struct tenant_array *out) {
	*out = (struct tenant_array){NULL, 0};
	struct collection c = {.out = out};
	registry_each_of(env->registry, env->worker, collect, &c);
	if (c.error != 0)
		free(out->at);
	return c.error;
}

void fanout_gather_sum(struct session *s, struct fanout *c) {
	int64_t sum = 0;
	for (unsigned i = 0; i < c->workers; i++)
		sum += c->answers[i].number;
	writer_integer(s->reply, sum);
}

void fanout_gather_text(struct session *s, struct fanout *c) {
	struct slice text = buffer_slice(&c->answers[0].text);
	if (text.len != 0 && text.data[0] == '-')
		writer_errorf(s->reply, "%.*s", (int)text.len - 1, text.data + 1);
	else
		writer_raw(s->reply, text);
}
