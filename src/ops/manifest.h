/*
 * A backup's manifest, FILE.json beside it: what is in the file, and that it was read back whole. Folder and manifest belong to the deploy user,
 * who may have written anything: what is read is bounded, and each text is of the form that it should have, or the manifest is none.
 */
#ifndef GP_OPS_MANIFEST_H
#define GP_OPS_MANIFEST_H

#include <stdint.h>

#include "base/dumpcount.h"
#include "base/str.h"

struct gp_account;
struct gp_arena;
struct gp_error;

/* Why it was made: id, in the manifest. */
#define GP_BACKUP_REASONS(X)                                                                       \
	X(GP_BACKUP_BY_HAND, "by hand")                                                                \
	X(GP_BACKUP_TIMER, "timer")                                                                    \
	X(GP_BACKUP_DEPLOY, "deploy")                                                                  \
	X(GP_BACKUP_ROLLBACK, "rollback")                                                              \
	X(GP_BACKUP_RESTORE, "restore")                                                                \
	X(GP_BACKUP_CLONE, "clone")

enum gp_backup_reason {
#define X(id, words) id,
	GP_BACKUP_REASONS(X)
#undef X
};
const char *gp_backup_reason_name(enum gp_backup_reason reason);

struct gp_manifest {
	const char *file;             /* its name, without a folder */
	const char *sha256;           /* of the file: 64 hexadecimal digits */
	uint64_t bytes, sql_bytes;    /* of the file, and unpacked */
	const char *at, *verified;    /* RFC 3339: begun; read back whole */
	int64_t ms;                   /* from the one to the other */
	enum gp_backup_reason reason;
	const char *site, *database;
	const char *server, *client;  /* "15.20", versions; client: pg_dump's */
	int server_number;            /* 150020 */
	const char *release;          /* the live one; "" none */
	struct gp_strv migrations;    /* "app.name" */
	struct gp_tables tables;
};

/* The manifest's name for a backup's. */
const char *gp_manifest_name(struct gp_arena *arena, const char *file);

/* Into the folder that is open as `folder`: a whole file, 0600, the owner's, synced (the folder is not). */
int gp_manifest_write(struct gp_arena *arena, int folder, const struct gp_manifest *manifest, const struct gp_account *owner,
	struct gp_error *err);

/* What stands in one, as that of the backup `file`. Pure. */
int gp_manifest_parse(struct gp_arena *arena, const char *text, size_t len, const char *file, struct gp_manifest *ret, struct gp_error *err);

/* The one of the backup `file` in that folder: 1 read, 0 there is none, -1 it is none, or not that file's. */
int gp_manifest_read(struct gp_arena *arena, int folder, const char *file, struct gp_manifest *ret, struct gp_error *err);

#endif
