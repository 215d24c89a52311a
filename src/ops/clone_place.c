/* The place of the new site: nothing that is there is taken for a clone, and nothing half begun stays. */
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/error.h"
#include "ops/clone.h"
#include "ops/releases.h"
#include "sys/ctx.h"
#include "sys/fs.h"
#include "sys/pg.h"

enum { RECORD_MAX = 8192, ROOT_FOLDER = 0700 };

static const char *record_path(const struct gp_clone *c)
{
	return gp_sprintf(c->ctx->arena, "%s/of", c->work);
}

/* Of which site, out of which repository: what the same command says again. */
static const char *record_of(const struct gp_clone *c)
{
	return gp_sprintf(c->ctx->arena, "%s\n%s\n", c->request->slug, c->request->offsite ? c->request->offsite : "");
}

static int refuse_taken(const struct gp_clone *c, const char *what, struct gp_error *err)
{
	gp_fail(err, GP_E_REFUSED, "%s is there already: %s", c->request->to, what);
	return gp_hint(err, "choose another slug; `goldpath remove %s` takes a site away", c->request->to);
}

static int refuse_other(const struct gp_clone *c, const char *record, struct gp_error *err)
{
	struct gp_strv lines = gp_lines(c->ctx->arena, record);

	gp_fail(err, GP_E_REFUSED, "%s is an unfinished clone of %s%s%s", c->request->to, lines.n ? lines.v[0] : "?",
		lines.n > 1 && *lines.v[1] ? " from " : "", lines.n > 1 ? lines.v[1] : "");
	return gp_hint(err, "the same command as then goes on with it; `goldpath remove %s` takes it away", c->request->to);
}

/* Nothing that is there is taken for a clone, unless a clone that was cut off says that it is one. */
int gp_clone_place(struct gp_clone *c, struct gp_error *err)
{
	struct gp_strv names = { 0 };
	const char *record;
	struct stat st;
	int there;

	GP_TRY(there = gp_fs_read_nofollow(c->ctx->arena, record_path(c), RECORD_MAX, &record, NULL, err));
	if (there && !gp_streq(record, record_of(c)))
		return refuse_other(c, record, err);
	c->resumed = there;
	if (there) {
		c->live = gp_releases_live(c->ctx, &c->paths) != NULL;
		/* Before there is the site's file nothing is anybody's but the clone's. */
		c->begun = !gp_fs_exists(c->yaml);
		gp_tell_note(c->ctx, "the clone before this one was cut off: going on with it");
		return 0;
	}
	if (gp_fs_exists(c->yaml))
		return refuse_taken(c, c->yaml, err);
	GP_TRY(gp_fs_list(c->ctx->arena, c->paths.state, &names, err));
	if (names.n && !(names.n == 1 && gp_streq(names.v[0], "clone")))
		return refuse_taken(c, c->paths.state, err);
	GP_TRY(there = gp_fs_lstat(c->paths.root, &st, err));
	return there ? refuse_taken(c, c->paths.root, err) : 0;
}

/* A database or a role that nobody's file names would be taken over, and the database replaced. */
int gp_clone_database(struct gp_clone *c, struct gp_error *err)
{
	static const char sql[] = "select 1 from pg_database where datname = $1 union all select 1 from pg_roles where rolname in ($1, $2)";
	const char *const names[] = { c->site.database.name, c->site.database.user };
	const char *there;
	struct gp_pg *pg;

	if (c->resumed && gp_fs_exists(c->yaml))
		return 0;
	GP_TRY(gp_ctx_admin(c->ctx, (int)c->site.database.port, &pg, err));
	GP_TRY(gp_pg_value(pg, c->ctx->arena, sql, names, 2, &there, err));
	return there ? refuse_taken(c, gp_sprintf(c->ctx->arena, "the database or the role %s", names[0]), err) : 0;
}

int gp_clone_begin(struct gp_clone *c, struct gp_error *err)
{
	const char *record = record_of(c);

	GP_TRY(gp_fs_mkdirs(c->ctx->state_dir, err));
	GP_TRY(gp_fs_mkdir(c->paths.state, ROOT_FOLDER, 0, 0, err));
	GP_TRY(gp_fs_mkdir(c->work, ROOT_FOLDER, 0, 0, err));
	return gp_fs_write(record_path(c), record, strlen(record), 0600, 0, 0, err);
}

/* There is no file of the site yet, and so nothing of it stays. */
void gp_clone_forget(struct gp_clone *c)
{
	gp_fs_remove(c->begun ? c->paths.state : c->work, NULL);
	(void)!rmdir(c->paths.state);
	if (!c->begun)
		return;
	gp_fs_remove(c->paths.env, NULL);
	(void)!rmdir(c->paths.root);
}
