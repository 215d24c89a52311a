/* The sites of this host, each file read once: those that a command is about, and their neighbours. */
#ifndef GP_OPS_SITES_H
#define GP_OPS_SITES_H

#include "base/error.h"
#include "conf/site.h"

struct gp_ctx;

struct gp_sites {
	struct gp_site *v;
	size_t n;              /* all whose files can be read */
	size_t asked;          /* the first so many are asked for, the others are neighbours */
	size_t unread;         /* cannot be read */
	size_t broken;         /* of those: asked for */
	struct gp_error first; /* why, of the first of those */
};

/*
 * slug: that one, and an error if it cannot be read. NULL: all; one that cannot be read is told of as a warning and stops no other.
 * Two sites that both want a name, a database or a role, one of them asked for, are a configuration error.
 */
int gp_sites_load(struct gp_ctx *ctx, const char *slug, struct gp_sites *ret, struct gp_error *err);

/* The same for one site that has no file yet, or will have another one. */
int gp_sites_with(struct gp_ctx *ctx, const struct gp_site *site, struct gp_sites *ret, struct gp_error *err);

/* The others are done: an error if some were left out. */
int gp_sites_check(const struct gp_sites *sites, struct gp_error *err);

/* Does any site of this host speak HTTPS? */
bool gp_sites_https(const struct gp_sites *sites);

#endif
