/*
 * What is written down of a site's deploys, in its state folder: the journal (what was meant and what was done, synced line by line,
 * so that the next command knows where the last one died) and the history (one line for each deploy that ended, for people).
 */
#ifndef GP_OPS_RECORD_H
#define GP_OPS_RECORD_H

#include <stdbool.h>
#include <stdint.h>

struct gp_ctx;
struct gp_error;
struct gp_paths;

/* A deploy, a rollback or a restore, as the journal has it. */
struct gp_unfinished {
	bool found;          /* there is one that never ended */
	const char *what;    /* "deploy", "rollback", "adopt", "restore" */
	const char *ref, *release, *previous, *step; /* "" where nothing is said of it; step: the last one begun */
	const char *how;     /* of a rollback: what was to become of the database */
	bool no_restart;
	const char *kept;    /* the name under which the database that was live is kept, if another one has been put in its place; "" */
	bool undo;           /* a step had failed, and it was being taken back */
	bool beside;         /* the step `start` was begun: something of the release may run */
};

/* Begin a new journal; the old one is gone. Of *what: what, ref, release, previous and how (NULL: none), no_restart. */
int gp_journal_begin(struct gp_ctx *ctx, const struct gp_paths *paths, const struct gp_unfinished *what, struct gp_error *err);
/* A step is about to begin ("begin"), or is done ("done"), or has failed and is about to be taken back ("undo"), or the whole deploy has ended ("end"). release may be NULL. */
int gp_journal_note(struct gp_ctx *ctx, const struct gp_paths *paths, const char *what, const char *step, const char *release,
	struct gp_error *err);

/* Before another database is put in the place of the live one: that one's name from then on. */
int gp_journal_kept(struct gp_ctx *ctx, const struct gp_paths *paths, const char *kept, struct gp_error *err);

/* The last one in the journal. */
int gp_journal_read(struct gp_ctx *ctx, const struct gp_paths *paths, struct gp_unfinished *ret, struct gp_error *err);

struct gp_history {
	const char *what; /* as in struct gp_unfinished */
	const char *file; /* the dump that was put in place, or the former database that was */
	const char *release, *ref, *sha, *result, *step, *health, *error; /* NULL: left out */
	int64_t ms;
};
int gp_history_add(struct gp_ctx *ctx, const struct gp_paths *paths, const struct gp_history *entry, struct gp_error *err);

#endif
