#include "store/value/types.h"

#include "atomdb/rdb/string.h"
#include "store/value/string.h"

static const struct value_type rows[] = {
#define VALUE_TYPE(tag, ...) [tag] = {__VA_ARGS__},
#include "store/value/types.def"
#undef VALUE_TYPE
};

const struct value_types value_types = {rows, sizeof(rows) / sizeof(rows[0])};
