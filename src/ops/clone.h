/*
 * A clone: a whole site under another slug on this host, or out of its restic repository on another one. What the new site is, is derived from
 * the old one's file and `.env`; it is provisioned as any other, gets the media and a backup of the database, and then the commit that was
 * live is deployed, which proves it. Up to the end of that the new site serves nobody. The old one is read only (and has a backup more).
 *
 * A folder `clone` in the new site's state folder is there from the beginning to the end: by it the same command goes on after a kill, and
 * nothing that was there before is taken for a clone.
 */
#ifndef GP_OPS_CLONE_H
#define GP_OPS_CLONE_H

#include <stdbool.h>

#include "conf/site.h"
#include "ops/database.h"
#include "ops/deploy.h"
#include "ops/restore.h"
#include "sys/tree_copy.h"

struct gp_ctx;
struct gp_error;
struct gp_lock;

struct gp_clone_request {
	const char *slug, *to;
	const char *domain;        /* NULL: derived */
	const char *offsite;       /* a restic repository; NULL: the site is on this host */
	const char *password_file; /* of it */
};

struct gp_clone {
	struct gp_ctx *ctx;
	const struct gp_clone_request *request;
	bool same;                 /* the same site on another host, and not a second one: its secrets go with it */
	bool resumed;              /* one that was cut off */
	bool begun;                /* something of the new site is made by this run */
	bool live;                 /* by then a release of it is live: database and media are no more to be touched */
	struct gp_paths paths;     /* of the new one */
	const char *work, *yaml;   /* the folder `clone`; the new site's file */
	/* The old one. clone_source.c */
	struct gp_deploy *source;  /* off-site: only where it was, and how its repository is reached */
	struct gp_site from;
	struct gp_dotenv env;
	const char *media, *sha, *dump;
	/* The new one. */
	struct gp_site site;
	const char *text;          /* of its file */
	const char *lines;         /* of its `.env`: what is carried over */
	struct gp_strv carried;    /* the names of those keys */
	struct gp_strv left;       /* of those that are not, because they lead to the source's database or Redis */
	struct gp_restore_request restore;
	struct gp_restore file;    /* the backup, as a restore has it */
	struct gp_tree_copied copied;
	struct gp_deploy deploy;
};

/* Do it, or go on with it. */
int gp_clone_run(struct gp_ctx *ctx, const struct gp_clone_request *request, struct gp_clone *ret, struct gp_error *err);

/*
 * clone_site.c, pure. The new site's file from the text of the old one's: domain (NULL: the old one where the slug is the same, else one below
 * it), no aliases where the domain is another, database and role by the new slug's name, and no repository: two sites must not write to one.
 */
int gp_clone_site(struct gp_arena *arena, const char *slug, const char *text, const char *to, const char *domain, const char **ret_text,
	struct gp_site *ret_from, struct gp_site *ret, struct gp_error *err);
/* The lines of `.env` that are carried over: all that goldpath would not make itself for this slug, this domain and this host,
 * and what would lead the clone to the source's database or Redis. */
const char *gp_clone_env(struct gp_arena *arena, const struct gp_dotenv *env, const struct gp_site *from, const struct gp_site *to,
	struct gp_strv *ret_keys, struct gp_strv *ret_left);

/* clone_source.c: the old site, found and read; lock: the old site's, taken where it is on this host. */
int gp_clone_source(struct gp_clone *c, struct gp_lock *lock, struct gp_error *err);
/* A backup of now; off-site: the newest in the snapshot. */
int gp_clone_dump(struct gp_clone *c, struct gp_error *err);
/* Is there room for it all? */
int gp_clone_room(struct gp_clone *c, struct gp_error *err);

/* clone_place.c. Is the place of the new site free, or that of a clone which was cut off? Then the folder `clone`, and all of it away again. */
int gp_clone_place(struct gp_clone *c, struct gp_error *err);
int gp_clone_begin(struct gp_clone *c, struct gp_error *err);
void gp_clone_forget(struct gp_clone *c);
/* The same of its database, once its name is known. */
int gp_clone_database(struct gp_clone *c, struct gp_error *err);

#endif
