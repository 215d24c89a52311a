/* Removing a site as a whole: what is there, the locks, the backup, and then the rest. */
#include "ops/remove.h"

#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/error.h"
#include "conf/site.h"
#include "ops/backups.h"
#include "sys/ctx.h"
#include "sys/fs.h"
#include "sys/lock.h"
#include "sys/tree.h"
#include "sys/unit.h"

enum { RECORD_MAX = 4096 };

static const char begun_line[] = "begun";

/* A run that was cut off has written which backup is its own: this one goes on with that. */
static int read_record(struct gp_ctx *ctx, struct gp_removal *r, struct gp_error *err)
{
	const char *text = "", *stamp = gp_stamp(ctx->arena, gp_now());
	struct gp_strv lines;

	/* No slug has a dot in it: this is no site's folder. */
	r->record = gp_sprintf(ctx->arena, "%s/removing.%s", ctx->state_dir, r->slug);
	if (gp_fs_read_nofollow(ctx->arena, r->record, RECORD_MAX, &text, NULL, err) < 0)
		return -1;
	lines = gp_lines(ctx->arena, text);
	if (lines.n && *lines.v[0])
		stamp = lines.v[0];
	r->begun = gp_strv_has(&lines, begun_line);
	r->backup = gp_sprintf(ctx->arena, "%s/%s-%s", GP_REMOVED_DIR, r->slug, stamp);
	r->dump = gp_sprintf(ctx->arena, "%s/%s", r->backup, gp_backup_name(ctx->arena, r->slug, gp_stamp_time(stamp)));
	return 0;
}

static int write_record(struct gp_ctx *ctx, const struct gp_removal *r, const char *more, struct gp_error *err)
{
	const char *stamp = r->backup + strlen(GP_REMOVED_DIR) + 1 + strlen(r->slug) + 1;
	const char *text = gp_sprintf(ctx->arena, "%s\n%s%s", stamp, more, *more ? "\n" : "");

	GP_TRY(gp_fs_mkdirs(ctx->state_dir, err));
	return gp_fs_write(r->record, text, strlen(text), 0600, (uid_t)-1, (gid_t)-1, err);
}

/* All that is known before anything is done. */
static int look(struct gp_ctx *ctx, const char *slug, struct gp_removal *r, struct gp_error *err)
{
	if (gp_site_reserved(slug))
		return gp_fail(err, GP_E_REFUSED, "'%s' is a name that goldpath uses itself, and no site's", slug);
	*r = (struct gp_removal){ .slug = slug, .paths = gp_site_paths(ctx, slug) };
	r->yaml = gp_sprintf(ctx->arena, "%s/sites/%s.yaml", ctx->etc_dir, slug);
	GP_TRY(gp_remove_find_db(ctx, &r->paths, slug, &r->db, &r->packages, err));
	r->drop_database = r->db.name && r->db.there && !gp_remove_keeps_database(ctx->arena, &r->db);
	r->drop_role = r->db.name && r->db.role_there && !gp_remove_keeps_role(ctx->arena, &r->db);
	return read_record(ctx, r, err);
}

/* What is mounted there is not on this filesystem only: neither moved nor deleted here. */
static int check_mounts(struct gp_ctx *ctx, const struct gp_removal *r, struct gp_error *err)
{
	const char *const paths[] = { r->paths.root, r->paths.logs, r->paths.state };
	struct gp_strv points = { 0 };

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		GP_TRY(gp_tree_mounts(ctx->arena, paths[i], &points, err));
	if (points.n == 0)
		return 0;
	gp_fail(err, GP_E_REFUSED, "something is mounted at %s", gp_strv_join(ctx->arena, &points, " and at "));
	return gp_hint(err, "unmount it, and take it out of /etc/fstab: what is on it stays there");
}

static void add_all(struct gp_changes *to, struct gp_ctx *ctx, const struct gp_changes *more)
{
	struct gp_change *v = gp_alloc_array(ctx->arena, to->n + more->n + 1, sizeof(*v));

	if (to->n)
		memcpy(v, to->v, to->n * sizeof(*v));
	if (more->n)
		memcpy(v + to->n, more->v, more->n * sizeof(*v));
	*to = (struct gp_changes){ .v = v, .n = to->n + more->n, .cap = to->n + more->n + 1 };
}

static int keep(struct gp_ctx *ctx, struct gp_removal *r, bool apply, struct gp_error *err)
{
	struct gp_changes changes = { 0 };
	struct gp_plan plan = { 0 };
	int result;

	GP_TRY(gp_remove_plan_keep(ctx, &plan, r, apply, err));
	result = gp_plan_run(ctx, &plan, apply, NULL, &changes, err);
	add_all(&r->changes, ctx, &changes);
	return result;
}

static int take(struct gp_ctx *ctx, struct gp_removal *r, bool apply, struct gp_error *err)
{
	struct gp_changes changes = { 0 };
	struct gp_plan plan = { 0 };
	int result;

	GP_TRY(gp_remove_plan_take(ctx, &plan, r, apply, err));
	result = gp_plan_run(ctx, &plan, apply, NULL, &changes, err);
	add_all(&r->changes, ctx, &changes);
	return result;
}

static size_t removals(const struct gp_changes *changes)
{
	size_t n = 0;

	for (size_t i = 0; i < changes->n; i++)
		n += changes->v[i].mark == '-';
	return n;
}

/* Without a word: the plan as it would be. Nothing to take away is no site. */
static int find_out(struct gp_ctx *ctx, struct gp_removal *r, struct gp_error *err)
{
	const struct gp_observer nobody = { 0 }, story = ctx->observer;
	int result;

	ctx->observer = nobody;
	result = take(ctx, r, false, err);
	if (result == 0 && removals(&r->changes)) {
		struct gp_changes taken = r->changes;

		r->changes = (struct gp_changes){ 0 };
		result = keep(ctx, r, false, err);
		add_all(&r->changes, ctx, &taken);
	} else if (result == 0) {
		gp_fail(err, GP_E_CONFIG, "there is no site '%s' on this host, and nothing that one has left", r->slug);
		result = gp_hint(err, "ls %s/sites", ctx->etc_dir);
	}
	ctx->observer = story;
	return result;
}

/* The first half has failed and nothing was removed: what it had made so far is of no use. */
static void undo_keep(const struct gp_removal *r, struct gp_error *err)
{
	if (!r->begun) {
		gp_fs_remove(r->backup, NULL);
		gp_fs_remove(r->record, NULL);
		(void)!rmdir(GP_REMOVED_DIR); /* where it was made for this one */
	}
	gp_state(err, r->begun ? "the site is removed in part; what was kept is in %s" : "nothing was removed", r->backup);
}

static int remove_it(struct gp_ctx *ctx, struct gp_removal *r, struct gp_lock *lock, struct gp_error *err)
{
	if (!r->begun)
		GP_TRY(write_record(ctx, r, "", err));
	gp_lock_step(lock, "backup");
	if (keep(ctx, r, true, err) < 0) {
		undo_keep(r, err);
		return -1;
	}
	GP_TRY(write_record(ctx, r, begun_line, err));
	r->begun = true;
	gp_lock_step(lock, "remove");
	if (take(ctx, r, true, err) == 0)
		return 0;
	gp_state(err, "the site is removed in part; what was kept is in %s", r->backup);
	gp_hint(err, "the same command again goes on from here");
	return -1;
}

int gp_remove_run(struct gp_ctx *ctx, const struct gp_remove *request, struct gp_removal *ret, struct gp_error *err)
{
	GP_AUTO_LOCK host = { .fd = -1 };
	GP_AUTO_LOCK site = { .fd = -1 };
	struct gp_bus *bus;

	GP_TRY(gp_ctx_bus(ctx, &bus, err));
	GP_TRY(look(ctx, request->slug, ret, err));
	GP_TRY(find_out(ctx, ret, err));
	GP_TRY(check_mounts(ctx, ret, err));
	if (!request->apply)
		return 0;
	GP_TRY(gp_lock_take(&host, ctx->lock_dir, "host", ctx->command, err));
	GP_TRY(gp_lock_take(&site, ctx->lock_dir, request->slug, ctx->command, err));
	/* What was found before the locks may have changed. */
	GP_TRY(look(ctx, request->slug, ret, err));
	return remove_it(ctx, ret, &site, err);
}
