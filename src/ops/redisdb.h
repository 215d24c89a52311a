/* Redis database numbers: each site's cache and queue have their own, kept until the site goes in STATE/redis-databases. */
#ifndef GP_OPS_REDISDB_H
#define GP_OPS_REDISDB_H

#include <stddef.h>

struct gp_ctx;
struct gp_error;
struct gp_plan;

enum { GP_REDIS_DATABASES = 256 }; /* as the redis.conf that goldpath includes says */

/* The number of `use` ("acme", "acme:celery"): the one recorded for it, else the lowest that is free in the record and in this plan, which
 * then gets a resource that records it. */
int gp_redisdb_number(struct gp_ctx *ctx, struct gp_plan *plan, const char *use, int *ret, struct gp_error *err);

/* What is recorded for a site: its slug, and whatever begins with the slug and a colon. */
struct gp_redisdb {
	const char *line; /* as it stands in the record */
	int number;
};
int gp_redisdb_of(struct gp_ctx *ctx, const char *slug, struct gp_redisdb **ret, size_t *ret_n, struct gp_error *err);
const char *gp_redisdb_path(struct gp_ctx *ctx);

#endif
