#include "atomdb/events/invalidation.h"

#define CHANNEL SLICE("__redis__:invalidate")

/* Notifies a client of RESP3 that the target session of its redirection has ended. */
static void tell_broken(struct subscriptions *h, struct tracking *x) {
	x->options |= TRACKING_BROKEN;
	if (x->session->protocol == 2)
		return;
	struct writer w = push_head(&h->push, 2);
	writer_bulk(&w, SLICE("tracking-redir-broken"));
	writer_integer(&w, x->redirect_id);
	/* This is not part of the current body. */
	if (!w.failed)
		push_send_bytes(&h->push, x->session, buffer_slice(&h->push.head));
}

/* Sends the body to the session that receives the invalidations of `s`, or to `s` itself if it does not track. */
static void tell(struct subscriptions *h, struct session *s) {
	struct tracking *x = s->subscriber == NULL ? NULL : s->subscriber->tracking;
	struct session *to = s;
	bool redirected = x != NULL && x->redirect_id != 0;
	if (x == NULL && h->own_redirect != 0) {
		redirected = true;
		to = session_by_id(h->tenant, (uint64_t)h->own_redirect);
		if (to == NULL)
			return;
	}
	struct writer w;
	if (redirected && x != NULL) {
		if (x->redirect == NULL) {
			tell_broken(h, x);
			return;
		}
		to = x->redirect;
	}
	if (to->protocol > 2) {
		w = push_head(&h->push, 2);
		writer_bulk(&w, SLICE("invalidate"));
	} else if (redirected && (to->flags & SESSION_SUBSCRIBED)) {
		w = push_head(&h->push, 3);
		writer_bulk(&w, SLICE("message"));
		writer_bulk(&w, CHANNEL);
	} else {
		return;
	}
	if (!w.failed)
		push_send(&h->push, to);
}

void invalidation_send(struct subscriptions *h, struct tracking *x) {
	struct slice body = push_body_bytes(&h->push);
	if (x->session != h->push.current || h->push.unplanned) {
		tell(h, x->session);
		return;
	}
	push_hold(&h->push, &h->push.own, &body.len, sizeof(body.len));
	push_hold(&h->push, &h->push.own, body.data, body.len);
}

void invalidation_write_null(struct subscriptions *h, const struct session *s) {
	struct writer w = push_body(&h->push, 0);
	writer_raw(&w, s->protocol == 2 ? SLICE("$-1\r\n") : SLICE("_\r\n"));
}

void invalidation_send_own(struct subscriptions *h, struct session *s) {
	size_t len = s->reply->failed ? 0 : h->push.own.bytes.len;
	struct slice body;
	for (size_t at = 0; at < len; at += body.len) {
		memcpy(&body.len, h->push.own.bytes.data + at, sizeof(body.len));
		at += sizeof(body.len);
		body.data = h->push.own.bytes.data + at;
		struct writer w = push_body(&h->push, body.len);
		writer_raw(&w, body);
		if (w.failed)
			invalidation_write_null(h, s);
		tell(h, s);
	}
	push_end(&h->push);
	push_release(&h->push.own);
	h->own_redirect = 0;
}

bool invalidation_write_name(struct subscriptions *h, struct slice name) {
	struct writer w = push_body(&h->push, name.len + INVALIDATION_NAME_ROOM);
	writer_array(&w, 1);
	writer_bulk(&w, name);
	return !w.failed;
}
