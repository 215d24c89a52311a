/* Time: UTC stamps for names and records, the monotonic clock for everything that is measured or waited for. */
#ifndef GP_BASE_CLOCK_H
#define GP_BASE_CLOCK_H

#include <stdint.h>

struct gp_arena;

/* Milliseconds of CLOCK_MONOTONIC: unaffected by a clock that jumps. */
int64_t gp_mono_ms(void);
/* What is left until a deadline on that clock, never below 0. */
int64_t gp_left_ms(int64_t deadline_ms);

/* Seconds since the epoch. */
int64_t gp_now(void);
/* "20260131T235959Z", as in backup and release names. */
const char *gp_stamp(struct gp_arena *arena, int64_t when);
/* The moment that such a text names, 0 where it is none. What stands behind it does not matter. */
int64_t gp_stamp_time(const char *stamp);
/* "2026-01-31T23:59:59Z" (RFC 3339), as in records. */
const char *gp_rfc3339(struct gp_arena *arena, int64_t when);
/* "8 ms", "2.4 s", "1 min 12 s". */
const char *gp_duration(struct gp_arena *arena, int64_t ms);
/* "40 seconds", "3 hours", "1 day": how long ago, in the largest unit of which there is one. */
const char *gp_age(struct gp_arena *arena, int64_t seconds);

#endif
