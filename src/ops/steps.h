/*
 * The walk along a table of steps: journal, lock, history, and everything back when one fails. Deploy and rollback are such tables, and share
 * most rows.
 */
#ifndef GP_OPS_STEPS_H
#define GP_OPS_STEPS_H

#include <stdbool.h>

struct gp_deploy;
struct gp_error;
struct gp_lock;

struct gp_step {
	const char *name;  /* in the journal, the history, the lock */
	const char *words; /* for people */
	int (*run)(struct gp_deploy *d, struct gp_error *err);
	const char *(*skip)(const struct gp_deploy *d); /* why there is no such step this time, or NULL; may be absent */
};

struct gp_steps {
	const char *what; /* "deploy", "rollback", …: in the history */
	const struct gp_step *v;
	int n;
	bool trial; /* nothing is kept of it: no history */
};

/* One that was cut off is finished from here on, since the release was proven by then; before that it is undone. */
#define GP_STEP_COMMIT "commit"
/* From here on another database is live. */
#define GP_STEP_SWAP "swap"
/* From here on something of the release may run. */
#define GP_STEP_START "start"

/*
 * Walk from the step `from` (NULL: the first) to the end. When a step fails, what it was about is taken back, the error says what serves
 * then, and a release that a deploy has made is deleted. The journal was begun by the caller, and is ended here.
 */
int gp_steps_walk(struct gp_deploy *d, const struct gp_steps *steps, const char *from, struct gp_lock *lock, struct gp_error *err);

/* Why a step is left out: nothing is restarted; there is no Celery. */
const char *gp_steps_without_restart(const struct gp_deploy *d);
const char *gp_steps_without_celery(const struct gp_deploy *d);

#endif
