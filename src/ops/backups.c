/* What lies in the backups' folder. */
#include "ops/backups.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/error.h"
#include "ops/deploy.h"
#include "ops/manifest.h"
#include "ops/releases.h"
#include "ops/retention.h"
#include "sys/ctx.h"
#include "sys/fs.h"

enum { NAMES_MAX = 20000, REHEARSALS_MAX = 4 << 20, STAMP = 16 };

static const char infix[] = "_db_", suffix[] = ".sql.gz";

int gp_backups_open(const struct gp_paths *paths, const char *slug, int *ret, struct gp_error *err)
{
	GP_AUTO_FD root = open(paths->root, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int folder = root < 0 ? -1 : openat(root, strrchr(paths->backups, '/') + 1, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (folder >= 0) {
		*ret = folder;
		return 0;
	}
	gp_fail_errno(err, errno, "open folder %s", paths->backups);
	return gp_hint(err, "`goldpath provision %s` makes it anew where it is missing", slug);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

int gp_backups_names(struct gp_arena *arena, int folder, struct gp_strv *ret, struct gp_error *err)
{
	int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct gp_strv names = { 0 };
	struct dirent *e;
	int result;

	if (!dir) {
		gp_fail_errno(err, errno, "list the backups");
		gp_closep(&fd);
		return -1;
	}
	for (errno = 0; (e = readdir(dir)) && names.n < NAMES_MAX; errno = 0)
		gp_strv_add(arena, &names, gp_strdup(arena, e->d_name));
	result = !e && errno ? gp_fail_errno(err, errno, "list the backups") : 0;
	closedir(dir);
	GP_TRY(result);
	if (names.n)
		qsort(names.v, names.n, sizeof(*names.v), by_text);
	*ret = names;
	return 0;
}

const char *gp_backup_name(struct gp_arena *arena, const char *slug, int64_t when)
{
	return gp_sprintf(arena, "%s%s%s%s", slug, infix, gp_stamp(arena, when), suffix);
}

bool gp_backup_name_ok(struct gp_arena *arena, const char *slug, const char *name, int64_t *ret_when)
{
	size_t begin = strlen(slug) + strlen(infix);
	int64_t when;

	if (strlen(name) != begin + STAMP + strlen(suffix))
		return false;
	when = gp_stamp_time(name + begin);
	*ret_when = when;
	return when && gp_streq(name, gp_backup_name(arena, slug, when));
}

bool gp_backup_name_read(struct gp_arena *arena, const char *name, const char **ret_slug, int64_t *ret_when)
{
	const char *at = strstr(name, infix);
	int64_t when = at ? gp_stamp_time(at + strlen(infix)) : 0;

	if (!when)
		return false;
	if (ret_slug)
		*ret_slug = gp_strndup(arena, name, (size_t)(at - name));
	*ret_when = when;
	return true;
}

/* ---- the list ------------------------------------------------------------------------------------------------------------- */

/* The manifest may hold 65536 tables: what is not needed of it goes at once. */
static void read_manifest(struct gp_arena *arena, int folder, struct gp_backup_entry *e)
{
	GP_AUTO_ARENA own = gp_arena_new();
	struct gp_error why = { 0 };
	struct gp_manifest m;
	int there = gp_manifest_read(own, folder, e->name, &m, &why);

	e->sha256 = e->reason = e->release = e->verified = e->server = "";
	e->why = there < 0 ? gp_strdup(arena, why.msg) : there ? "" : "no manifest";
	if (there <= 0)
		return;
	e->sha256 = gp_strdup(arena, m.sha256);
	e->reason = gp_backup_reason_name(m.reason);
	e->release = gp_strdup(arena, m.release);
	e->verified = gp_strdup(arena, m.verified);
	e->server = gp_strdup(arena, m.server);
	for (size_t i = 0; i < m.tables.n; i++)
		e->rows += m.tables.v[i].rows;
	e->good = m.bytes == e->bytes;
	if (!e->good)
		e->why = gp_sprintf(arena, "%ju bytes long, and not %ju as when it was proven", (uintmax_t)e->bytes, (uintmax_t)m.bytes);
}

static const char *text_of(struct gp_arena *arena, const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? gp_strdup(arena, text) : "";
}

/* One line of the file of rehearsals: a later one of the same backup counts. */
static void join_rehearsal(struct gp_arena *arena, const char *line, struct gp_backup_list *list)
{
	json_t *object = json_loads(line, 0, NULL);
	const char *sha256 = json_string_value(json_object_get(object, "sha256"));

	for (size_t i = 0; sha256 && i < list->n; i++) {
		struct gp_backup_entry *e = &list->v[i];

		if (!gp_streq(e->sha256, sha256))
			continue;
		e->rehearsed.at = text_of(arena, object, "at");
		e->rehearsed.error = text_of(arena, object, "error");
		e->rehearsed.ok = json_is_true(json_object_get(object, "ok"));
		e->rehearsed.ms = json_integer_value(json_object_get(object, "ms"));
	}
	json_decref(object);
}

static int join_rehearsals(struct gp_ctx *ctx, const struct gp_paths *paths, struct gp_backup_list *list, struct gp_error *err)
{
	const char *path = gp_sprintf(ctx->arena, "%s/rehearsals", paths->state), *text = "";
	struct gp_strv lines;

	if (gp_fs_read_nofollow(ctx->arena, path, REHEARSALS_MAX, &text, NULL, err) < 0)
		return -1;
	lines = gp_lines(ctx->arena, text);
	for (size_t i = 0; i < lines.n; i++)
		join_rehearsal(ctx->arena, lines.v[i], list);
	return 0;
}

/* By the name alone: a record names the path that it had. */
static int mark_needed(struct gp_ctx *ctx, const struct gp_paths *paths, struct gp_backup_list *list, struct gp_error *err)
{
	struct gp_releases releases;

	GP_TRY(gp_releases_list(ctx, paths, &releases, err));
	for (size_t i = 0; i < releases.n; i++) {
		const char *name = strrchr(releases.v[i].record.backup, '/');

		for (size_t k = 0; name && releases.v[i].there && k < list->n; k++)
			list->v[k].needed = list->v[k].needed || gp_streq(list->v[k].name, name + 1);
	}
	return 0;
}

static int list_in(struct gp_ctx *ctx, int folder, const char *slug, struct gp_backup_list *ret, struct gp_error *err)
{
	struct gp_backup_list list = { 0 };
	struct gp_strv names;
	struct stat owner;

	GP_TRY(gp_backups_names(ctx->arena, folder, &names, err));
	if (fstat(folder, &owner) < 0)
		return gp_fail_errno(err, errno, "read the backups' folder");
	list.v = gp_alloc_array(ctx->arena, names.n + 1, sizeof(*list.v));
	for (size_t i = names.n; i-- > 0;) {
		struct gp_backup_entry e = { .name = names.v[i], .rehearsed = { .at = "", .error = "" } };
		struct stat st;

		if (!gp_backup_name_ok(ctx->arena, slug, e.name, &e.when) || fstatat(folder, e.name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
			!S_ISREG(st.st_mode))
			continue;
		e.bytes = (uint64_t)st.st_size;
		read_manifest(ctx->arena, folder, &e);
		/* It is opened as the folder's owner, so that nothing in there leads further than they could go. */
		if (e.good && st.st_uid != owner.st_uid) {
			e.good = false;
			e.why = "of another user: chown it to the folder's owner";
		}
		list.v[list.n++] = e;
	}
	*ret = list;
	return 0;
}

int gp_backups_list(struct gp_ctx *ctx, const struct gp_paths *paths, const char *slug, struct gp_backup_list *ret, struct gp_error *err)
{
	GP_AUTO_FD folder = -1;

	GP_TRY(gp_backups_open(paths, slug, &folder, err));
	GP_TRY(list_in(ctx, folder, slug, ret, err));
	GP_TRY(mark_needed(ctx, paths, ret, err));
	return join_rehearsals(ctx, paths, ret, err);
}

/* ---- retention -------------------------------------------------------------------------------------------------------------- */

/* The file first: a manifest without one is cleared away by the next backup, a backup without its manifest would stay. */
static int remove_one(struct gp_deploy *d, int folder, const char *name, struct gp_error *err)
{
	if (unlinkat(folder, name, 0) < 0 && errno != ENOENT)
		return gp_fail_errno(err, errno, "remove %s/%s", d->paths.backups, name);
	if (unlinkat(folder, gp_manifest_name(d->ctx->arena, name), 0) < 0 && errno != ENOENT)
		return gp_fail_errno(err, errno, "remove the manifest of %s/%s", d->paths.backups, name);
	gp_tell_note(d->ctx, "%s is kept no longer, and removed", name);
	return 0;
}

int gp_backups_prune(struct gp_deploy *d, struct gp_error *err)
{
	const struct gp_retention keep = { .daily = d->site.backup.daily, .weekly = d->site.backup.weekly, .monthly = d->site.backup.monthly };
	struct gp_backup_list list;
	struct gp_retained *r;
	GP_AUTO_FD folder = -1;

	GP_TRY(gp_backups_list(d->ctx, &d->paths, d->site.slug, &list, err));
	r = gp_alloc_array(d->ctx->arena, list.n + 1, sizeof(*r));
	for (size_t i = 0; i < list.n; i++)
		r[i] = (struct gp_retained){ .when = list.v[i].when, .good = list.v[i].good, .needed = list.v[i].needed };
	gp_retention_choose(&keep, gp_now(), r, list.n);
	GP_TRY(gp_backups_open(&d->paths, d->site.slug, &folder, err));
	for (size_t i = 0; i < list.n; i++)
		if (!r[i].stays)
			GP_TRY(remove_one(d, folder, list.v[i].name, err));
	return fsync(folder) < 0 ? gp_fail_errno(err, errno, "sync %s", d->paths.backups) : 0;
}
