/* Which commands may take long: the is_long of their rows. */
#pragma once

#include "atomdb/session/session.h"

/* Has many arguments. */
bool long_by_arguments(const struct session *s, const struct request *r);
/* Has more arguments than a few: each takes some microseconds. */
bool long_by_some_arguments(const struct session *s, const struct request *r);
/* Has options behind its arity. */
bool long_by_options(const struct session *s, const struct request *r);
/* Has arguments of many bytes, such as costly patterns. */
bool long_by_text(const struct session *s, const struct request *r);
/* RESTORE: what it unpacks is large, perhaps. */
bool long_by_text_bytes(const struct session *s, const struct request *r);
/* Its tenant has large values, perhaps. */
bool long_by_bytes(const struct session *s, const struct request *r);
bool long_by_arguments_or_bytes(const struct session *s, const struct request *r);
/* The value of its first key is large. */
bool long_by_value(const struct session *s, const struct request *r);
/* SET: the same, if it has options, such as GET. */
bool long_by_options_and_value(const struct session *s, const struct request *r);
/* The same, or it has a number that may be a large offset. */
bool long_by_offset(const struct session *s, const struct request *r);
bool long_by_arguments_or_offset(const struct session *s, const struct request *r);
bool long_by_arguments_or_value(const struct session *s, const struct request *r);
/* The tenant has many clients, subscriptions or patterns. */
bool long_by_clients(const struct session *s, const struct request *r);
/* (UN)SUBSCRIBE and its kin: the same, or has many arguments. */
bool long_by_subscribing(const struct session *s, const struct request *r);
bool long_by_subscriptions(const struct session *s, const struct request *r);
/* Its tenant has many keys. */
bool long_by_keys(const struct session *s, const struct request *r);
/* EXEC of many commands, or of one that may take long; or the tenant watches many keys. */
bool long_by_queue(const struct session *s, const struct request *r);
