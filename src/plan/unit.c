/* Resource type: the state of a systemd unit. Its file is a file like any other. */
#include "base/arena.h"
#include "base/error.h"
#include "plan/types.h"
#include "sys/ctx.h"
#include "sys/fs.h"
#include "sys/journal.h"
#include "sys/unit.h"

/* A unit's own TimeoutStopSec= is 120 s at most; after that systemd kills it. */
enum { JOB_TIMEOUT_MS = 120000, STOP_TIMEOUT_MS = 150000 };

static int look(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_unit_state *ret, struct gp_bus **ret_bus,
	struct gp_error *err)
{
	const struct gp_unit *spec = resource->spec;

	GP_TRY(gp_ctx_bus(ctx, ret_bus, err));
	GP_TRY(gp_unit_state(*ret_bus, ctx->arena, resource->name, ret, err));
	if (!spec->present)
		return 0;
	if (gp_streq(ret->load, "masked")) {
		gp_fail(err, GP_E_REFUSED, "%s is masked: somebody does not want it to run", resource->name);
		return gp_hint(err, "`systemctl unmask %s`, then this again", resource->name);
	}
	if (gp_streq(ret->load, "not-found"))
		return gp_fail(err, GP_E_FAILED, "there is no unit %s", resource->name);
	if (gp_streq(ret->load, "bad-setting") || gp_streq(ret->load, "error"))
		return gp_fail(err, GP_E_FAILED, "systemd cannot load %s: %s", resource->name, ret->load);
	return 0;
}

static const char *unit_path(struct gp_ctx *ctx, const char *unit)
{
	return gp_sprintf(ctx->arena, "/etc/systemd/system/%s", unit);
}

static bool runs(const struct gp_unit_state *state)
{
	return gp_streq(state->active, "active") || gp_streq(state->active, "reloading") || gp_streq(state->active, "activating");
}

/* static and alias units have no [Install] section of their own: somebody else pulls them in. */
static bool is_enabled(const struct gp_unit_state *state)
{
	return gp_streq(state->file, "enabled") || gp_streq(state->file, "static") || gp_streq(state->file, "alias") ||
		gp_streq(state->file, "generated") || gp_streq(state->file, "indirect");
}

/* Nothing of it is left: no process, no file, no memory of a failure. */
static bool is_gone(struct gp_ctx *ctx, const char *unit, const struct gp_unit_state *state)
{
	return gp_streq(state->active, "inactive") && !gp_fs_exists(unit_path(ctx, unit));
}

static int diff(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_changes *changes, struct gp_error *err)
{
	const struct gp_unit *spec = resource->spec;
	struct gp_unit_state state;
	struct gp_bus *bus;

	GP_TRY(look(ctx, resource, &state, &bus, err));
	if (!spec->present) {
		if (!is_gone(ctx, resource->name, &state))
			gp_change_add(ctx, changes, '-', resource, "%s", "");
		return 0;
	}
	if (spec->enabled && !is_enabled(&state))
		gp_change_add(ctx, changes, '~', resource, "%s → enabled", state.file);
	if (spec->running && !runs(&state))
		gp_change_add(ctx, changes, '~', resource, "%s → running", state.active);
	return 0;
}

static int take_away(struct gp_ctx *ctx, struct gp_bus *bus, const char *unit, const struct gp_unit_state *state, struct gp_error *err)
{
	if (!gp_streq(state->active, "inactive") && !gp_streq(state->active, "failed"))
		GP_TRY(gp_unit_run(bus, unit, GP_UNIT_STOP, STOP_TIMEOUT_MS, err));
	if (gp_fs_exists(unit_path(ctx, unit))) {
		GP_TRY(gp_unit_disable(bus, unit, err));
		GP_TRY(gp_fs_remove(unit_path(ctx, unit), err));
		GP_TRY(gp_unit_daemon_reload(bus, err));
	}
	return gp_unit_reset_failed(bus, unit, err);
}

static int apply(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_error *err)
{
	const struct gp_unit *spec = resource->spec;
	struct gp_unit_state state;
	struct gp_bus *bus;

	GP_TRY(look(ctx, resource, &state, &bus, err));
	if (!spec->present)
		return take_away(ctx, bus, resource->name, &state, err);
	if (spec->enabled && !is_enabled(&state))
		GP_TRY(gp_unit_enable(bus, resource->name, err));
	if (!spec->running || runs(&state))
		return 0;
	if (spec->stop_first)
		GP_TRY(gp_unit_run(bus, spec->stop_first, GP_UNIT_STOP, JOB_TIMEOUT_MS, err));
	GP_TRY(gp_unit_reset_failed(bus, resource->name, err));
	if (gp_unit_run(bus, resource->name, GP_UNIT_START, JOB_TIMEOUT_MS, err) < 0) {
		const char *tail = "";

		gp_journal_tail(ctx->arena, resource->name, 20, 0, &tail, NULL);
		gp_detail(err, tail, __builtin_strlen(tail));
		return gp_hint(err, "`journalctl -u %s` has all of it", resource->name);
	}
	return 0;
}

const struct gp_resource_type gp_unit_type = { .name = "unit", .diff = diff, .apply = apply };
