/* The CRC of 64 bits that Redis puts behind what it dumps: the polynomial of Jones, reflected. */
#pragma once

#include <stdint.h>

#include "atomdb/util/slice.h"

/* Goes on from `crc`, which is 0 at the beginning. */
uint64_t crc64(uint64_t crc, struct slice bytes);
