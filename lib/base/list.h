/* SPDX-License-Identifier: MIT */
/* An intrusive doubly linked list: the links live in the objects, so linking never allocates. */
#ifndef SKEP_BASE_LIST_H
#define SKEP_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
	struct list *next, *prev;
};

static inline void list_init(struct list *l)
{
	l->next = l->prev = l;
}

static inline bool list_empty(const struct list *l)
{
	return l->next == l;
}

static inline void list_add_tail(struct list *l, struct list *node)
{
	node->prev = l->prev;
	node->next = l;
	l->prev->next = node;
	l->prev = node;
}

static inline void list_add_head(struct list *l, struct list *node)
{
	list_add_tail(l->next, node);
}

/* Unlinks; the node is then a list of its own, so that unlinking twice is harmless. */
static inline void list_del(struct list *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	list_init(node);
}

#define list_entry(node, type, member) ((type *)(void *)((char *)(node)-offsetof(type, member)))

#define list_first(l, type, member)                                                                \
	(list_empty(l) ? NULL : list_entry((l)->next, type, member))

/* The current entry may be unlinked or freed in the body; `break` and `continue` work. */
#define list_each(type, var, l, member)                                                            \
	for (type *var = list_entry((l)->next, type, member),                                      \
		  *var##_next = list_entry(var->member.next, type, member);                        \
	     &var->member != (l);                                                                  \
	     var = var##_next, var##_next = list_entry(var->member.next, type, member))

#endif
