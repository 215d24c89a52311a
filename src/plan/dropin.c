/*
 * Resource type: the drop-ins of a unit. A drop-in changes what a unit does without a trace in its file: ExecStart=, User=, the sandbox.
 * Those that the site's file names are its owner's; any other one is drift, and is moved to where it can be looked at.
 */
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/error.h"
#include "plan/types.h"
#include "sys/ctx.h"
#include "sys/diff.h"
#include "sys/fs.h"

enum { DROPIN_MAX = 1 << 20 };

/* Where drop-ins of a single unit can lie (systemd.unit(5)). Those of packages, below /usr, are the packages'. */
static const char *const folders[] = { "/etc/systemd/system.control", "/run/systemd/system.control", "/etc/systemd/system",
	"/run/systemd/system" };

/* The paths of all that should not be there. */
static int find(struct gp_ctx *ctx, const struct gp_dropins *spec, struct gp_strv *ret, struct gp_error *err)
{
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		const char *folder = gp_sprintf(ctx->arena, "%s/%s.d", folders[i], spec->unit);
		struct gp_strv names = { 0 };

		GP_TRY(gp_fs_list(ctx->arena, folder, &names, err));
		for (size_t k = 0; k < names.n; k++)
			if (gp_ends_with(names.v[k], ".conf") && !gp_strv_has(&spec->allowed, names.v[k]))
				gp_strv_add(ctx->arena, ret, gp_sprintf(ctx->arena, "%s/%s", folder, names.v[k]));
	}
	return 0;
}

/* Drop-ins of all services, of all whose name begins alike (sum-.service.d), and those that a package brings: not this site's to take away. */
static void tell_others(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_changes *changes)
{
	static const char *const places[] = { "/etc/systemd/system.control", "/run/systemd/system.control", "/run/systemd/transient",
		"/etc/systemd/system", "/run/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system" };
	const struct gp_dropins *spec = resource->spec;
	const char *suffix = strrchr(spec->unit, '.');
	struct gp_strv folders_of = { 0 };

	gp_strv_add(ctx->arena, &folders_of, gp_sprintf(ctx->arena, "%s.d", suffix + 1));
	for (const char *dash = strchr(spec->unit, '-'); dash; dash = strchr(dash + 1, '-'))
		gp_strv_add(ctx->arena, &folders_of, gp_sprintf(ctx->arena, "%.*s%s.d", (int)(dash - spec->unit + 1), spec->unit, suffix));
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		for (size_t k = 0; k < folders_of.n; k++) {
			const char *folder = gp_sprintf(ctx->arena, "%s/%s", places[i], folders_of.v[k]);
			struct gp_strv names = { 0 };

			gp_fs_list(ctx->arena, folder, &names, NULL);
			for (size_t n = 0; n < names.n; n++)
				if (gp_ends_with(names.v[n], ".conf"))
					gp_change_add(ctx, changes, '!', resource, "%s/%s applies to it too", folder, names.v[n]);
		}
		/* A whole unit that comes before ours. */
		if (i < 3 && gp_fs_exists(gp_sprintf(ctx->arena, "%s/%s", places[i], spec->unit)))
			gp_change_add(ctx, changes, '!', resource, "%s/%s stands in its place", places[i], spec->unit);
	}
}

static int diff(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_changes *changes, struct gp_error *err)
{
	struct gp_strv paths = { 0 };

	GP_TRY(find(ctx, resource->spec, &paths, err));
	for (size_t i = 0; i < paths.n; i++) {
		gp_change_add(ctx, changes, '-', resource, "%s", paths.v[i]);
		gp_change_diff(changes, gp_diff_unified(ctx->arena, paths.v[i], paths.v[i], ""));
	}
	tell_others(ctx, resource, changes);
	return 0;
}

/* Copied first: killed in between, it is there twice and not gone. */
static int move_away(struct gp_ctx *ctx, const struct gp_dropins *spec, const char *path, struct gp_error *err)
{
	const char *name = strrchr(path, '/') + 1, *text = "";
	const char *kept = gp_sprintf(ctx->arena, "%s/%s-%s-%s", spec->keep, gp_stamp(ctx->arena, gp_now()), spec->unit, name);
	size_t len = 0;

	if (!gp_fs_readlink(ctx->arena, path)) {
		GP_TRY(gp_fs_read_nofollow(ctx->arena, path, DROPIN_MAX, &text, &len, err));
		GP_TRY(gp_fs_mkdirs(spec->keep, err));
		GP_TRY(gp_fs_write(kept, text, len, 0600, (uid_t)-1, (gid_t)-1, err));
		gp_tell_note(ctx, "%s is kept as %s; to have it stay, name it in drop_ins of the site's file", path, kept);
	}
	GP_TRY(gp_fs_remove(path, err));
	/* The folder goes with its last file; one that is not empty stays. */
	(void)!rmdir(gp_strndup(ctx->arena, path, (size_t)(name - path - 1)));
	return 0;
}

static int apply(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_error *err)
{
	struct gp_strv paths = { 0 };

	GP_TRY(find(ctx, resource->spec, &paths, err));
	for (size_t i = 0; i < paths.n; i++)
		GP_TRY(move_away(ctx, resource->spec, paths.v[i], err));
	return 0;
}

const struct gp_resource_type gp_dropins_type = { .name = "drop-in of", .diff = diff, .apply = apply };
