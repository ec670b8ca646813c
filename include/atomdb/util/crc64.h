/* The 64-bit CRC of Redis's DUMP format: the Jones polynomial, reflected. */
#pragma once

#include <stdint.h>

#include "atomdb/util/slice.h"

/* Continues the CRC `crc` over `bytes`. Begin with 0. */
uint64_t crc64(uint64_t crc, struct slice bytes);
