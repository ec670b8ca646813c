#include "net/share.h"

void share_init(struct share *s) {
	*s = (struct share){.least_ns = UINT64_MAX, .ahead_ns = SHARE_SLICE_NS};
}

void share_serve_ahead(struct share *s) {
	if (s->least_ns != UINT64_MAX && s->least_ns > s->time_ns)
		s->time_ns = s->least_ns;
	s->ahead_ns = SHARE_SLICE_NS;
}

void share_begin_turn(struct share *s) {
	share_serve_ahead(s);
	s->least_ns = UINT64_MAX;
}
