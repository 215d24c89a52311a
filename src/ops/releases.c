/* Records of releases, and the list that they and the folders make. */
#include "ops/releases.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/dotenv.h"
#include "base/error.h"
#include "base/parse.h"
#include "ops/deploy.h"
#include "ops/django.h"
#include "ops/line.h"
#include "ops/slot.h"
#include "sys/ctx.h"
#include "sys/fs.h"
#include "sys/tree.h"

enum { RECORD_MAX = 4 << 20 };

static const char suffix[] = ".json";

static const char *folder_of(struct gp_ctx *ctx, const struct gp_paths *paths)
{
	return gp_sprintf(ctx->arena, "%s/releases", paths->state);
}

static const char *record_path(struct gp_ctx *ctx, const struct gp_paths *paths, const char *release)
{
	return gp_sprintf(ctx->arena, "%s/%s%s", folder_of(ctx, paths), release, suffix);
}

/* "" is what is read where there is none. */
static void put(json_t *object, const char *key, const char *text)
{
	gp_line_put(object, key, text && *text ? text : NULL);
}

static void put_list(json_t *object, const char *key, const struct gp_strv *list)
{
	json_t *array = json_array();

	for (size_t i = 0; i < list->n; i++)
		json_array_append_new(array, json_string(list->v[i]));
	if (json_object_set_new(object, key, array) < 0)
		abort();
}

static int write_record(struct gp_ctx *ctx, const struct gp_paths *paths, const struct gp_record *record, struct gp_error *err)
{
	json_t *object = json_object();
	const char *line;

	json_object_set_new(object, "v", json_integer(1));
	put(object, "release", record->release);
	put(object, "sha", record->sha);
	put(object, "ref", record->ref);
	put(object, "at", record->at);
	put(object, "result", record->result);
	put(object, "backup", record->backup);
	put_list(object, "migrations", &record->migrations);
	put_list(object, "applied_before", &record->applied_before);
	if (record->applied_after_known)
		put_list(object, "applied_after", &record->applied_after);
	line = gp_sprintf(ctx->arena, "%s\n", gp_line_of(ctx->arena, object));
	GP_TRY(gp_fs_mkdir(folder_of(ctx, paths), 0700, (uid_t)-1, (gid_t)-1, err));
	return gp_fs_write(record_path(ctx, paths, record->release), line, strlen(line), 0600, (uid_t)-1, (gid_t)-1, err);
}

static const char *text_of(struct gp_ctx *ctx, const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? gp_strdup(ctx->arena, text) : "";
}

static struct gp_strv list_of(struct gp_ctx *ctx, const json_t *object, const char *key)
{
	const json_t *array = json_object_get(object, key);
	struct gp_strv list = { 0 };

	for (size_t i = 0; i < json_array_size(array); i++) {
		const char *text = json_string_value(json_array_get(array, i));

		if (text)
			gp_strv_add(ctx->arena, &list, gp_strdup(ctx->arena, text));
	}
	return list;
}

int gp_release_record_read(struct gp_ctx *ctx, const struct gp_paths *paths, const char *release, struct gp_record *ret,
	struct gp_error *err)
{
	const char *path = record_path(ctx, paths, release), *text;
	json_auto_t *object = NULL;
	int there;

	GP_TRY(there = gp_fs_read_nofollow(ctx->arena, path, RECORD_MAX, &text, NULL, err));
	if (!there)
		return 0;
	object = json_loads(text, 0, NULL);
	if (!json_is_object(object))
		return gp_fail(err, GP_E_FAILED, "%s is no record of a release", path);
	*ret = (struct gp_record){
		.release = gp_strdup(ctx->arena, release),
		.sha = text_of(ctx, object, "sha"),
		.ref = text_of(ctx, object, "ref"),
		.at = text_of(ctx, object, "at"),
		.result = text_of(ctx, object, "result"),
		.backup = text_of(ctx, object, "backup"),
		.migrations = list_of(ctx, object, "migrations"),
		.applied_before = list_of(ctx, object, "applied_before"),
		.applied_after = list_of(ctx, object, "applied_after"),
		.applied_after_known = json_object_get(object, "applied_after") != NULL,
	};
	return 1;
}

int gp_release_record_remove(struct gp_ctx *ctx, const struct gp_paths *paths, const char *release, struct gp_error *err)
{
	return gp_fs_remove(record_path(ctx, paths, release), err);
}

/* All that d knows of its release by now; what it does not know stays as it was written. */
static int write_known(struct gp_deploy *d, const char *result, struct gp_error *err)
{
	struct gp_record record = { .at = gp_rfc3339(d->ctx->arena, gp_now()), .backup = "" };

	if (!d->release || d->rollback)
		return 0;
	/* One that cannot be read is written anew. */
	gp_release_record_read(d->ctx, &d->paths, d->release, &record, NULL);
	record.release = d->release;
	record.sha = d->sha;
	record.ref = d->ref;
	record.result = result;
	if (d->django) {
		record.migrations = d->django->known;
		record.applied_before = d->django->applied;
	}
	if (d->backup)
		record.backup = d->backup;
	if (d->applied_after || (d->django && !d->django->pending.n)) {
		record.applied_after = d->applied_after ? *d->applied_after : d->django->applied;
		record.applied_after_known = true;
	}
	return write_record(d->ctx, &d->paths, &record, err);
}

int gp_release_record_note(struct gp_deploy *d, struct gp_error *err)
{
	return write_known(d, "begun", err);
}

int gp_release_record_finish(struct gp_deploy *d, const char *result, struct gp_error *err)
{
	return write_known(d, result, err);
}

int gp_release_record_result(struct gp_ctx *ctx, const struct gp_paths *paths, const char *release, const char *result, struct gp_error *err)
{
	struct gp_record record;
	int there;

	GP_TRY(there = gp_release_record_read(ctx, paths, release, &record, err));
	if (!there)
		return 0;
	record.result = result;
	return write_record(ctx, paths, &record, err);
}

struct gp_strv gp_record_keeps(struct gp_ctx *ctx, const struct gp_record *record)
{
	const struct gp_strv *const lists[] = { &record->migrations, record->applied_after_known ? &record->applied_after : &record->applied_before };
	struct gp_strv all = { 0 };

	for (size_t i = 0; i < 2; i++)
		for (size_t k = 0; k < lists[i]->n; k++)
			gp_strv_add(ctx->arena, &all, lists[i]->v[k]);
	return all;
}

const char *gp_releases_live(struct gp_ctx *ctx, const struct gp_paths *paths)
{
	const struct gp_slot stable = gp_slot_stable(paths);
	const char *live = gp_slot_assigned(ctx, &stable);

	return live && gp_fs_exists(gp_sprintf(ctx->arena, "%s/%s", paths->releases, live)) ? live : NULL;
}

/* Folders and records, each name once, in order. */
static int names_of(struct gp_ctx *ctx, const struct gp_paths *paths, struct gp_strv *ret, struct gp_error *err)
{
	struct gp_strv folders, records;
	size_t i = 0, k = 0;

	*ret = (struct gp_strv){ 0 };
	GP_TRY(gp_fs_list(ctx->arena, paths->releases, &folders, err));
	GP_TRY(gp_fs_list(ctx->arena, folder_of(ctx, paths), &records, err));
	for (size_t n = 0; n < records.n; n++) {
		size_t len = strlen(records.v[n]);

		/* A name that is no release's stays one that is none. */
		if (gp_ends_with(records.v[n], suffix))
			records.v[n] = gp_strndup(ctx->arena, records.v[n], len - strlen(suffix));
	}
	while (i < folders.n || k < records.n) {
		int order = i == folders.n ? 1 : k == records.n ? -1 : strcmp(folders.v[i], records.v[k]);
		const char *name = order <= 0 ? folders.v[i] : records.v[k];

		i += order <= 0;
		k += order >= 0;
		if (gp_name_ok(GP_NAME_release, name))
			gp_strv_add(ctx->arena, ret, name);
	}
	return 0;
}

/* Only one that goldpath made: by its name, in the folder where they lie. */
static bool dump_is_there(struct gp_ctx *ctx, const struct gp_paths *paths, const char *backup)
{
	const char *name = strrchr(backup, '/');
	struct stat st;

	return name && gp_fs_lstat(gp_sprintf(ctx->arena, "%s%s", paths->backups, name), &st, NULL) == 1 && S_ISREG(st.st_mode);
}

static void fill(struct gp_ctx *ctx, const struct gp_paths *paths, const char *name, const char *live, struct gp_release *r)
{
	const char *folder = gp_sprintf(ctx->arena, "%s/%s", paths->releases, name);
	struct stat st;

	r->record = (struct gp_record){ .release = name, .sha = "", .ref = "", .at = "", .result = "", .backup = "" };
	r->recorded = gp_release_record_read(ctx, paths, name, &r->record, NULL) == 1;
	r->there = gp_fs_lstat(folder, &st, NULL) == 1 && S_ISDIR(st.st_mode);
	if (!r->recorded)
		r->record.result = r->there ? "ok" : "failed";
	r->live = live && gp_streq(name, live);
	r->failed = gp_streq(r->record.result, "failed");
	r->has_backup = *r->record.backup && dump_is_there(ctx, paths, r->record.backup);
}

int gp_releases_list(struct gp_ctx *ctx, const struct gp_paths *paths, struct gp_releases *ret, struct gp_error *err)
{
	struct gp_releases list = { .live = gp_releases_live(ctx, paths) };
	struct gp_strv names;

	GP_TRY(names_of(ctx, paths, &names, err));
	list.v = gp_alloc_array(ctx->arena, names.n + 1, sizeof(*list.v));
	for (size_t i = names.n; i-- > 0;) {
		struct gp_release *r = &list.v[list.n++];

		fill(ctx, paths, names.v[i], list.live, r);
		/* Names sort by time. One that was rolled back from is newer, and never where an older one would go. */
		if (list.live && !list.previous && strcmp(names.v[i], list.live) < 0 && r->there && gp_streq(r->record.result, "ok")) {
			list.previous = names.v[i];
			r->previous = true;
		}
	}
	*ret = list;
	return 0;
}

int gp_release_bytes(struct gp_ctx *ctx, const struct gp_paths *paths, const char *release, uint64_t *ret, struct gp_error *err)
{
	struct gp_tree tree;

	/* Its virtual environment is a link out of it, and links are not followed. */
	GP_TRY(gp_tree_measure(gp_sprintf(ctx->arena, "%s/%s", paths->releases, release), false, &tree, err));
	*ret = tree.disk;
	return 0;
}
