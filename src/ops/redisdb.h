/* Redis database numbers: each site's cache and queue have their own, kept until the site goes in STATE/redis-databases. */
#ifndef GP_OPS_REDISDB_H
#define GP_OPS_REDISDB_H

#include <stdbool.h>
#include <stddef.h>

struct gp_ctx;
struct gp_error;
struct gp_plan;

enum { GP_REDIS_DATABASES = 256 }; /* as the redis.conf that goldpath includes says */

/* The number of `use` ("acme", "acme:celery"): the one recorded for it, else the lowest that is free in the record and in this plan, which
 * then gets a resource that records it. */
int gp_redisdb_number(struct gp_ctx *ctx, struct gp_plan *plan, const char *use, int *ret, struct gp_error *err);

/* The number of `use` is that one, whoever else has it: where a site that was set up by hand keeps what it has. To come before all that ask for
 * a number in this plan. Nothing where it is recorded already. */
int gp_redisdb_keep(struct gp_ctx *ctx, struct gp_plan *plan, const char *use, int number, struct gp_error *err);
/* How many databases the server must have for all that is recorded, and for the sites that have a file and no record yet. */
int gp_redisdb_needed(struct gp_ctx *ctx, int *ret, struct gp_error *err);

struct gp_redisdb {
	const char *line; /* as it stands in the record */
	const char *use;
	int number;
};
/* What is recorded for a site: its slug, and whatever begins with the slug and a colon. */
int gp_redisdb_of(struct gp_ctx *ctx, const char *slug, struct gp_redisdb **ret, size_t *ret_n, struct gp_error *err);
/* Is the number recorded for another site too? Only those that were set up by hand share one. */
int gp_redisdb_is_shared(struct gp_ctx *ctx, const char *slug, int number, bool *ret, struct gp_error *err);
/* redis://HOST:6379/N of this host's own server, with or without a user; *ret: N. False: it is another, or url is NULL. */
bool gp_redisdb_of_url(const char *url, int *ret);
const char *gp_redisdb_path(struct gp_ctx *ctx);

#endif
