#include "store/arena/fragmentation.h"

/* The least number of spare slabs of all classes for which passes begin: 1 MiB. */
#define SPARE_MIN 16u
/* Passes begin for a class with 1/BEGIN_SHARE of its slabs to spare, and end when less than 1/END_SHARE is left. */
#define BEGIN_SHARE 5u
#define END_SHARE   16u
/* Slabs in a step of the survey. */
#define SURVEY_STEP 8u

static unsigned units_of(unsigned class) {
	return (unsigned)(arena_class_size(class) / ARENA_UNIT);
}

/* Returns the number of slabs of a class that its blocks do not need. */
static uint32_t spare_slabs(const struct fragmentation *s, unsigned class) {
	const struct fragmentation_class *c = &s->classes[class];
	uint32_t each = SLAB_UNITS / units_of(class);
	uint32_t needed = (uint32_t)((c->blocks + each - 1) / each);

	return c->slabs > needed ? c->slabs - needed : 0;
}

static bool is_enough(const struct fragmentation *s, unsigned class, unsigned share) {
	uint32_t spare = spare_slabs(s, class);

	return spare != 0 && (s->thorough || (uint64_t)spare * share >= s->classes[class].slabs);
}

static bool is_slab(const struct descriptor *d) {
	return d->state == PAGE_SLAB + ARENA_ENTRY && d->used != 0;
}

void fragmentation_start(struct fragmentation *s, bool thorough) {
	*s = (struct fragmentation){.phase = FRAGMENTATION_SURVEY, .thorough = thorough, .page = FIRST_PAGE};
}

/* Selects the classes for the next pass, or ends. */
static void decide(struct fragmentation *s) {
	uint32_t spare = 0;

	for (unsigned class = 0; class < CLASSES; class ++) {
		s->classes[class].selected = is_enough(s, class, s->repeated ? END_SHARE : BEGIN_SHARE);
		spare += s->classes[class].selected ? spare_slabs(s, class) : 0;
	}
	s->phase = spare >= (s->thorough ? 1 : SPARE_MIN) ? FRAGMENTATION_PASS : FRAGMENTATION_IDLE;
	s->page = FIRST_PAGE;
	s->unit = 0;
	s->spared = 0;
}

void fragmentation_survey(struct fragmentation *s, const struct arena *a, unsigned *steps) {
	uint32_t end = a->header->end;

	for (; *steps != 0 && s->page < end; --*steps)
		for (unsigned i = 0; i < SURVEY_STEP && s->page < end; i++, s->page += SLAB_PAGES) {
			const struct descriptor *d = descriptor(a, s->page);

			if (!is_slab(d))
				continue;
			s->classes[d->size].slabs++;
			s->classes[d->size].blocks += d->used;
		}
	if (s->page >= end)
		decide(s);
}

/* Returns whether a slab of entries is to be emptied. */
static bool is_selected(const struct fragmentation *s, const struct descriptor *d) {
	const struct fragmentation_class *c = &s->classes[d->size];

	return c->selected && d->used < SLAB_UNITS / units_of(d->size) && d->used * (uint64_t)c->slabs <= c->blocks &&
	       is_enough(s, d->size, END_SHARE);
}

static unsigned take_of_slab(struct fragmentation *s, const struct arena *a, const struct descriptor *d, ref *blocks,
			     unsigned max, unsigned *steps) {
	unsigned units = units_of(d->size), taken = 0;

	/* The pages may have become a slab of another class. */
	if (s->class != d->size)
		s->unit = 0;
	s->class = d->size;
	for (; taken < max && *steps != 0 && s->unit + units <= d->mark; s->unit += units, --*steps) {
		ref block = s->page * UNITS_PER_PAGE + s->unit;

		if (*(const uint32_t *)arena_at(a, block) != 0)
			blocks[taken++] = block;
	}
	return taken;
}

static void end_pass(struct fragmentation *s) {
	bool thorough = s->thorough, repeated = s->spared != 0;

	*s = (struct fragmentation){0};
	if (!repeated)
		return;
	fragmentation_start(s, thorough);
	s->repeated = true;
}

unsigned fragmentation_take(struct fragmentation *s, const struct arena *a, ref *blocks, unsigned max,
			    unsigned *steps) {
	while (*steps != 0 && s->page < a->header->end) {
		const struct descriptor *d = descriptor(a, s->page);

		if (is_slab(d) && is_selected(s, d)) {
			unsigned taken = take_of_slab(s, a, d, blocks, max, steps);

			if (taken != 0 || *steps == 0)
				return taken;
		} else if (s->unit != 0 && !is_slab(d)) {
			s->classes[s->class].slabs--;
			s->spared++;
		}
		s->page += SLAB_PAGES;
		s->unit = 0;
		if (*steps != 0)
			--*steps;
	}
	if (s->page >= a->header->end)
		end_pass(s);
	return 0;
}

bool fragmentation_make_way(struct fragmentation *s, struct arena *a, ref block) {
	uint32_t page = block / SLAB_UNITS * SLAB_PAGES;
	const struct descriptor *d = descriptor(a, page);
	uint32_t *head = &a->header->partial[ARENA_ENTRY][d->size];

	if (*head == page && d->next != 0) {
		uint32_t next = d->next;

		pages_list_unlink(a, head, next);
		pages_list_push(a, head, next);
	}
	if (*head != page && *head != 0)
		return true;
	s->classes[d->size].selected = false;
	return false;
}
