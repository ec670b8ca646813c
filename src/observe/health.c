#include "atomdb/observe/health.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "observe/text.h"

bool health_ok(const struct health *h) {
	return h->state == HEALTH_SERVING && !h->stuck;
}

int health_render(const struct health *h, struct buffer *out) {
	struct text t = {.out = out};
	switch (h->state) {
	case HEALTH_LOADING:
		text_string(&t, "{\"status\":\"loading\",\"reason\":\"the data is not ready yet\"}\n");
		break;
	case HEALTH_STOPPING:
		text_string(&t, "{\"status\":\"stopping\",\"reason\":\"the server stops\"}\n");
		break;
	case HEALTH_SERVING:
		if (!h->stuck) {
			text_string(&t, "{\"status\":\"ok\"}\n");
			break;
		}
		text_string(&t, "{\"status\":\"stuck\",\"reason\":\"worker ");
		text_u64(&t, h->stuck_worker);
		text_string(&t, " does not answer\",\"worker\":");
		text_u64(&t, h->stuck_worker);
		text_string(&t, "}\n");
		break;
	}
	return t.error;
}
