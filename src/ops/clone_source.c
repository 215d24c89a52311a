/* The site that is cloned: as it lives on this host, or as a snapshot has it. */
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/parse.h"
#include "ops/backup.h"
#include "ops/clone.h"
#include "ops/offsite.h"
#include "plan/types.h"
#include "sys/ctx.h"
#include "sys/fs.h"
#include "sys/lock.h"
#include "sys/pg.h"
#include "sys/proc.h"
#include "sys/tree.h"

enum { PASSWORD_FILE_MAX = 4096, ROOT_FOLDER = 0700, SHA_SHORT = 7, ROOM_LEAST = 64 << 20, DUMP_PART = 3 };

static int derive(struct gp_clone *c, const char *text, struct gp_error *err)
{
	GP_TRY(gp_clone_site(c->ctx->arena, c->request->slug, text, c->request->to, c->request->domain, &c->text, &c->from, &c->site, err));
	if (!gp_site_database_is_local(&c->from)) {
		gp_fail(err, GP_E_REFUSED, "the database of %s is on another host, %s", c->from.slug, c->from.database.host);
		return gp_hint(err, "only a site whose database is on this host can be cloned");
	}
	return 0;
}

/* ---- on this host ------------------------------------------------------------------------------------------------------------ */

static int find_here(struct gp_clone *c, struct gp_lock *lock, struct gp_error *err)
{
	struct gp_deploy_request *request = gp_alloc(c->ctx->arena, sizeof(*request));
	struct gp_deploy *d = c->source;
	const char *text, *live, *yaml = gp_sprintf(c->ctx->arena, "%s/sites/%s.yaml", c->ctx->etc_dir, c->request->slug);
	int there;

	*request = (struct gp_deploy_request){ .slug = c->request->slug };
	GP_TRY(gp_deploy_load(c->ctx, request, d, err));
	GP_TRY(gp_lock_take(lock, c->ctx->lock_dir, d->site.slug, c->ctx->command, err));
	GP_TRY(there = gp_fs_read(c->ctx->arena, yaml, GP_CONF_MAX, &text, NULL, err));
	if (!there)
		return gp_fail(err, GP_E_CONFIG, "the file of %s has gone", d->site.slug);
	GP_TRY(derive(c, text, err));
	live = gp_deploy_serving(d);
	if (!live) {
		gp_fail(err, GP_E_REFUSED, "no release of %s is live", d->site.slug);
		return gp_hint(err, "goldpath deploy %s", d->site.slug);
	}
	GP_TRY(gp_deploy_at(d, live, err));
	if (!d->sha)
		return gp_fail(err, GP_E_FAILED, "%s does not say which commit it was made of", live);
	c->sha = d->sha;
	GP_TRY(gp_dotenv_read(c->ctx, d->paths.env, &c->env, err));
	c->media = d->paths.media;
	return 0;
}

/* ---- in a repository ----------------------------------------------------------------------------------------------------------- */

/* The password lies where a site has it, in the new one's work folder. */
static int take_password(struct gp_clone *c, struct gp_error *err)
{
	const char *path = c->request->password_file, *text, *folder = gp_sprintf(c->ctx->arena, "%s/offsite", c->work);
	struct stat st;
	int there;

	GP_TRY(there = gp_fs_lstat(path, &st, err));
	if (!there)
		return gp_fail(err, GP_E_CONFIG, "there is no %s", path);
	if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 077)) {
		gp_fail(err, GP_E_CONFIG, "%s holds a password, and is not root's alone", path);
		return gp_hint(err, "chown root: %s; chmod 0600 %s", path, path);
	}
	GP_TRY(gp_fs_read_nofollow(c->ctx->arena, path, PASSWORD_FILE_MAX, &text, NULL, err));
	gp_secret_add(&c->ctx->secrets, gp_trim(c->ctx->arena, text));
	GP_TRY(gp_fs_mkdir(folder, ROOT_FOLDER, 0, 0, err));
	return gp_fs_write(gp_sprintf(c->ctx->arena, "%s/password", folder), text, strlen(text), 0600, 0, 0, err);
}

/* What is needed of the old site before there is a file of it: where it was, and how its repository is reached. */
static int reach(struct gp_clone *c, struct gp_error *err)
{
	struct gp_deploy *d = c->source;

	*d = (struct gp_deploy){ .ctx = c->ctx, .site = { .slug = c->request->slug, .backup = { .offsite = c->request->offsite } } };
	if (!gp_fs_exists(gp_sprintf(c->ctx->arena, "%s/host.yaml", c->ctx->etc_dir))) {
		gp_fail(err, GP_E_CONFIG, "this host is not provisioned: there is no %s/host.yaml", c->ctx->etc_dir);
		return gp_hint(err, "bring the old host's, or begin with an empty one; then `goldpath provision`");
	}
	GP_TRY(gp_host_load(c->ctx->arena, c->ctx->etc_dir, &d->host, err));
	if (gp_account_find(c->ctx->arena, d->host.deploy_user, &d->account, NULL) != 1) {
		gp_fail(err, GP_E_CONFIG, "this host is not provisioned");
		return gp_hint(err, "`goldpath provision` first");
	}
	d->builder = d->account;
	d->paths = gp_site_paths(c->ctx, c->request->slug);
	d->paths.state = c->work;
	GP_TRY(take_password(c, err));
	if (gp_proc_have("restic"))
		return 0;
	gp_fail(err, GP_E_CONFIG, "there is no restic on this host");
	return gp_hint(err, "apt-get install restic");
}

static const char *fetched(const struct gp_clone *c, const char *path)
{
	return gp_sprintf(c->ctx->arena, "%s/files%s", c->work, path);
}

static int fetch(struct gp_clone *c, struct gp_error *err)
{
	struct gp_deploy *d = c->source;
	struct gp_strv paths = { 0 };
	const char *to = gp_sprintf(c->ctx->arena, "%s/files", c->work);

	GP_TRY(gp_fs_remove(to, err));
	GP_TRY(gp_fs_mkdir(to, ROOT_FOLDER, 0, 0, err));
	gp_strv_add(c->ctx->arena, &paths, gp_sprintf(c->ctx->arena, "%s/sites/%s.yaml", c->ctx->etc_dir, d->site.slug));
	gp_strv_add(c->ctx->arena, &paths, d->paths.env);
	gp_strv_add(c->ctx->arena, &paths, d->paths.media);
	/* The dump first: a snapshot without one is none to begin with. */
	GP_TRY(gp_offsite_fetch_dump(d, &c->dump, err));
	return gp_offsite_fetch(d, &paths, to, err);
}

/* "20260131T235959Z-0123abc": by the manifest, which is about what is loaded. */
static int read_release(struct gp_clone *c, struct gp_error *err)
{
	const char *release;

	c->restore = (struct gp_restore_request){ .slug = c->request->slug, .file = c->dump };
	GP_TRY(gp_restore_find(c->source, &c->file, err));
	release = c->file.has_manifest ? c->file.manifest.release : "";
	if (!gp_name_ok(GP_NAME_release, release)) {
		gp_fail(err, GP_E_FAILED, "the backup in the snapshot does not say of which release it is");
		return gp_hint(err, "take %s to this host by restic, and set the site up with `goldpath init`, `deploy` and `restore`", c->dump);
	}
	c->sha = gp_sprintf(c->ctx->arena, "%.*s", SHA_SHORT, strchr(release, '-') + 1);
	return 0;
}

/* What is said there is for a site that has such a repository. */
static int hint_for_fetch(const struct gp_clone *c, struct gp_error *err)
{
	if (err)
		*err->hint = '\0';
	return gp_hint(err, "is %s the repository of %s, and is its password in %s? See what is there: restic -r %s --password-file %s snapshots",
		c->request->offsite, c->request->slug, c->request->password_file, c->request->offsite, c->request->password_file);
}

static int find_offsite(struct gp_clone *c, struct gp_error *err)
{
	const char *text, *yaml = gp_sprintf(c->ctx->arena, "%s/sites/%s.yaml", c->ctx->etc_dir, c->request->slug), *env;
	int there;

	GP_TRY(reach(c, err));
	if (fetch(c, err) < 0)
		return hint_for_fetch(c, err);
	GP_TRY(there = gp_fs_read_nofollow(c->ctx->arena, fetched(c, yaml), GP_CONF_MAX, &text, NULL, err));
	if (!there)
		return gp_fail(err, GP_E_FAILED, "there is no %s in the snapshot", yaml);
	GP_TRY(derive(c, text, err));
	env = c->source->paths.env;
	GP_TRY(there = gp_dotenv_read(c->ctx, fetched(c, env), &c->env, err));
	if (!there)
		return gp_fail(err, GP_E_FAILED, "there is no %s in the snapshot", env);
	c->media = fetched(c, c->source->paths.media);
	return read_release(c, err);
}

int gp_clone_source(struct gp_clone *c, struct gp_lock *lock, struct gp_error *err)
{
	c->source = gp_alloc(c->ctx->arena, sizeof(*c->source));
	c->file = (struct gp_restore){ .request = &c->restore, .local = true, .dump.fd = -1 };
	return c->request->offsite ? find_offsite(c, err) : find_here(c, lock, err);
}

int gp_clone_dump(struct gp_clone *c, struct gp_error *err)
{
	struct gp_backup made;

	if (c->request->offsite)
		return 0;
	GP_TRY(gp_backup_run(c->source, GP_BACKUP_CLONE, &made, err));
	c->dump = made.path;
	c->restore = (struct gp_restore_request){ .slug = c->request->slug, .file = c->dump };
	return gp_restore_find(c->source, &c->file, err);
}

/* ---- room ---------------------------------------------------------------------------------------------------------------------- */

static int database_bytes(struct gp_clone *c, uint64_t *ret, struct gp_error *err)
{
	struct gp_database db = gp_database_named(c->ctx, c->from.database.name, c->from.database.host, (int)c->from.database.port);
	struct gp_pg *pg;
	uint64_t room;
	int version, there;

	*ret = 0;
	if (c->request->offsite)
		return 0;
	GP_TRY(gp_ctx_admin(c->ctx, db.port, &pg, err));
	GP_TRY(there = gp_database_bytes(pg, c->ctx->arena, db.name, ret, err));
	if (!there)
		return gp_fail(err, GP_E_FAILED, "there is no database %s", db.name);
	GP_TRY(gp_database_room(&db, &room, &version, err));
	if (room < *ret)
		return gp_fail(err, GP_E_FAILED, "the database %s takes %s, and there is no room for a second one", db.name,
			gp_size_words(c->ctx->arena, *ret));
	return 0;
}

int gp_clone_room(struct gp_clone *c, struct gp_error *err)
{
	uint64_t free_bytes, free_inodes, database, need;
	struct gp_tree media;

	GP_TRY(gp_tree_measure(c->media, false, &media, err));
	GP_TRY(database_bytes(c, &database, err));
	GP_TRY(gp_fs_free(c->ctx->sites_dir, &free_bytes, &free_inodes, err));
	need = media.disk + database / DUMP_PART + ROOM_LEAST;
	gp_tell_note(c->ctx, "%s of media in %ju files%s%s", gp_size_words(c->ctx->arena, media.disk), (uintmax_t)media.entries,
		database ? ", a database of " : "", database ? gp_size_words(c->ctx->arena, database) : "");
	if (free_bytes >= need && (free_inodes >= media.entries || !free_inodes))
		return 0;
	gp_fail(err, GP_E_FAILED, "%s has %s and %ju inodes free, and %s and %ju are needed", c->ctx->sites_dir,
		gp_size_words(c->ctx->arena, free_bytes), (uintmax_t)free_inodes, gp_size_words(c->ctx->arena, need), (uintmax_t)media.entries);
	return gp_hint(err, "see `df -h %s`", c->ctx->sites_dir);
}
