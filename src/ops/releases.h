/*
 * What is known of a site's releases: a record of each, /var/lib/goldpath/<slug>/releases/<id>.json, root's; their folders in releases/;
 * and which one is live.
 */
#ifndef GP_OPS_RELEASES_H
#define GP_OPS_RELEASES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

struct gp_ctx;
struct gp_deploy;
struct gp_error;
struct gp_paths;

/* What a record says of a release that somebody went back from: it is not where the next rollback goes. */
#define GP_RELEASE_ROLLED_BACK "rolled back"

/* A record. Texts are "" where it does not say. */
struct gp_record {
	const char *release, *sha, *ref, *at; /* at: RFC 3339, when the deploy began */
	const char *result;                   /* "begun", "ok", "failed", … */
	const char *backup;                   /* the dump made before its migrations */
	struct gp_strv migrations;            /* "app.name": all that it has on disk */
	struct gp_strv applied_before, applied_after; /* what the database had; after: what was left when it last migrated */
	bool applied_after_known;
};

/* The record of d's release: noted when it begins and again with each thing that is known of it, and finished with how it ended. Each time
 * it is a whole file, renamed into place and synced. Without a release yet nothing is written. */
int gp_release_record_note(struct gp_deploy *d, struct gp_error *err);
int gp_release_record_finish(struct gp_deploy *d, const char *result, struct gp_error *err);
/* Set the result of a release that is not d's: "failed" of one that a kill cut off. No record: nothing is written. */
int gp_release_record_result(struct gp_ctx *ctx, const struct gp_paths *paths, const char *release, const char *result, struct gp_error *err);

/* 1 read, 0 there is none, -1 it cannot be read. */
int gp_release_record_read(struct gp_ctx *ctx, const struct gp_paths *paths, const char *release, struct gp_record *ret,
	struct gp_error *err);
int gp_release_record_remove(struct gp_ctx *ctx, const struct gp_paths *paths, const char *release, struct gp_error *err);

/* What stays applied when a release is gone back to: its own migrations, and all that was in the database when it was done. */
struct gp_strv gp_record_keeps(struct gp_ctx *ctx, const struct gp_record *record);

struct gp_release {
	struct gp_record record; /* of one that has none: its release alone, and "ok", because failed ones have no folder */
	bool recorded;
	bool there;              /* its folder */
	bool live, previous;     /* previous: where a rollback goes */
	bool failed;
	bool has_backup;         /* the dump that its record names is still there */
};

struct gp_releases {
	struct gp_release *v;    /* the newest first */
	size_t n;
	const char *live, *previous; /* NULL: none */
};

/* All releases that have a folder or a record. */
int gp_releases_list(struct gp_ctx *ctx, const struct gp_paths *paths, struct gp_releases *ret, struct gp_error *err);

/* RELEASE in the units' release.env, where that one's folder is there; NULL: none. */
const char *gp_releases_live(struct gp_ctx *ctx, const struct gp_paths *paths);

/* What `goldpath releases` shows besides: the bytes that its folder takes on disk, without the virtual environment. */
int gp_release_bytes(struct gp_ctx *ctx, const struct gp_paths *paths, const char *release, uint64_t *ret, struct gp_error *err);

#endif
