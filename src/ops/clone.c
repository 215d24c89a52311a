/* Clone: what must hold before anything is made, the steps, and the deploy that proves it. */
#include "ops/clone.h"

#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/error.h"
#include "ops/django.h"
#include "ops/provision.h"
#include "ops/record.h"
#include "ops/sites.h"
#include "plan/types.h"
#include "sys/ctx.h"
#include "sys/fs.h"
#include "sys/lock.h"
#include "sys/pg.h"

enum { RECORD_MAX = 8192, ROOT_FOLDER = 0700, SITE_FOLDER = 0711 };

struct run {
	struct gp_clone *c;
	struct gp_lock from, to;
};

/* ---- the steps ------------------------------------------------------------------------------------------------------------------ */

static const char *without_dump(const struct gp_clone *c)
{
	return c->request->offsite ? "it is in the snapshot" : c->live ? "a release of the clone is live" : NULL;
}

static const char *once_live(const struct gp_clone *c)
{
	return c->live ? "a release of the clone is live" : NULL;
}

static int source(struct run *r, struct gp_error *err)
{
	struct gp_clone *c = r->c;
	struct gp_sites sites;

	GP_TRY(gp_clone_source(c, &r->from, err));
	if (!c->live)
		GP_TRY(gp_clone_room(c, err));
	if (gp_sites_with(c->ctx, &c->site, &sites, err) < 0)
		return gp_hint(err, "say another domain: --domain");
	return gp_clone_database(c, err);
}

static void tell_file(struct gp_clone *c)
{
	struct gp_arena *arena = c->ctx->arena;

	gp_tell_note(c->ctx, "%s: %s, database %s", c->yaml, c->site.domain, c->site.database.name);
	if (c->from.aliases.n && !c->site.aliases.n)
		gp_tell_note(c->ctx, "the aliases of %s are left out: %s", c->from.slug, gp_strv_join(arena, &c->from.aliases, ", "));
	if (c->from.backup.offsite && c->same)
		gp_tell_warn(c->ctx, "its backups go to no repository now: once the old host does not write to %s any more, set `backup.offsite` in %s",
			c->from.backup.offsite, c->yaml);
	else if (c->from.backup.offsite)
		gp_tell_warn(c->ctx, "its backups go to no repository: that of %s stays that site's alone", c->from.slug);
	if (c->site.tls == GP_TLS_FILES && !gp_streq(c->site.domain, c->from.domain))
		gp_tell_warn(c->ctx, "its certificate is that of %s, %s: it must be good for %s too", c->from.slug, c->site.tls_cert, c->site.domain);
}

/* By name alone: what a value says may be a secret. */
static void tell_env(struct gp_clone *c)
{
	const char *root = c->source->paths.root;

	if (c->carried.n)
		gp_tell_note(c->ctx, "carried over from .env: %s", gp_strv_join(c->ctx->arena, &c->carried, ", "));
	if (c->left.n)
		gp_tell_warn(c->ctx, "not carried over, because they lead to the database or the Redis of %s: %s: what should they be? %s", c->from.slug,
			gp_strv_join(c->ctx->arena, &c->left, ", "), c->paths.env);
	for (size_t i = 0; i < c->carried.n && !c->same; i++) {
		const char *value = gp_dotenv_get(&c->env, c->carried.v[i]);

		if (value && (strstr(value, c->from.domain) || strstr(value, root)))
			gp_tell_warn(c->ctx, "%s in .env names %s as that of %s does: is that right?", c->carried.v[i],
				strstr(value, root) ? root : c->from.domain, c->from.slug);
	}
}

/* Later backups of the same site go on in the same repository, as soon as its file says so. */
static int keep_password(struct gp_clone *c, struct gp_error *err)
{
	const char *folder = gp_sprintf(c->ctx->arena, "%s/offsite", c->paths.state), *text;

	if (!c->same)
		return 0;
	GP_TRY(gp_fs_read_nofollow(c->ctx->arena, gp_sprintf(c->ctx->arena, "%s/offsite/password", c->work), RECORD_MAX, &text, NULL, err));
	GP_TRY(gp_fs_mkdir(folder, ROOT_FOLDER, 0, 0, err));
	return gp_fs_write(gp_sprintf(c->ctx->arena, "%s/password", folder), text, strlen(text), 0600, 0, 0, err);
}

/* `.env` first: with the site's file there, provision would make one of its own. What it adds is all that is not carried over. */
static int site(struct run *r, struct gp_error *err)
{
	struct gp_clone *c = r->c;

	if (gp_fs_exists(c->yaml)) {
		gp_tell_note(c->ctx, "%s is there from the run before", c->yaml);
		return gp_site_load(c->ctx->arena, c->ctx->etc_dir, c->request->to, &c->site, err);
	}
	c->lines = gp_clone_env(c->ctx->arena, &c->env, &c->from, &c->site, &c->carried, &c->left);
	GP_TRY(gp_fs_mkdirs(c->ctx->sites_dir, err));
	c->begun = true;
	GP_TRY(gp_fs_mkdir(c->paths.root, SITE_FOLDER, 0, 0, err));
	GP_TRY(gp_fs_write(c->paths.env, c->lines, strlen(c->lines), 0600, 0, 0, err));
	GP_TRY(keep_password(c, err));
	GP_TRY(gp_fs_mkdirs(gp_sprintf(c->ctx->arena, "%s/sites", c->ctx->etc_dir), err));
	GP_TRY(gp_fs_write(c->yaml, c->text, strlen(c->text), 0644, 0, 0, err));
	tell_file(c);
	tell_env(c);
	return 0;
}

static bool wants_all(const void *arg, const struct gp_resource *resource)
{
	(void)arg;
	(void)resource;
	return true;
}

static int provision(struct run *r, struct gp_error *err)
{
	struct gp_clone *c = r->c;
	const struct gp_provision_part part = { .site = &c->site, .wants = wants_all };
	GP_AUTO_LOCK host = { .fd = -1 };
	struct gp_changes changes = { 0 };

	GP_TRY(gp_lock_take(&host, c->ctx->lock_dir, "host", c->ctx->command, err));
	return gp_provision_run(c->ctx, &(struct gp_provision){ .slug = c->site.slug, .apply = true, .part = &part }, &changes, err);
}

static int dump(struct run *r, struct gp_error *err)
{
	return gp_clone_dump(r->c, err);
}

static int load_site(struct gp_clone *c, struct gp_error *err)
{
	struct gp_deploy_request *request = gp_alloc(c->ctx->arena, sizeof(*request));

	*request = (struct gp_deploy_request){ .slug = c->site.slug, .ref = c->sha };
	return gp_deploy_load(c->ctx, request, &c->deploy, err);
}

static void show_copied(void *arg, const struct gp_tree_copied *done)
{
	struct gp_ctx *ctx = arg;

	gp_tell(ctx, &(struct gp_event){ .kind = GP_EVENT_PROGRESS,
		.text = gp_sprintf(ctx->arena, "%ju files, %s", (uintmax_t)done->files, gp_size_words(ctx->arena, done->bytes)) });
}

static int media(struct run *r, struct gp_error *err)
{
	struct gp_clone *c = r->c;
	struct gp_tree_copy how = { .line = show_copied, .arg = c->ctx };

	GP_TRY(load_site(c, err));
	how.owner = c->deploy.account.uid;
	GP_TRY(gp_account_uid(c->paths.run_user, &how.other, err));
	if (gp_group_find(c->paths.run_user, &how.group, err) != 1)
		return gp_fail(err, GP_E_FAILED, "there is no group %s", c->paths.run_user);
	GP_TRY(gp_tree_copy(c->media, c->paths.media, &how, &c->copied, err));
	gp_tell_note(c->ctx, "%ju files, %s", (uintmax_t)c->copied.files, gp_size_words(c->ctx->arena, c->copied.bytes));
	if (c->copied.links)
		gp_tell_note(c->ctx, "%ju symlink%s, as they are", (uintmax_t)c->copied.links, c->copied.links == 1 ? "" : "s");
	if (c->copied.left_out)
		gp_tell_warn(c->ctx, "%ju that are no files, or links that lead out of media, are left out", (uintmax_t)c->copied.left_out);
	return 0;
}

static int load(struct run *r, struct gp_error *err)
{
	struct gp_clone *c = r->c;
	struct gp_restore *file = &c->file;

	GP_TRY(gp_database_of(c->ctx, &c->site, &file->db, err));
	GP_TRY(gp_database_settle(&file->db, err));
	GP_TRY(gp_restore_check(&c->deploy, file, err));
	return gp_database_load(&file->db, &file->dump, &file->rollback.loaded, err);
}

/* What it takes the place of is the empty one that provision has made, or that of a run before. */
static int swap(struct run *r, struct gp_error *err)
{
	struct gp_clone *c = r->c;
	struct gp_restore *file = &c->file;
	struct gp_strv kept;

	GP_TRY(gp_database_kept_name(&file->db, &file->rollback.kept, err));
	GP_TRY(gp_database_swap(&file->db, file->rollback.loaded, file->rollback.kept, &file->swap_ms, err));
	GP_TRY(gp_database_kept(&file->db, &kept, err));
	for (size_t i = 0; i < kept.n; i++)
		GP_TRY(gp_database_drop(&file->db, kept.v[i], err));
	/* From here on nothing more is read of the old one. */
	gp_lock_release(&r->from);
	return 0;
}

static const struct {
	const char *name, *words;
	int (*run)(struct run *r, struct gp_error *err);
	const char *(*skip)(const struct gp_clone *c);
} steps[] = {
	{ "source", "read the site that is cloned", source, NULL },
	{ "site", "write the new site's file, and what is carried over in .env", site, NULL },
	{ "provision", "provision it", provision, NULL },
	{ "backup", "back up the database", dump, without_dump },
	{ "media", "copy the media", media, once_live },
	{ "load", "load the backup beside, and count", load, once_live },
	{ "swap", "put it in place", swap, once_live },
};

enum { STEPS = sizeof(steps) / sizeof(steps[0]) };

static int step(struct run *r, int i, struct gp_error *err)
{
	struct gp_ctx *ctx = r->c->ctx;
	const char *skipped = steps[i].skip ? steps[i].skip(r->c) : NULL;
	int64_t start = gp_tell_step(ctx, steps[i].name, steps[i].words, i + 1, STEPS);

	gp_lock_step(&r->to, steps[i].name);
	if (skipped) {
		gp_tell_skipped(ctx, steps[i].name, skipped);
		return 0;
	}
	return gp_tell_ended(ctx, steps[i].name, start, steps[i].run(r, err)) < 0 ? gp_context(err, "%s", steps[i].name) : 0;
}

/* ---- the deploy, and the end ------------------------------------------------------------------------------------------------------- */

static int deploy(struct run *r, struct gp_error *err)
{
	struct gp_clone *c = r->c;

	GP_TRY(load_site(c, err));
	gp_lock_release(&r->from);
	gp_tell_note(c->ctx, "now the deploy of %.12s, which proves it", c->sha);
	if (gp_deploy_run_locked(c->ctx, c->deploy.request, &r->to, &c->deploy, err) == 0)
		return 0;
	if (err && err->kind == GP_E_USAGE) { /* the ref is none that somebody has typed */
		err->kind = GP_E_FAILED;
		gp_hint(err, "the commit that was live must be in %s: push it there", c->site.repo);
	}
	return -1;
}

static void tell_end(struct gp_clone *c)
{
	const struct gp_django *django = c->deploy.django;
	uint64_t rows;

	if (django && django->pending.n && !c->live)
		gp_tell_warn(c->ctx, "%zu migration%s of that commit had not been applied, and %s now", django->pending.n,
			django->pending.n == 1 ? "" : "s", django->pending.n == 1 ? "is" : "are");
	if (!gp_streq(c->site.domain, c->from.domain) && gp_tables_find(&c->file.dump.dumped.tables, "public.wagtailcore_site", &rows))
		gp_tell_note(c->ctx, "Wagtail's sites still have the host name of %s: set it in the admin, Settings → Sites", c->from.slug);
}

static void write_history(struct gp_clone *c, int64_t ms)
{
	const struct gp_history entry = {
		.what = "clone",
		.file = c->dump,
		.release = c->deploy.release,
		.sha = c->deploy.sha,
		.result = "ok",
		.ms = ms,
	};
	struct gp_error why = { 0 };

	if (gp_history_add(c->ctx, &c->paths, &entry, &why) < 0)
		gp_tell_warn(c->ctx, "%s", why.msg);
}

static int walk(struct run *r, struct gp_error *err)
{
	struct gp_clone *c = r->c;
	int64_t start = gp_mono_ms();

	for (int i = 0; i < STEPS; i++)
		GP_TRY(step(r, i, err));
	gp_dump_close(&c->file.dump);
	GP_TRY(deploy(r, err));
	tell_end(c);
	write_history(c, gp_mono_ms() - start);
	return gp_fs_remove(c->work, err);
}

static int clone_it(struct run *r, struct gp_error *err)
{
	struct gp_clone *c = r->c;
	int result;

	GP_TRY(gp_clone_place(c, err));
	GP_TRY(gp_clone_begin(c, err));
	result = walk(r, err);
	gp_dump_close(&c->file.dump);
	if (result == 0)
		return 0;
	if (!gp_fs_exists(c->yaml)) {
		gp_clone_forget(c);
		return gp_state(err, "nothing of %s was made", c->request->to);
	}
	gp_tell_note(c->ctx, "the same command again goes on from there; `goldpath remove %s` takes away what there is of it", c->request->to);
	return gp_state(err, "%s is made in part; %s is as it was", c->request->to, c->same ? "the snapshot" : c->request->slug);
}

int gp_clone_run(struct gp_ctx *ctx, const struct gp_clone_request *request, struct gp_clone *c, struct gp_error *err)
{
	struct run r = { .c = c, .from.fd = -1, .to.fd = -1 };
	struct gp_bus *bus;
	int result;

	*c = (struct gp_clone){ .ctx = ctx, .request = request, .same = gp_streq(request->slug, request->to), .file.dump.fd = -1 };
	if (gp_site_reserved(request->to))
		return gp_fail(err, GP_E_CONFIG, "'%s' is a name that goldpath uses itself, and no site's", request->to);
	c->paths = gp_site_paths(ctx, request->to);
	c->work = gp_sprintf(ctx->arena, "%s/clone", c->paths.state);
	c->yaml = gp_sprintf(ctx->arena, "%s/sites/%s.yaml", ctx->etc_dir, request->to);
	GP_TRY(gp_ctx_bus(ctx, &bus, err));
	GP_TRY(gp_lock_take(&r.to, ctx->lock_dir, request->to, ctx->command, err));
	result = clone_it(&r, err);
	gp_lock_release(&r.from);
	gp_lock_release(&r.to);
	return result;
}
