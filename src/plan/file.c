/* Resource types: whole files, single lines in files of others, symlinks. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "base/error.h"
#include "plan/owner.h"
#include "plan/types.h"
#include "sys/ctx.h"
#include "sys/diff.h"
#include "sys/fs.h"

enum { FILE_MAX = 1 << 20 };

static void file_fresh(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_changes *changes)
{
	const struct gp_file *spec = resource->spec;

	gp_change_add(ctx, changes, '+', resource, "%s", "");
	gp_change_diff(changes, gp_diff_unified(ctx->arena, resource->name, NULL, spec->content));
}

static int file_diff(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_changes *changes, struct gp_error *err)
{
	const struct gp_file *spec = resource->spec;
	const char *text = NULL;
	struct stat st;
	size_t len = 0;
	int there;

	GP_TRY(there = gp_fs_lstat(resource->name, &st, err));
	if (there && S_ISLNK(st.st_mode)) {
		/* Written over, not through: the link may lead anywhere. /dev/null means that somebody masked a unit. */
		gp_change_add(ctx, changes, '~', resource, "a symlink to %s → a file", gp_fs_readlink(ctx->arena, resource->name));
		gp_change_diff(changes, gp_diff_unified(ctx->arena, resource->name, NULL, spec->content));
		return 0;
	}
	if (!there) {
		file_fresh(ctx, resource, changes);
		return 0;
	}
	GP_TRY(gp_fs_read_nofollow(ctx->arena, resource->name, FILE_MAX, &text, &len, err));
	if (len != strlen(spec->content) || memcmp(text, spec->content, len) != 0) {
		gp_change_add(ctx, changes, '~', resource, "content");
		gp_change_diff(changes, gp_diff_unified(ctx->arena, resource->name, resource->name, spec->content));
	}
	return gp_owner_diff(ctx, resource, &st, spec->owner, spec->group, spec->mode, changes, err);
}

static int file_apply(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_error *err)
{
	const struct gp_file *spec = resource->spec;
	uid_t uid;
	gid_t gid;

	GP_TRY(gp_owner_find(ctx, spec->owner, spec->group, &uid, &gid, err));
	return gp_fs_write_checked(resource->name, spec->content, strlen(spec->content), spec->mode, uid, gid, spec->check, ctx, err);
}

const struct gp_resource_type gp_file_type = { .name = "file", .diff = file_diff, .fresh = file_fresh, .apply = file_apply };

/* A line that is nothing else, but for blanks around it. The files are long: redis.conf has 2300 lines, of which none is copied. */
static bool has_line(const char *text, const char *line)
{
	static const char blanks[] = " \t\r"; /* as gp_trim has them, without line ends */
	size_t len = strlen(line);

	for (const char *at = strstr(text, line); at; at = strstr(at + 1, line)) {
		const char *before = at, *behind = at + len;

		while (before > text && strchr(blanks, before[-1]))
			before--;
		behind += strspn(behind, blanks);
		if ((before == text || before[-1] == '\n') && (*behind == '\n' || !*behind))
			return true;
	}
	return false;
}

static int read_lines(struct gp_ctx *ctx, const struct gp_resource *resource, const char **ret, bool *ret_has, struct gp_error *err)
{
	const struct gp_file_line *spec = resource->spec;
	size_t len = 0;
	int there;

	GP_TRY(there = gp_fs_read(ctx->arena, resource->name, FILE_MAX, ret, &len, err));
	if (!there)
		return gp_fail(err, GP_E_FAILED, "there is no %s", resource->name);
	if (strlen(*ret) != len)
		return gp_fail(err, GP_E_CONFIG, "%s is no text: there is a NUL byte in it", resource->name);
	*ret_has = has_line(*ret, spec->line);
	return 0;
}

/* No package brings a line of ours with its file. */
static void line_fresh(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_changes *changes)
{
	const struct gp_file_line *spec = resource->spec;

	gp_change_add(ctx, changes, '~', resource, "add '%s'", spec->line);
}

static int line_diff(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_changes *changes, struct gp_error *err)
{
	const char *text;
	bool has;

	GP_TRY(read_lines(ctx, resource, &text, &has, err));
	if (!has)
		line_fresh(ctx, resource, changes);
	return 0;
}

static int line_apply(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_error *err)
{
	const struct gp_file_line *spec = resource->spec;
	char path[PATH_MAX];
	const char *text;
	struct stat st;
	bool has;

	GP_TRY(read_lines(ctx, resource, &text, &has, err));
	if (has)
		return 0;
	/* A symlink to where somebody keeps the file stays one. */
	if (!realpath(resource->name, path) || stat(path, &st) < 0)
		return gp_fail_errno(err, errno, "look at %s", resource->name);
	text = gp_sprintf(ctx->arena, "%s%s\n%s\n", text, *text && !gp_ends_with(text, "\n") ? "\n" : "", spec->line);
	return gp_fs_write(path, text, strlen(text), st.st_mode & 07777, st.st_uid, st.st_gid, err);
}

const struct gp_resource_type gp_file_line_type = { .name = "line in", .diff = line_diff, .fresh = line_fresh, .apply = line_apply };

static void link_fresh(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_changes *changes)
{
	const struct gp_link *spec = resource->spec;

	gp_change_add(ctx, changes, '+', resource, "→ %s", spec->target);
}

static int link_diff(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_changes *changes, struct gp_error *err)
{
	const struct gp_link *spec = resource->spec;
	const char *is = gp_fs_readlink(ctx->arena, resource->name);
	struct stat st;
	int there;

	GP_TRY(there = gp_fs_lstat(resource->name, &st, err));
	if (!there)
		link_fresh(ctx, resource, changes);
	else if (!is) {
		gp_fail(err, GP_E_REFUSED, "%s is there and is no symlink", resource->name);
		return gp_hint(err, "move it away: goldpath puts a symlink to %s in its place", spec->target);
	} else if (!gp_streq(is, spec->target))
		gp_change_add(ctx, changes, '~', resource, "%s → %s", is, spec->target);
	return 0;
}

static int link_apply(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_error *err)
{
	const struct gp_link *spec = resource->spec;

	(void)ctx;
	return gp_fs_relink(resource->name, spec->target, err);
}

const struct gp_resource_type gp_link_type = { .name = "symlink", .diff = link_diff, .fresh = link_fresh, .apply = link_apply };
