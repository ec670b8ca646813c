/* Intrusive circular doubly linked lists of things on the heap. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct list {
	struct list *next;
	struct list *prev;
};

static inline void list_init(struct list *l) {
	l->next = l->prev = l;
}

static inline bool list_empty(const struct list *l) {
	return l->next == l;
}

/* Whether a node is in a list; a node must have been through list_init or list_remove once. */
static inline bool list_linked(const struct list *node) {
	return node->next != node;
}

static inline void list_push_back(struct list *l, struct list *node) {
	node->prev = l->prev;
	node->next = l;
	l->prev->next = node;
	l->prev = node;
}

/* Unlinks a node; harmless for one that is in no list. */
static inline void list_remove(struct list *node) {
	node->prev->next = node->next;
	node->next->prev = node->prev;
	list_init(node);
}

#define list_entry(node, type, member) ((type *)(void *)((char *)(node)-offsetof(type, member)))

/* Walks a list; the current node may be removed, no other. */
#define list_for_each(node, l)                                                      \
	for (struct list *node = (l)->next, *node##_next = node->next; node != (l); \
	     node = node##_next, node##_next = node->next)
