/* Who is at work on this host: the locks of host and sites, and who holds them. */
#ifndef GP_OPS_LOCKS_H
#define GP_OPS_LOCKS_H

#include <stdbool.h>
#include <stddef.h>

#include "sys/lock.h"

struct gp_ctx;

struct gp_lock_state {
	const char *name; /* "host", or a slug */
	bool held;
	struct gp_lock_holder holder; /* if it is */
};

/*
 * The host's and every site's, with those of sites that have no file any more as long as they are held; slug: the host's and that site's,
 * since a provision of a site takes the host's only. In the arena of ctx.
 */
int gp_locks_look(struct gp_ctx *ctx, const char *slug, struct gp_lock_state **ret, size_t *ret_n, struct gp_error *err);

#endif
