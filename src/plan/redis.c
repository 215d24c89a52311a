/* Resource type: the Redis server. It answers, and nobody outside this host can ask it. */
#include "base/error.h"
#include "plan/types.h"
#include "sys/ctx.h"
#include "sys/net.h"
#include "sys/redis.h"
#include "sys/unit.h"

enum { PING_TIMEOUT_MS = 3000, RESTART_TIMEOUT_MS = 60000 };

static const char redis_unit[] = "redis-server.service";

static int diff(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_changes *changes, struct gp_error *err)
{
	const struct gp_redis_server *spec = resource->spec;
	struct gp_listener *listeners;
	size_t n;

	GP_TRY(gp_redis_ping("127.0.0.1", spec->port, NULL, PING_TIMEOUT_MS, err));
	GP_TRY(gp_net_listeners(ctx->arena, false, &listeners, &n, err));
	for (size_t i = 0; i < n; i++)
		if (listeners[i].port == spec->port && !listeners[i].loopback)
			gp_change_add(ctx, changes, '~', resource, "listens on %s → loopback only", listeners[i].address);
	return 0;
}

/* Once redis-server is installed, and started by its package, there is nothing to say of it. */
static void fresh(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_changes *changes)
{
	(void)ctx, (void)resource, (void)changes;
}

/* The bind line is in the configuration already (a file before this one in the plan): a restart puts it in force. */
static int apply(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_error *err)
{
	struct gp_bus *bus;

	(void)resource;
	GP_TRY(gp_ctx_bus(ctx, &bus, err));
	return gp_unit_run(bus, redis_unit, GP_UNIT_RESTART, RESTART_TIMEOUT_MS, err);
}

const struct gp_resource_type gp_redis_type = { .name = "redis", .diff = diff, .fresh = fresh, .apply = apply };
