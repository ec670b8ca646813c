/* Intrusive circular doubly linked lists of objects on the heap. */
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

/* Returns true if the node is in a list. list_init() or list_remove() must have been called on it once. */
static inline bool list_linked(const struct list *node) {
	return node->next != node;
}

static inline void list_push_back(struct list *l, struct list *node) {
	node->prev = l->prev;
	node->next = l;
	l->prev->next = node;
	l->prev = node;
}

/* Unlinks a node. A node that is in no list is unchanged. */
static inline void list_remove(struct list *node) {
	node->prev->next = node->next;
	node->next->prev = node->prev;
	list_init(node);
}

/* Moves all nodes of `from` to the end of `to`. */
static inline void list_move_all(struct list *to, struct list *from) {
	if (list_empty(from))
		return;
	from->next->prev = to->prev;
	to->prev->next = from->next;
	from->prev->next = to;
	to->prev = from->prev;
	list_init(from);
}

#define list_entry(node, type, member) ((type *)(void *)((char *)(node)-offsetof(type, member)))

/* Iterates over a list. The body may remove the current node, but no other. */
#define list_for_each(node, l)                                                      \
	for (struct list *node = (l)->next, *node##_next = node->next; node != (l); \
	     node = node##_next, node##_next = node->next)
