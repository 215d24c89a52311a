/*
 * The backups that a site has: what lies in its folder under a backup's name, what their manifests say, which of them were rehearsed. The
 * folder is the deploy user's: nothing in it is followed, opened for longer than it takes, or believed beyond what it is.
 */
#ifndef GP_OPS_BACKUPS_H
#define GP_OPS_BACKUPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

struct gp_arena;
struct gp_ctx;
struct gp_deploy;
struct gp_error;
struct gp_paths;

/* The folder, by no link: the one that it lies in is the deploy user's, too. */
int gp_backups_open(const struct gp_paths *paths, const char *slug, int *ret, struct gp_error *err);
/* The names in it, sorted; the first ones of very many. */
int gp_backups_names(struct gp_arena *arena, int folder, struct gp_strv *ret, struct gp_error *err);

/* <slug>_db_<STAMP>.sql.gz */
const char *gp_backup_name(struct gp_arena *arena, const char *slug, int64_t when);
bool gp_backup_name_ok(struct gp_arena *arena, const char *slug, const char *name, int64_t *ret_when);
/* Whose, and of when, a file may be whose name begins so, whatever its end (<slug>_db_<STAMP>.sql); false: nothing of the kind. ret_slug may be
 * NULL. */
bool gp_backup_name_read(struct gp_arena *arena, const char *name, const char **ret_slug, int64_t *ret_when);

struct gp_backup_entry {
	const char *name;
	int64_t when;           /* by its name */
	uint64_t bytes;         /* of the file, as it is */
	bool good;              /* its manifest says that it was read back whole, and it is as long as that says */
	const char *why;        /* it is not: "no manifest", … */
	bool needed;            /* the record of a release that is there names it */
	/* By the manifest; "" and 0 where there is none. */
	const char *sha256, *reason, *release, *verified, *server;
	uint64_t rows;
	/* The last rehearsal with it; at "" where there was none. */
	struct {
		const char *at, *error;
		int64_t ms;
		bool ok;
	} rehearsed;
};

struct gp_backup_list {
	struct gp_backup_entry *v; /* the newest first */
	size_t n;
};

int gp_backups_list(struct gp_ctx *ctx, const struct gp_paths *paths, const char *slug, struct gp_backup_list *ret, struct gp_error *err);

/* Remove those that are kept no longer, by the site's `backup.keep`; what is removed is told. With the site's lock held. */
int gp_backups_prune(struct gp_deploy *d, struct gp_error *err);

#endif
