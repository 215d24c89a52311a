/* Looking through much data at once, 16 bytes a step. Pure. */
#ifndef GP_BASE_SCAN_H
#define GP_BASE_SCAN_H

#include <stddef.h>

/* How often byte is in data. */
size_t gp_scan_count(const char *data, size_t len, char byte);
/* Where `first` and right after it `second` stand, both within data; NULL: nowhere. */
const char *gp_scan_pair(const char *data, size_t len, char first, char second);

#endif
