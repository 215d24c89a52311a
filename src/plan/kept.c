/*
 * Resource types that keep what is about to go: room for it, a checked copy, a move. Where a rename can do it (one filesystem) nothing is
 * copied; else the copy is compared with the original, by entries and bytes, before the original goes.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "plan/types.h"
#include "sys/ctx.h"
#include "sys/fs.h"
#include "sys/proc.h"
#include "sys/tree.h"

enum { COPY_TIMEOUT_MS = 6 * 3600 * 1000, TRIES = 3 };

static const char *parent_of(struct gp_ctx *ctx, const char *path)
{
	return gp_strndup(ctx->arena, path, (size_t)(strrchr(path, '/') - path));
}

/* The folder itself may not be there yet. */
static int free_bytes(struct gp_ctx *ctx, const char *path, uint64_t *ret, struct gp_error *err)
{
	uint64_t inodes;

	while (*path && !gp_fs_exists(path))
		path = parent_of(ctx, path);
	return gp_fs_free(*path ? path : "/", ret, &inodes, err);
}

static int room_diff(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_changes *changes, struct gp_error *err)
{
	const struct gp_room *spec = resource->spec;
	uint64_t is;

	GP_TRY(free_bytes(ctx, resource->name, &is, err));
	if (is >= spec->bytes)
		return 0;
	if (!spec->must) {
		gp_change_add(ctx, changes, '!', resource, "about %llu MiB are needed, %llu MiB are free", (unsigned long long)(spec->bytes >> 20),
			(unsigned long long)(is >> 20));
		return 0;
	}
	gp_fail(err, GP_E_FAILED, "a backup needs about %llu MiB, %llu MiB are free", (unsigned long long)(spec->bytes >> 20),
		(unsigned long long)(is >> 20));
	return gp_hint(err, "make room there, or mount a larger disk at that place");
}

const struct gp_resource_type gp_room_type = { .name = "room in", .diff = room_diff };

static int same(const struct gp_kept *spec, const char *copy, bool *ret, struct gp_error *err)
{
	struct gp_tree a, b;

	GP_TRY(gp_tree_measure(spec->from, spec->follow, &a, err));
	GP_TRY(gp_tree_measure(copy, false, &b, err));
	*ret = a.entries == b.entries && a.bytes == b.bytes;
	return 0;
}

/* Something may still be writing there: then once more. */
static int copy_checked(struct gp_ctx *ctx, const struct gp_kept *spec, const char *to, struct gp_error *err)
{
	for (int i = 0; i < TRIES; i++) {
		bool is;

		GP_TRY(gp_fs_remove(to, err));
		GP_TRY(gp_proc_must(&(struct gp_proc){
			.argv = GP_ARGV("cp", "-a", spec->follow ? "-H" : "-P", "--no-target-directory", "--", spec->from, to),
			.timeout_ms = COPY_TIMEOUT_MS }, NULL, err));
		GP_TRY(same(spec, to, &is, err));
		if (is)
			return gp_tree_sync(parent_of(ctx, to), err);
	}
	return gp_fail(err, GP_E_FAILED, "the copy of %s at %s is not the same: something goes on writing there", spec->from, to);
}

static int put_in_place(struct gp_ctx *ctx, const char *from, const char *to, struct gp_error *err)
{
	if (rename(from, to) < 0)
		return gp_fail_errno(err, errno, "move %s to %s", from, to);
	return gp_fs_sync_dir(parent_of(ctx, to), err);
}

static int copy_diff(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_changes *changes, struct gp_error *err)
{
	const struct gp_kept *spec = resource->spec;
	struct stat st;
	int there;
	bool is;

	GP_TRY(there = gp_fs_lstat(spec->from, &st, err));
	if (!there)
		return 0;
	GP_TRY(same(spec, spec->to, &is, err));
	if (!is)
		gp_change_add(ctx, changes, '+', resource, "%s", spec->to);
	return 0;
}

static int copy_apply(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_error *err)
{
	const struct gp_kept *spec = resource->spec;
	const char *part = gp_sprintf(ctx->arena, "%s.new", spec->to);

	GP_TRY(copy_checked(ctx, spec, part, err));
	GP_TRY(gp_fs_remove(spec->to, err));
	return put_in_place(ctx, part, spec->to, err);
}

const struct gp_resource_type gp_copy_type = { .name = "copy of", .diff = copy_diff, .apply = copy_apply };

static int move_diff(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_changes *changes, struct gp_error *err)
{
	const struct gp_kept *spec = resource->spec;
	struct stat st;
	int there;

	GP_TRY(there = gp_fs_lstat(spec->from, &st, err));
	if (there)
		gp_change_add(ctx, changes, '~', resource, "moved to %s", spec->to);
	return 0;
}

/* An earlier, interrupted run may have kept something under that name: that stays. */
static const char *free_name(struct gp_ctx *ctx, const char *to)
{
	const char *name = to;
	struct stat st;

	for (int i = 2; gp_fs_lstat(name, &st, NULL) == 1; i++)
		name = gp_sprintf(ctx->arena, "%s.%d", to, i);
	return name;
}

static int move_apply(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_error *err)
{
	const struct gp_kept *spec = resource->spec;
	const char *to = free_name(ctx, spec->to);
	bool is;

	if (rename(spec->from, to) == 0) {
		GP_TRY(gp_fs_sync_dir(parent_of(ctx, to), err));
		return gp_fs_sync_dir(parent_of(ctx, spec->from), err);
	}
	if (errno != EXDEV)
		return gp_fail_errno(err, errno, "move %s to %s", spec->from, to);
	/* What was copied while the site still ran is good if nothing came since. */
	GP_TRY(same(spec, spec->part, &is, err));
	if (!is)
		GP_TRY(copy_checked(ctx, spec, spec->part, err));
	GP_TRY(put_in_place(ctx, spec->part, to, err));
	return gp_fs_remove(spec->from, err);
}

const struct gp_resource_type gp_move_type = { .name = "keep", .diff = move_diff, .apply = move_apply };
