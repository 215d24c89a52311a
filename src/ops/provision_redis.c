/*
 * Redis' part of the plan. It is the sites' cache and their queue at once, so it has to forget what may be forgotten and nothing else:
 * - maxmemory with volatile-lru: only keys with an expiry are dropped when memory is full. Cached values have one, queues do not;
 * - an append-only file, synced each second: a queue that is lost in a crash is mail never sent;
 * - 256 databases, so that each site has numbers of its own.
 * /etc/redis/redis.conf stays the distribution's but for one include line.
 */
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/template.h"
#include "data/embed.h"
#include "ops/adding.h"
#include "ops/provision.h"
#include "ops/redisdb.h"
#include "plan/types.h"
#include "sys/ctx.h"
#include "sys/fs.h"
#include "sys/memory.h"

static const char conf_path[] = "/etc/redis/goldpath.conf";

enum { PACKAGED = 16 }; /* databases, as the distribution's redis.conf has it */
enum { PORT = 6379, CONF_MODE = 0644 };
enum { MIB = 1 << 20, AUTO_STEP = 512 * MIB };

/* A quarter of the host's memory: the rest is for gunicorn, Postgres and the page cache. MemTotal is a little less than what the host
 * was sold with, and moves with the kernel: rounded up to the next half gigabyte it does not. */
uint64_t gp_redis_maxmemory(uint64_t host_bytes, int64_t megabytes)
{
	uint64_t step = (uint64_t)AUTO_STEP;

	return megabytes ? (uint64_t)megabytes * MIB : (host_bytes + step - 1) / step * step / 4;
}

static const struct gp_redis_setting *settings(struct gp_ctx *ctx, const char *maxmemory, size_t *ret_n)
{
	const struct gp_redis_setting rows[] = {
		{ "appendonly", "yes", "no" },
		{ "appendfsync", "everysec", "everysec" },
		{ "maxmemory", maxmemory, "0" },
		{ "maxmemory-policy", "volatile-lru", "noeviction" },
	};

	*ret_n = sizeof(rows) / sizeof(rows[0]);
	return memcpy(gp_alloc(ctx->arena, sizeof(rows)), rows, sizeof(rows));
}

/* Somebody is being served by a site of this host, goldpath's or not: a Redis that restarts is an error page for each request meanwhile. */
static bool serves(struct gp_ctx *ctx)
{
	struct gp_strv names = { 0 };

	gp_fs_list(ctx->arena, "/run", &names, NULL);
	for (size_t i = 0; i < names.n; i++)
		if (gp_starts_with(names.v[i], "sum-") && gp_fs_exists(gp_sprintf(ctx->arena, "/run/%s/gunicorn.sock", names.v[i])))
			return true;
	return false;
}

int gp_provision_redis(struct gp_ctx *ctx, struct gp_plan *plan, const struct gp_host *host, struct gp_error *err)
{
	static const struct gp_unit unit = { .enabled = true, .running = true, .present = true, .by_package = true };
	static const struct gp_redis_setting at_start[] = { { "databases", "256", "16" } };
	struct gp_redis_server *server = SPEC(struct gp_redis_server, .port = PORT, .settings = at_start, .n = 1, .told_by = conf_path);
	static const struct gp_file_line include = { .line = "include /etc/redis/goldpath.conf" };
	struct gp_redis_server *live = SPEC(struct gp_redis_server, .port = PORT, .told_by = conf_path);
	const char *maxmemory, *conf, *firewall = host->firewall == GP_FIREWALL_OFF ? NULL : GP_RES_FIREWALL;
	uint64_t total;
	int needed;

	GP_TRY(gp_memory_total(&total, err));
	maxmemory = gp_sprintf(ctx->arena, "%llu", (unsigned long long)gp_redis_maxmemory(total, host->redis_maxmemory));
	GP_TRY(gp_template(ctx->arena, gp_data_redis_conf, &(struct gp_var){ "maxmemory", maxmemory }, 1, &conf, err));
	live->settings = settings(ctx, maxmemory, &live->n);
	GP_TRY(gp_redisdb_needed(ctx, &needed, err));
	/* As many as the distribution's are enough: the file has said 256 since, and whatever restarts Redis next brings them. */
	if (needed <= PACKAGED && serves(ctx))
		server->n = 0;
	ADD(.type = &gp_unit_type, .name = "redis-server.service", .spec = &unit, .after = { GP_RES_PACKAGES });
	/* Before the file: a Redis that started with appendonly and no such file yet would take it for an empty one, and its data for gone. */
	ADD(.type = &gp_redis_live_type, .name = "running", .spec = live, .after = { "redis-server.service", GP_RES_PACKAGES, firewall });
	ADD(.type = &gp_file_type, .name = conf_path, .after = { GP_RES_PACKAGES },
		.spec = SPEC(struct gp_file, .content = conf, .owner = "root", .group = "root", .mode = CONF_MODE));
	ADD(.type = &gp_file_line_type, .name = "/etc/redis/redis.conf", .spec = &include, .after = { conf_path });
	ADD(.type = &gp_redis_type, .name = "on 127.0.0.1:6379", .spec = server,
		.after = { "redis-server.service", "/etc/redis/redis.conf", GP_RES_PACKAGES, firewall });
	return 0;
}
