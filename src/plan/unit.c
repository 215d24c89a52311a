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

static bool is_masked(const struct gp_unit_state *state)
{
	return gp_streq(state->load, "masked");
}

/* systemd itself left the start out: timesyncd in a container, where the clock is the host's. That is how it should be. */
static bool need_not_run(const struct gp_unit_state *state)
{
	return gp_streq(state->active, "inactive") && state->condition_unmet;
}

/* Nothing of it is left: no process, no file, no memory of a failure. */
static bool is_gone(struct gp_ctx *ctx, const char *unit, const struct gp_unit_state *state)
{
	return gp_streq(state->active, "inactive") && !gp_fs_exists(unit_path(ctx, unit));
}

/* Is all as it should be? One cheap question for the case that is nearly always so; a no is only a reason to look closely. */
static bool is_well(struct gp_ctx *ctx, struct gp_bus *bus, const struct gp_resource *resource)
{
	const struct gp_unit *spec = resource->spec;
	struct gp_unit_state state;

	if (!spec->present && !gp_fs_exists(unit_path(ctx, resource->name)) && !gp_unit_is_known(bus, resource->name))
		return true;
	if (gp_unit_glance(bus, ctx->arena, resource->name, &state, NULL) < 0)
		return false;
	if (!spec->present)
		return is_gone(ctx, resource->name, &state);
	return gp_streq(state.load, "loaded") && (!spec->running || runs(&state) || need_not_run(&state)) &&
		(!spec->enabled || gp_unit_is_linked(ctx->arena, resource->name));
}

/* Its file, a resource before this one, is a mask now and will not be one then. */
static bool loses_mask(struct gp_ctx *ctx, const struct gp_resource *resource)
{
	const struct gp_unit *spec = resource->spec;
	const char *to = gp_fs_readlink(ctx->arena, unit_path(ctx, resource->name));

	return spec->own_file && to && gp_streq(to, "/dev/null");
}

static int diff(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_changes *changes, struct gp_error *err)
{
	const struct gp_unit *spec = resource->spec;
	struct gp_unit_state state;
	struct gp_bus *bus;

	GP_TRY(gp_ctx_bus(ctx, &bus, err));
	if (is_well(ctx, bus, resource))
		return 0;
	GP_TRY(look(ctx, resource, &state, &bus, err));
	if (!spec->present) {
		if (!is_gone(ctx, resource->name, &state))
			gp_change_add(ctx, changes, '-', resource, "%s", "");
		return 0;
	}
	if (loses_mask(ctx, resource)) {
		if (spec->enabled && !gp_unit_is_linked(ctx->arena, resource->name))
			gp_change_add(ctx, changes, '~', resource, "disabled → enabled");
	} else if (is_masked(&state))
		gp_change_add(ctx, changes, '~', resource, "masked → %s", spec->enabled ? "enabled" : "not masked");
	else if (spec->enabled && !is_enabled(&state))
		gp_change_add(ctx, changes, '~', resource, "%s → enabled", state.file);
	if (spec->running && !runs(&state) && (is_masked(&state) || !need_not_run(&state)))
		gp_change_add(ctx, changes, '~', resource, "%s → running", state.active);
	return 0;
}

/* The unit of a package that is still to be installed, or of a file that is still to be written. */
static void fresh(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_changes *changes)
{
	const struct gp_unit *spec = resource->spec;

	if (spec->by_package)
		return;
	if (spec->enabled)
		gp_change_add(ctx, changes, '~', resource, "disabled → enabled");
	if (spec->running)
		gp_change_add(ctx, changes, '~', resource, "inactive → running");
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
	if (is_masked(&state)) {
		GP_TRY(gp_unit_unmask(bus, resource->name, err));
		GP_TRY(look(ctx, resource, &state, &bus, err));
	}
	if (spec->enabled && !is_enabled(&state))
		GP_TRY(gp_unit_enable(bus, resource->name, err));
	if (!spec->running || runs(&state))
		return 0;
	if (spec->stop_first)
		GP_TRY(gp_unit_run(bus, spec->stop_first, GP_UNIT_STOP, JOB_TIMEOUT_MS, err));
	GP_TRY(gp_unit_reset_failed(bus, resource->name, err));
	if (gp_unit_run(bus, resource->name, GP_UNIT_START, JOB_TIMEOUT_MS, err) < 0)
		return gp_journal_explain(resource->name, err);
	return 0;
}

const struct gp_resource_type gp_unit_type = { .name = "unit", .diff = diff, .fresh = fresh, .apply = apply };
