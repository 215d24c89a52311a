/* Redis database numbers: each site's cache and queue have their own, kept for good in STATE/redis-databases. */
#ifndef GP_OPS_REDISDB_H
#define GP_OPS_REDISDB_H

#include <stdbool.h>

struct gp_ctx;
struct gp_error;

enum { GP_REDIS_DATABASES = 256 }; /* as the redis.conf that goldpath includes says */

/* The number recorded for `use` ("acme", "acme:celery"), else the lowest that is free, recorded if `record`. */
int gp_redisdb_number(struct gp_ctx *ctx, const char *use, bool record, int *ret, struct gp_error *err);

#endif
