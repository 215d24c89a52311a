/*
 * Resource types: the Redis server. It answers, nobody outside this host can ask it, and it runs with the settings that are meant.
 * Those it can take while it runs are set so, and no site notices; a restart is for those it reads only when it starts.
 */
#include <poll.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/error.h"
#include "plan/types.h"
#include "sys/ctx.h"
#include "sys/fs.h"
#include "sys/net.h"
#include "sys/redis.h"
#include "sys/unit.h"

enum { ASK_TIMEOUT_MS = 3000, RESTART_TIMEOUT_MS = 60000, REWRITE_TIMEOUT_MS = 120000, REWRITE_POLL_MS = 10 };

static const char redis_unit[] = "redis-server.service", here[] = "127.0.0.1";

enum { SETTINGS_MAX = 8 };

/* What Redis runs with, in the order of the settings. */
static int read_settings(struct gp_ctx *ctx, const struct gp_redis_server *spec, const char *ret[static SETTINGS_MAX], struct gp_error *err)
{
	const char *keys[SETTINGS_MAX];
	const char *values[SETTINGS_MAX];

	for (size_t i = 0; i < spec->n; i++)
		keys[i] = spec->settings[i].key;
	GP_TRY(gp_redis_config(here, spec->port, ASK_TIMEOUT_MS, ctx->arena, keys, spec->n, values, err));
	for (size_t i = 0; i < spec->n; i++)
		if (!values[i])
			return gp_fail(err, GP_E_FAILED, "Redis knows no setting '%s'", keys[i]);
	memcpy(ret, values, spec->n * sizeof(*values));
	return 0;
}

static int diff_settings(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_changes *changes, struct gp_error *err)
{
	const struct gp_redis_server *spec = resource->spec;
	const char *is[SETTINGS_MAX];

	GP_TRY(read_settings(ctx, spec, is, err));
	for (size_t i = 0; i < spec->n; i++)
		if (!gp_streq(is[i], spec->settings[i].value))
			gp_change_add(ctx, changes, '~', resource, "%s %s → %s", spec->settings[i].key, is[i], spec->settings[i].value);
	return 0;
}

static int diff(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_changes *changes, struct gp_error *err)
{
	const struct gp_redis_server *spec = resource->spec;
	struct gp_listener *listeners;
	size_t n;

	GP_TRY(gp_redis_ping(here, spec->port, NULL, ASK_TIMEOUT_MS, err));
	GP_TRY(gp_net_listeners(ctx->arena, false, &listeners, &n, err));
	for (size_t i = 0; i < n; i++)
		if (listeners[i].port == spec->port && !listeners[i].loopback)
			gp_change_add(ctx, changes, '~', resource, "listens on %s → loopback only", listeners[i].address);
	return diff_settings(ctx, resource, changes, err);
}

/* What a Redis that a package has just brought runs with. One that was told already and is only stopped will say nothing new. */
static void fresh(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_changes *changes)
{
	const struct gp_redis_server *spec = resource->spec;

	for (size_t i = 0; i < spec->n && !gp_fs_exists(spec->told_by); i++)
		if (!gp_streq(spec->settings[i].packaged, spec->settings[i].value))
			gp_change_add(ctx, changes, '~', resource, "%s %s → %s", spec->settings[i].key, spec->settings[i].packaged,
				spec->settings[i].value);
}

/*
 * CONFIG SET appendonly yes returns at once, and the file is written behind it: only when that has ended is everything in it. A Redis that is
 * told to stop before that says "Writing initial AOF, can't exit", goes on, and keeps systemd waiting for ever.
 */
static int wait_for_rewrite(struct gp_ctx *ctx, int port, struct gp_error *err)
{
	int64_t deadline = gp_mono_ms() + REWRITE_TIMEOUT_MS;

	for (;;) {
		const char *running, *scheduled, *status;

		GP_TRY(gp_redis_info(here, port, ASK_TIMEOUT_MS, ctx->arena, "persistence", "aof_rewrite_in_progress", &running, err));
		GP_TRY(gp_redis_info(here, port, ASK_TIMEOUT_MS, ctx->arena, "persistence", "aof_rewrite_scheduled", &scheduled, err));
		GP_TRY(gp_redis_info(here, port, ASK_TIMEOUT_MS, ctx->arena, "persistence", "aof_last_bgrewrite_status", &status, err));
		if (running && gp_streq(running, "0") && scheduled && gp_streq(scheduled, "0")) {
			if (status && gp_streq(status, "ok"))
				return 0;
			gp_fail(err, GP_E_FAILED, "Redis could not write its append-only file");
			return gp_hint(err, "is the disk full? see: journalctl -u redis-server and /var/log/redis/redis-server.log");
		}
		if (!gp_left_ms(deadline))
			return gp_fail(err, GP_E_FAILED, "Redis has been writing its append-only file for %d s", REWRITE_TIMEOUT_MS / 1000);
		poll(NULL, 0, REWRITE_POLL_MS); /* there is no event to wait for */
	}
}

/* The settings are in the file that it includes (before this one in the plan): a restart puts them in force. */
static int apply(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_error *err)
{
	const struct gp_redis_server *spec = resource->spec;
	struct gp_bus *bus;

	GP_TRY(gp_ctx_bus(ctx, &bus, err));
	GP_TRY(wait_for_rewrite(ctx, spec->port, err));
	return gp_unit_run(bus, redis_unit, GP_UNIT_RESTART, RESTART_TIMEOUT_MS, err);
}

const struct gp_resource_type gp_redis_type = { .name = "redis", .diff = diff, .fresh = fresh, .apply = apply };

static int live_apply(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_error *err)
{
	const struct gp_redis_server *spec = resource->spec;

	const char *is[SETTINGS_MAX];

	GP_TRY(read_settings(ctx, spec, is, err));
	for (size_t i = 0; i < spec->n; i++) {
		const struct gp_redis_setting *setting = &spec->settings[i];

		if (gp_streq(is[i], setting->value))
			continue;
		GP_TRY(gp_redis_config_set(here, spec->port, ASK_TIMEOUT_MS, setting->key, setting->value, err));
		if (gp_streq(setting->key, "appendonly") && gp_streq(setting->value, "yes"))
			GP_TRY(wait_for_rewrite(ctx, spec->port, err));
	}
	return 0;
}

const struct gp_resource_type gp_redis_live_type = { .name = "redis", .diff = diff_settings, .fresh = fresh, .apply = live_apply };
