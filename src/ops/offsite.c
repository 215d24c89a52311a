/* The repository, opened; and what is done with it. */
#include "ops/offsite.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/secret.h"
#include "ops/backups.h"
#include "ops/confined.h"
#include "ops/deploy.h"
#include "sys/ctx.h"
#include "sys/fs.h"

enum { PASSWORD = 40, PASSWORD_FILE_MAX = 4096, NOTE_MAX = 4096, CHECK_PARTS = 20, DAY = 24 * 3600, HOST_MAX = 256, ROOT_FOLDER = 0700 };

struct repository {
	struct gp_deploy *d;
	struct gp_restic restic;
	const char *folder;   /* the state folder's offsite/ */
	const char *password; /* files in it */
	const char *made;     /* where the repository was made */
	const char *working;  /* there while restic is at work */
	const char *host;
};

static const char *in_folder(const struct repository *o, const char *name)
{
	return gp_sprintf(o->d->ctx->arena, "%s/%s", o->folder, name);
}

static const char *site_tag(const struct repository *o)
{
	return gp_sprintf(o->d->ctx->arena, "site=%s", o->d->site.slug);
}

/* ---- opening ---------------------------------------------------------------------------------------------------------- */

static int make_folders(const struct repository *o, struct gp_error *err)
{
	static const char *const names[] = { "cache", "tmp" };

	GP_TRY(gp_fs_mkdir(o->folder, ROOT_FOLDER, 0, 0, err));
	GP_TRY(gp_fs_remove(in_folder(o, "tmp"), err));
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		GP_TRY(gp_fs_mkdir(in_folder(o, names[i]), ROOT_FOLDER, 0, 0, err));
	return 0;
}

/* It cannot be made anew: what is in the repository opens by the one that it was made with. */
static int password_is_gone(const struct repository *o, const char *made, struct gp_error *err)
{
	gp_fail(err, GP_E_CONFIG, "there is no %s, the password of the repository %s", o->password, made);
	return gp_hint(err, "put the copy of it there that was kept elsewhere. If there is none: another `backup.offsite`, for a new repository, and rm %s",
		o->made);
}

/* Made up once, before the repository is; whoever has had one before puts its password there. made: where that was, or "". */
static int ensure_password(struct repository *o, const char *made, struct gp_error *err)
{
	struct gp_arena *arena = o->d->ctx->arena;
	const char *text;
	int there;

	GP_TRY(there = gp_fs_read_nofollow(arena, o->password, PASSWORD_FILE_MAX, &text, NULL, err));
	if (!there && *made)
		return password_is_gone(o, made, err);
	if (!there) {
		text = gp_sprintf(arena, "%s\n", gp_secret_new(arena, PASSWORD));
		GP_TRY(gp_fs_write(o->password, text, strlen(text), 0600, 0, 0, err));
		gp_tell_warn(o->d->ctx, "the repository's password was made: keep a copy of %s somewhere else, without it nothing can be brought back",
			o->password);
	}
	gp_secret_add(&o->d->ctx->secrets, gp_trim(arena, text));
	return 0;
}

/* Keys that goldpath sets itself, or that would have another program run. */
static bool is_ours(const char *key)
{
	return gp_starts_with(key, "RESTIC_") || gp_starts_with(key, "LD_") || gp_streq(key, "PATH") || gp_streq(key, "HOME") ||
		gp_streq(key, "TMPDIR");
}

static int read_credentials(struct repository *o, struct gp_strv *env, struct gp_error *err)
{
	struct gp_ctx *ctx = o->d->ctx;
	const char *path = gp_sprintf(ctx->arena, "%s/sites/%s.offsite", ctx->etc_dir, o->d->site.slug), *text;
	struct gp_dotenv pairs;
	struct stat st;
	size_t len;
	int there;

	GP_TRY(there = gp_fs_lstat(path, &st, err));
	if (!there)
		return 0;
	if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 077)) {
		gp_fail(err, GP_E_CONFIG, "%s holds credentials, and is not root's alone", path);
		return gp_hint(err, "chown root: %s; chmod 0600 %s", path, path);
	}
	GP_TRY(gp_fs_read_nofollow(ctx->arena, path, GP_DOTENV_MAX, &text, &len, err));
	GP_TRY_TO(err, gp_dotenv_parse(ctx->arena, text, len, &pairs, err), "%s", path);
	for (size_t i = 0; i < pairs.n; i++) {
		if (is_ours(pairs.pairs[i].key))
			return gp_fail(err, GP_E_CONFIG, "%s: %s is set by goldpath", path, pairs.pairs[i].key);
		gp_secret_add(&ctx->secrets, pairs.pairs[i].value);
		gp_strv_add(ctx->arena, env, gp_sprintf(ctx->arena, "%s=%s", pairs.pairs[i].key, pairs.pairs[i].value));
	}
	return 0;
}

/* The last folder of a local one is made here; the one that it lies in may be a disk that is not mounted. */
static int make_place(const struct repository *o, struct gp_error *err)
{
	const char *path = o->restic.repository, *slash = strrchr(path, '/');
	const char *above = gp_strndup(o->d->ctx->arena, path, slash > path ? (size_t)(slash - path) : 1);

	if (path[0] != '/' || gp_fs_exists(path))
		return 0;
	if (!gp_fs_exists(above)) {
		gp_fail(err, GP_E_CONFIG, "there is no folder %s, in which the repository is to be made", above);
		return gp_hint(err, "is its disk mounted?");
	}
	return gp_fs_mkdir(path, ROOT_FOLDER, 0, 0, err);
}

/* What restic sees, and may write to. root's ssh knows the way to an sftp host. */
static struct gp_proc how(const struct repository *o, const struct gp_strv *env, const char *to)
{
	struct gp_ctx *ctx = o->d->ctx;
	bool local = o->restic.repository[0] == '/';
	const struct gp_view views[] = {
		{ GP_VIEW_READ, "/root/.ssh", NULL },
		{ GP_VIEW_READ, gp_sprintf(ctx->arena, "%s/sites/%s.yaml", ctx->etc_dir, o->d->site.slug), NULL },
		{ GP_VIEW_READ, o->password, NULL },
		{ GP_VIEW_WRITE, in_folder(o, "cache"), NULL },
		{ GP_VIEW_WRITE, "/tmp", in_folder(o, "tmp") },
		{ GP_VIEW_WRITE, to ? to : local ? o->restic.repository : in_folder(o, "cache"), NULL },
		{ GP_VIEW_WRITE, local ? o->restic.repository : in_folder(o, "cache"), NULL },
	};

	return gp_confined_reader(o->d, (struct gp_proc){ .env = env->v }, views, sizeof(views) / sizeof(views[0]));
}

static int look_for_host(struct repository *o, struct gp_error *err)
{
	char name[HOST_MAX] = "";

	if (gethostname(name, sizeof(name) - 1) < 0)
		return gp_fail_errno(err, errno, "read this host's name");
	o->host = gp_strdup(o->d->ctx->arena, name);
	return 0;
}

/* Where it was made, "" where it was not yet. */
static int read_made(const struct repository *o, const char **ret, struct gp_error *err)
{
	const char *text = "";

	GP_TRY(gp_fs_read_nofollow(o->d->ctx->arena, o->made, NOTE_MAX, &text, NULL, err));
	*ret = gp_trim(o->d->ctx->arena, text);
	return 0;
}

/* It was made here and is gone, or never was. */
static int is_not_there(const struct repository *o, const char *made, struct gp_error *err)
{
	if (!gp_streq(made, o->restic.repository)) {
		gp_fail(err, GP_E_FAILED, "there is no repository %s", o->restic.repository);
		return gp_hint(err, "is the path right, and its disk mounted?");
	}
	gp_fail(err, GP_E_FAILED, "the repository %s is not there any more", o->restic.repository);
	return gp_hint(err, "is its disk mounted? To begin a new one: rm %s", o->made);
}

static int prepare(struct gp_deploy *d, const char *to, struct repository *o, struct gp_error *err)
{
	struct gp_ctx *ctx = d->ctx;
	struct gp_strv env = { 0 };

	if (!d->site.backup.offsite) {
		gp_fail(err, GP_E_CONFIG, "%s has no repository", d->site.slug);
		return gp_hint(err, "set `backup.offsite` in %s/sites/%s.yaml: /path, sftp:user@host:path or s3:https://host/bucket", ctx->etc_dir,
			d->site.slug);
	}
	*o = (struct repository){ .d = d, .folder = gp_sprintf(ctx->arena, "%s/offsite", d->paths.state) };
	o->password = in_folder(o, "password");
	o->made = in_folder(o, "repository");
	o->working = in_folder(o, "working");
	o->restic = (struct gp_restic){ .repository = d->site.backup.offsite, .password_file = o->password, .arena = ctx->arena };
	GP_TRY(look_for_host(o, err));
	GP_TRY(make_folders(o, err));
	GP_TRY(read_credentials(o, &env, err));
	gp_strv_add(ctx->arena, &env, gp_sprintf(ctx->arena, "RESTIC_CACHE_DIR=%s", in_folder(o, "cache")));
	gp_strv_add(ctx->arena, &env, "HOME=/root");
	gp_strv_add(ctx->arena, &env, "TMPDIR=/tmp");
	o->restic.base = how(o, &env, to);
	return 0;
}

static int note_place(const struct repository *o, struct gp_error *err)
{
	const char *note = gp_sprintf(o->d->ctx->arena, "%s\n", o->restic.repository);

	return gp_fs_write(o->made, note, strlen(note), 0600, 0, 0, err);
}

/* The first time: made, unless there is one. Whether there is one is not asked before, for restic waits long for a bucket that is not there. */
static int begin_place(const struct repository *o, struct gp_error *err)
{
	int made, there = 1;

	GP_TRY(make_place(o, err));
	GP_TRY(made = gp_restic_init(&o->restic, err));
	if (!made)
		GP_TRY(there = gp_restic_find(&o->restic, err));
	if (!there)
		return gp_fail(err, GP_E_FAILED, "the repository %s: restic finds none, and makes none", o->restic.repository);
	GP_TRY(note_place(o, err));
	if (made)
		gp_tell_note(o->d->ctx, "the repository %s was made", o->restic.repository);
	return 0;
}

/* To read from. It has to be there, and so has its password. */
static int open_to_read(struct gp_deploy *d, const char *to, struct repository *o, struct gp_error *err)
{
	const char *made;
	int there;

	GP_TRY(prepare(d, to, o, err));
	GP_TRY(read_made(o, &made, err));
	if (!gp_fs_exists(o->password)) {
		if (*made)
			return password_is_gone(o, made, err);
		gp_fail(err, GP_E_CONFIG, "there is no %s, the password of the repository %s", o->password, o->restic.repository);
		return gp_hint(err, "put the copy of it there that was kept elsewhere; `goldpath backup %s --media` makes a new repository", d->site.slug);
	}
	GP_TRY(there = gp_restic_find(&o->restic, err));
	return there ? 0 : is_not_there(o, made, err);
}

static int open_to_write(struct gp_deploy *d, struct repository *o, struct gp_error *err)
{
	const char *made;
	int there;

	GP_TRY(prepare(d, NULL, o, err));
	GP_TRY(read_made(o, &made, err));
	GP_TRY(ensure_password(o, made, err));
	if (!gp_streq(made, o->restic.repository))
		return begin_place(o, err);
	GP_TRY(there = gp_restic_find(&o->restic, err));
	return there ? 0 : is_not_there(o, made, err);
}

/* ---- a snapshot --------------------------------------------------------------------------------------------------------- */

/*
 * restic tells a dead process' lock by its pid, which says nothing where each run has pids of its own: it would take the lock of somebody who is
 * at work for a dead one's. So nothing is unlocked but after a run of ours that was cut off, which has left its note; then every lock goes.
 */
static int begin_work(const struct repository *o, struct gp_error *err)
{
	if (gp_fs_exists(o->working)) {
		gp_tell_note(o->d->ctx, "the run before this one was cut off: the repository is unlocked");
		GP_TRY(gp_restic_unlock(&o->restic, err));
	}
	return gp_fs_write(o->working, "", 0, 0600, 0, 0, err);
}

static struct gp_strv paths_of(const struct repository *o)
{
	const struct gp_deploy *d = o->d;
	struct gp_ctx *ctx = d->ctx;
	const char *const all[] = { d->site.backup.media ? d->paths.media : NULL, d->paths.backups, d->paths.env,
		gp_sprintf(ctx->arena, "%s/sites/%s.yaml", ctx->etc_dir, d->site.slug) };
	struct gp_strv paths = { 0 };

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (all[i] && gp_fs_exists(all[i]))
			gp_strv_add(ctx->arena, &paths, all[i]);
	return paths;
}

static int take(struct repository *o, struct gp_restic_done *ret, struct gp_error *err)
{
	struct gp_ctx *ctx = o->d->ctx;
	const char *release = gp_deploy_serving(o->d);
	const struct gp_strv paths = paths_of(o);
	struct gp_strv tags = { 0 };

	gp_strv_add(ctx->arena, &tags, site_tag(o));
	if (release)
		gp_strv_add(ctx->arena, &tags, gp_sprintf(ctx->arena, "release=%s", release));
	GP_TRY(gp_restic_backup(&o->restic, o->host, &tags, &paths, ret, err));
	gp_tell_note(ctx, "snapshot %s of %ju files, %s; %s new", ret->snapshot, (uintmax_t)ret->files, gp_size_words(ctx->arena, ret->bytes),
		gp_size_words(ctx->arena, ret->added));
	if (ret->unread)
		gp_tell_warn(ctx, "%zu file%s could not be read and %s not in it%s%s", ret->unread, ret->unread == 1 ? "" : "s",
			ret->unread == 1 ? "is" : "are", *ret->why ? ": " : "", ret->why);
	return 0;
}

static int work(struct repository *o, struct gp_restic_done *ret, struct gp_error *err)
{
	const struct gp_site *site = &o->d->site;

	GP_TRY(begin_work(o, err));
	GP_TRY(take(o, ret, err));
	GP_TRY(gp_restic_forget(&o->restic, o->host, site_tag(o), site->backup.daily, site->backup.weekly, site->backup.monthly, err));
	/* In three weeks of daily runs all of it was read. */
	GP_TRY(gp_restic_check(&o->restic, (int)(gp_now() / DAY % CHECK_PARTS) + 1, CHECK_PARTS, err));
	return 0;
}

int gp_offsite_backup(struct gp_deploy *d, struct gp_restic_done *ret, struct gp_error *err)
{
	struct repository o;
	int result;

	GP_TRY(open_to_write(d, &o, err));
	result = work(&o, ret, err);
	/* The network or a deadline may have cut it off. A lock that is somebody else's is left to them, and a check that found something has ended. */
	if (result == 0 || (err && (err->kind == GP_E_LOCKED || err->kind == GP_E_CHECK)))
		gp_fs_remove(o.working, NULL);
	return result;
}

/* ---- back --------------------------------------------------------------------------------------------------------------- */

/* Of this site: by the tag, whichever host it was made on. */
static int newest(const struct repository *o, const char **ret, struct gp_error *err)
{
	struct gp_restic_snapshots list;

	GP_TRY(gp_restic_snapshots(&o->restic, site_tag(o), &list, err));
	if (!list.n)
		return gp_fail(err, GP_E_FAILED, "the repository %s has no snapshot of %s", o->restic.repository, o->d->site.slug);
	*ret = list.v[0].id;
	return 0;
}

int gp_offsite_fetch(struct gp_deploy *d, const struct gp_strv *paths, const char *to, struct gp_error *err)
{
	struct repository o;
	const char *id;

	GP_TRY(open_to_read(d, to, &o, err));
	GP_TRY(newest(&o, &id, err));
	return gp_restic_restore(&o.restic, id, paths, to, err);
}

static const char *fetched_folder(const struct gp_deploy *d)
{
	return gp_sprintf(d->ctx->arena, "%s/offsite/fetched", d->paths.state);
}

static int fetch_file(const struct repository *o, const char *id, const char *name, struct gp_error *err)
{
	struct gp_arena *arena = o->d->ctx->arena;
	GP_AUTO_FD fd = open(gp_sprintf(arena, "%s/%s", fetched_folder(o->d), name), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		return gp_fail_errno(err, errno, "write %s/%s", fetched_folder(o->d), name);
	return gp_restic_dump(&o->restic, id, gp_sprintf(arena, "%s/%s", o->d->paths.backups, name), fd, err);
}

int gp_offsite_fetch_dump(struct gp_deploy *d, const char **ret, struct gp_error *err)
{
	struct gp_arena *arena = d->ctx->arena;
	const char *id, *name = NULL, *manifest;
	struct repository o;
	struct gp_strv names;
	int64_t when;

	GP_TRY(open_to_read(d, NULL, &o, err));
	GP_TRY(newest(&o, &id, err));
	GP_TRY(gp_restic_list(&o.restic, id, d->paths.backups, &names, err));
	for (size_t i = 0; i < names.n; i++)
		if (gp_backup_name_ok(arena, d->site.slug, names.v[i], &when))
			name = names.v[i];
	if (!name)
		return gp_fail(err, GP_E_FAILED, "there is no backup of the database in snapshot %.8s", id);
	GP_TRY(gp_fs_remove(fetched_folder(d), err));
	GP_TRY(gp_fs_mkdir(fetched_folder(d), ROOT_FOLDER, 0, 0, err));
	GP_TRY(fetch_file(&o, id, name, err));
	manifest = gp_sprintf(arena, "%s.json", name);
	if (gp_strv_has(&names, manifest))
		GP_TRY(fetch_file(&o, id, manifest, err));
	gp_tell_note(d->ctx, "%s of snapshot %.8s was brought back", name, id);
	*ret = gp_sprintf(arena, "%s/%s", fetched_folder(d), name);
	return 0;
}

void gp_offsite_forget_dump(struct gp_deploy *d)
{
	gp_fs_remove(fetched_folder(d), NULL);
}
