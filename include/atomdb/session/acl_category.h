/* Redis's ACL categories: AtomDB has no users and no rules, but clients ask which commands are in which. */
#pragma once

#include "atomdb/session/command.h"

/* In the order in which COMMAND INFO names them. */
enum acl_category {
	ACL_KEYSPACE = 1 << 0,
	ACL_READ = 1 << 1,
	ACL_WRITE = 1 << 2,
	ACL_SET = 1 << 3,
	ACL_SORTEDSET = 1 << 4,
	ACL_LIST = 1 << 5,
	ACL_HASH = 1 << 6,
	ACL_STRING = 1 << 7,
	ACL_BITMAP = 1 << 8,
	ACL_HYPERLOGLOG = 1 << 9,
	ACL_GEO = 1 << 10,
	ACL_STREAM = 1 << 11,
	ACL_PUBSUB = 1 << 12,
	ACL_ADMIN = 1 << 13,
	ACL_FAST = 1 << 14,
	ACL_SLOW = 1 << 15,
	ACL_BLOCKING = 1 << 16,
	ACL_DANGEROUS = 1 << 17,
	ACL_CONNECTION = 1 << 18,
	ACL_TRANSACTION = 1 << 19,
	ACL_SCRIPTING = 1 << 20,
};

/* All ACL categories of a command: its own and those that its flags imply. */
uint32_t command_categories(const struct command *c);
/* Redis's name of one category (one bit of enum acl_category); NULL beyond the last. */
const char *command_category_name(unsigned bit);
