/* Which backups stay. Pure. */
#ifndef GP_OPS_RETENTION_H
#define GP_OPS_RETENTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gp_retained {
	int64_t when;
	bool good;   /* proven: only such ones count, and only such ones may go */
	bool needed; /* by a release that is there */
	bool stays;  /* the answer */
};

struct gp_retention {
	int64_t daily, weekly, monthly;
};

/*
 * The newest of each of the last `daily` days, `weekly` weeks (from Monday) and `monthly` months in which there was one, by UTC. Besides stays
 * what is not good, what is needed, the newest good one, and what is younger than a day. In any order.
 */
void gp_retention_choose(const struct gp_retention *keep, int64_t now, struct gp_retained *list, size_t n);

#endif
