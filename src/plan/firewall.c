/*
 * Resource type: UFW. Read from its own files (ufw(8), FILES): `ufw status` takes 56 ms, these take none. Rules are kept there as
 * comment lines: "### tuple ### allow tcp 80 0.0.0.0/0 any 0.0.0.0/0 in". Changed only through ufw itself.
 */
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "plan/types.h"
#include "sys/ctx.h"
#include "sys/fs.h"
#include "sys/proc.h"

enum { RULES_MAX = 4 << 20 };

static bool has_rule(struct gp_arena *arena, const char *rules, const char *any, uint16_t port)
{
	const char *tcp = gp_sprintf(arena, "### tuple ### allow tcp %u %s any %s in", port, any, any);
	const char *both = gp_sprintf(arena, "### tuple ### allow any %u %s any %s in", port, any, any);
	struct gp_strv lines = gp_lines(arena, rules);

	for (size_t i = 0; i < lines.n; i++) {
		/* A comment may follow: " comment=…" */
		for (int k = 0; k < 2; k++) {
			const char *want = k ? both : tcp;

			if (gp_starts_with(lines.v[i], want) && (lines.v[i][strlen(want)] == '\0' || lines.v[i][strlen(want)] == ' '))
				return true;
		}
	}
	return false;
}

static int read_file(struct gp_ctx *ctx, const char *path, const char **ret, struct gp_error *err)
{
	int there = gp_fs_read(ctx->arena, path, RULES_MAX, ret, NULL, err);

	if (there == 0)
		return gp_fail(err, GP_E_FAILED, "there is no %s: is ufw installed?", path);
	return there < 0 ? -1 : 0;
}

static bool has_line(struct gp_arena *arena, const char *text, const char *line)
{
	struct gp_strv lines = gp_lines(arena, text);

	return gp_strv_has(&lines, line);
}

struct state {
	bool enabled, denies;
	const char *v4, *v6;
	bool ipv6;
};

static int read_state(struct gp_ctx *ctx, struct state *ret, struct gp_error *err)
{
	const char *conf, *defaults;

	GP_TRY(read_file(ctx, "/etc/ufw/ufw.conf", &conf, err));
	GP_TRY(read_file(ctx, "/etc/default/ufw", &defaults, err));
	GP_TRY(read_file(ctx, "/etc/ufw/user.rules", &ret->v4, err));
	GP_TRY(read_file(ctx, "/etc/ufw/user6.rules", &ret->v6, err));
	ret->enabled = has_line(ctx->arena, conf, "ENABLED=yes");
	ret->denies = has_line(ctx->arena, defaults, "DEFAULT_INPUT_POLICY=\"DROP\"") ||
		has_line(ctx->arena, defaults, "DEFAULT_INPUT_POLICY=\"REJECT\"");
	ret->ipv6 = has_line(ctx->arena, defaults, "IPV6=yes");
	return 0;
}

static bool is_open(struct gp_ctx *ctx, const struct state *state, uint16_t port)
{
	return has_rule(ctx->arena, state->v4, "0.0.0.0/0", port) && (!state->ipv6 || has_rule(ctx->arena, state->v6, "::/0", port));
}

static int diff(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_changes *changes, struct gp_error *err)
{
	static const uint16_t never[] = { 5432, 6379 };
	const struct gp_firewall *spec = resource->spec;
	struct state state;

	GP_TRY(read_state(ctx, &state, err));
	for (size_t i = 0; i < spec->n; i++)
		if (!is_open(ctx, &state, spec->tcp[i]))
			gp_change_add(ctx, changes, '+', resource, "allow %u/tcp", spec->tcp[i]);
	if (!state.denies)
		gp_change_add(ctx, changes, '~', resource, "default deny incoming");
	if (!state.enabled)
		gp_change_add(ctx, changes, '~', resource, "enable");
	for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++)
		if (has_rule(ctx->arena, state.v4, "0.0.0.0/0", never[i]))
			gp_change_add(ctx, changes, '!', resource, "somebody opened %u to the world: `ufw delete allow %u`", never[i], never[i]);
	return 0;
}

static int ufw(const char *const *argv, struct gp_error *err)
{
	return gp_proc_must(&(struct gp_proc){ .argv = argv }, NULL, err);
}

/* Every port is allowed before anything is denied, and before it is enabled: no moment in which ssh is shut out. */
static int apply(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_error *err)
{
	const struct gp_firewall *spec = resource->spec;
	struct state state;

	GP_TRY(read_state(ctx, &state, err));
	for (size_t i = 0; i < spec->n; i++)
		if (!is_open(ctx, &state, spec->tcp[i]))
			GP_TRY(ufw(GP_ARGV("ufw", "allow", gp_sprintf(ctx->arena, "%u/tcp", spec->tcp[i])), err));
	if (!state.denies)
		GP_TRY(ufw(GP_ARGV("ufw", "default", "deny", "incoming"), err));
	if (!state.enabled)
		GP_TRY(ufw(GP_ARGV("ufw", "--force", "enable"), err));
	return 0;
}

const struct gp_resource_type gp_firewall_type = { .name = "firewall", .diff = diff, .apply = apply };
