/*
 * restic, by its command line: encrypted, deduplicated snapshots in a folder, over sftp or in S3. What it says is read as JSON; of its errors
 * those that somebody can do something about are told in sentences. Password and credentials go by a file and by the environment, never by
 * an argument. Whoever calls keeps two of them from one repository at a time.
 */
#ifndef GP_SYS_RESTIC_H
#define GP_SYS_RESTIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "sys/proc.h"

struct gp_arena;
struct gp_error;

struct gp_restic {
	const char *repository;    /* a name of kind restic (base/parse.h) */
	const char *password_file;
	struct gp_proc base;       /* how it is run: environment, view, nice */
	struct gp_arena *arena;
};

/* 1 it is there and the password opens it, 0 there is none, -1 error: another password, no way to it. */
int gp_restic_find(const struct gp_restic *r, struct gp_error *err);
/* Make one where there is none, and the bucket that it is in: 1 made, 0 there is one already, -1 error. */
int gp_restic_init(const struct gp_restic *r, struct gp_error *err);
/* Take every lock away: it is known that nobody is at work. */
int gp_restic_unlock(const struct gp_restic *r, struct gp_error *err);

struct gp_restic_done {
	const char *snapshot;      /* its short id */
	uint64_t files, bytes;     /* in it */
	uint64_t added;            /* bytes that the repository grew by */
	size_t unread;             /* files that could not be read, and are not in it */
	const char *why;           /* of the first of them; "" */
};
/* A snapshot of paths, which exist. tags: "site=acme". */
int gp_restic_backup(const struct gp_restic *r, const char *host, const struct gp_strv *tags, const struct gp_strv *paths,
	struct gp_restic_done *ret, struct gp_error *err);
/* The end of what `restic backup --json` says. False: it is none. Pure. */
bool gp_restic_read_done(struct gp_arena *arena, const char *text, struct gp_restic_done *ret);

/* Forget snapshots of that host with that tag but so many, and take what only they had out of the repository. */
int gp_restic_forget(const struct gp_restic *r, const char *host, const char *tag, int64_t daily, int64_t weekly, int64_t monthly,
	struct gp_error *err);
/* Is the repository whole? Its index, and the data of one of `parts` parts of it, read back and decrypted. GP_E_CHECK: it is not. */
int gp_restic_check(const struct gp_restic *r, int part, int parts, struct gp_error *err);

struct gp_restic_snapshot {
	const char *id;            /* 64 hexadecimal digits */
	int64_t when;
};
struct gp_restic_snapshots {
	struct gp_restic_snapshot *v; /* the newest first */
	size_t n;
};
int gp_restic_snapshots(const struct gp_restic *r, const char *tag, struct gp_restic_snapshots *ret, struct gp_error *err);
/* What `restic snapshots --json` says. Pure. */
int gp_restic_read_snapshots(struct gp_arena *arena, const char *text, size_t len, struct gp_restic_snapshots *ret, struct gp_error *err);

/* The files in a folder of a snapshot, sorted; not those in folders in it. */
int gp_restic_list(const struct gp_restic *r, const char *id, const char *folder, struct gp_strv *ret, struct gp_error *err);
/* A file of it into fd. */
int gp_restic_dump(const struct gp_restic *r, const char *id, const char *path, int fd, struct gp_error *err);
/* paths of it below the folder `to`: to/srv/sum/acme/media. */
int gp_restic_restore(const struct gp_restic *r, const char *id, const struct gp_strv *paths, const char *to, struct gp_error *err);

#endif
