/* Resource types: Caddy's ports while it does not run, where its admin API listens, and what in its configuration needs somebody's eye. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "base/caddyfile.h"
#include "base/error.h"
#include "plan/types.h"
#include "sys/ctx.h"
#include "sys/fs.h"
#include "sys/net.h"
#include "sys/unit.h"

enum { CADDYFILE_MAX = 1 << 20, CGROUP_MAX = 64 * 1024 };

/* The service that a process belongs to, by its control group; NULL: none (a shell's job, systemd itself). */
static const char *unit_of(struct gp_arena *arena, pid_t pid)
{
	const char *text, *name;

	if (gp_fs_read(arena, gp_sprintf(arena, "/proc/%d/cgroup", (int)pid), CGROUP_MAX, &text, NULL, NULL) != 1)
		return NULL;
	name = strrchr(gp_last_line(arena, text), '/');
	return name && gp_ends_with(name, ".service") ? name + 1 : NULL;
}

static int taken(struct gp_ctx *ctx, const struct gp_listener *by, struct gp_error *err)
{
	const char *unit = unit_of(ctx->arena, by->pid);

	if (!by->pid)
		return gp_fail(err, GP_E_REFUSED, "port %d is taken, by a process that is not shown", by->port);
	gp_fail(err, GP_E_REFUSED, "port %d is taken by %s (pid %d)", by->port, by->comm, (int)by->pid);
	if (by->pid == 1)
		return gp_hint(err, "a socket unit holds it: `systemctl list-sockets` says which; `systemctl disable --now` it, then this again");
	if (unit)
		return gp_hint(err, "Caddy needs it; stop and disable what holds it: `systemctl disable --now %s`, then this again", unit);
	return gp_hint(err, "Caddy needs it; stop what holds it (it is no service: `kill %d`), then this again", (int)by->pid);
}

int gp_ports_free(struct gp_ctx *ctx, const uint16_t *ports, size_t n, const char *but, struct gp_error *err)
{
	struct gp_listener *listeners;
	size_t count;

	GP_TRY(gp_net_listeners(ctx->arena, true, &listeners, &count, err));
	for (size_t i = 0; i < count; i++) {
		const char *unit = listeners[i].pid ? unit_of(ctx->arena, listeners[i].pid) : NULL;

		for (size_t k = 0; k < n; k++)
			if (listeners[i].port == ports[k] && !(unit && gp_streq(unit, but)))
				return taken(ctx, &listeners[i], err);
	}
	return 0;
}

/* A service that runs has its ports: the walk through all processes is only for one that does not. */
static int ports_diff(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_changes *changes, struct gp_error *err)
{
	const struct gp_ports *spec = resource->spec;
	struct gp_unit_state state;
	struct gp_bus *bus;

	(void)changes;
	GP_TRY(gp_ctx_bus(ctx, &bus, err));
	GP_TRY(gp_unit_glance(bus, ctx->arena, spec->unit, &state, err));
	return gp_streq(state.active, "active") || gp_streq(state.active, "reloading") ? 0 : gp_ports_free(ctx, spec->tcp, spec->n, spec->unit, err);
}

static int nothing(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_error *err)
{
	(void)ctx, (void)resource, (void)err;
	return 0;
}

const struct gp_resource_type gp_ports_type = { .name = "ports", .diff = ports_diff, .apply = nothing };

static int attention_diff(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_changes *changes, struct gp_error *err)
{
	const struct gp_attention *spec = resource->spec;

	return spec->look(ctx, resource, changes, err);
}

const struct gp_resource_type gp_attention_type = { .name = "configuration", .diff = attention_diff, .apply = nothing };

/* ---- the admin API ------------------------------------------------------------------------------------------------- */

static int read_caddyfile(struct gp_ctx *ctx, const char *path, const char **ret, struct gp_error *err)
{
	size_t len = 0;
	int there;

	GP_TRY(there = gp_fs_read(ctx->arena, path, CADDYFILE_MAX, ret, &len, err));
	if (!there)
		return gp_fail(err, GP_E_FAILED, "there is no %s", path);
	if (strlen(*ret) != len)
		return gp_fail(err, GP_E_CONFIG, "%s is no text: there is a NUL byte in it", path);
	return 0;
}

static void say_added(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_changes *changes)
{
	const struct gp_caddy_option *spec = resource->spec;

	gp_change_add(ctx, changes, '~', resource, "add '%s %s'", spec->option, spec->value);
}

static int option_diff(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_changes *changes, struct gp_error *err)
{
	const struct gp_caddy_option *spec = resource->spec;
	const char *text, *is;

	GP_TRY(read_caddyfile(ctx, resource->name, &text, err));
	is = gp_caddyfile_option(ctx->arena, text, spec->option);
	if (!is)
		say_added(ctx, resource, changes);
	else if (spec->why && !gp_streq(is, spec->value))
		gp_change_add(ctx, changes, '!', resource, "'%s %s' is there and stays; goldpath would have '%s': %s", spec->option, is, spec->value,
			spec->why);
	return 0;
}

static int option_apply(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_error *err)
{
	const struct gp_caddy_option *spec = resource->spec;
	char path[PATH_MAX];
	const char *text;
	struct stat st;

	GP_TRY(read_caddyfile(ctx, resource->name, &text, err));
	if (gp_caddyfile_option(ctx->arena, text, spec->option))
		return 0;
	/* A symlink to where somebody keeps the file stays one. */
	if (!realpath(resource->name, path) || stat(path, &st) < 0)
		return gp_fail_errno(err, errno, "look at %s", resource->name);
	text = gp_caddyfile_with_option(ctx->arena, text, spec->option, spec->value);
	return gp_fs_write(path, text, strlen(text), st.st_mode & 07777, st.st_uid, st.st_gid, err);
}

const struct gp_resource_type gp_caddy_option_type = { .name = "option in", .diff = option_diff, .fresh = say_added, .apply = option_apply };
