/*
 * The resource engine: read → diff → apply. A resource is something on the host that should be a certain way; its type knows how to
 * read it, to say what differs, and to make it so. The same diff serves plan and provision, and after each apply it is asked again:
 * what still differs then is an error, so "0 changes" is a fact that was read and not a hope.
 *
 * It can be killed anywhere: every diff starts from what is, and a notification that is owed (reload Caddy) is on disk before the
 * change that owes it is made. A walk that was cut off has left a note, and the next one says so.
 */
#ifndef GP_PLAN_PLAN_H
#define GP_PLAN_PLAN_H

#include <stdbool.h>
#include <stddef.h>

struct gp_ctx;
struct gp_error;
struct gp_resource;

struct gp_change {
	char mark;        /* '+' made, '~' changed, '-' removed, '!' needs attention: reported, never applied */
	const char *what; /* "file /etc/caddy/sites-enabled/sum-acme.caddy: content" */
	const char *diff; /* of a file's text, unified (diff -u); NULL: there is none to show */
};

struct gp_changes {
	struct gp_change *v;
	size_t n, cap;
	bool partial; /* the walk has ended with an error, but only of a group: all else was gone through */
};

/* Add one; the text is "<type> <name>[: <why>]". */
void gp_change_add(struct gp_ctx *ctx, struct gp_changes *changes, char mark, const struct gp_resource *resource, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));

/* Give the change added last a unified diff. Secrets in it are masked where it is shown. */
void gp_change_diff(struct gp_changes *changes, const char *diff);

struct gp_resource_type {
	const char *name;
	/* Read, compare, and add what differs. Changes nothing. */
	int (*diff)(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_changes *changes, struct gp_error *err);
	/*
	 * What diff will say once the things that this one comes after have been made. Asked instead of diff only when diff failed while
	 * one of those is still pending (only a dry run gets there): a package's files, a user. NULL: "+ <type> <name>".
	 */
	void (*fresh)(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_changes *changes);
	/*
	 * What takes long and disturbs nobody may begin as soon as what it comes after is there; apply, in its turn, waits for it, and does
	 * what this could not. Called once at most, and only when diff finds something then. NULL: there is nothing to begin.
	 */
	void (*begin)(struct gp_ctx *ctx, const struct gp_resource *resource);
	/* Make it so. Called only when diff found something; may be called again after having been killed half-way. */
	int (*apply)(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_error *err);
};

enum { GP_AFTER_MAX = 4 };

struct gp_resource {
	const struct gp_resource_type *type;
	const char *name;                  /* unique within its type */
	const void *spec;                  /* the type's own struct */
	const char *after[GP_AFTER_MAX];   /* names of resources that must come first */
	const char *notify;                /* the handler that a change here calls, or NULL */
	const char *group;                 /* what fails here stops the rest of this group and no other; NULL: it stops all */
};

struct gp_plan {
	struct gp_resource *v;
	size_t n, cap;
};

/* Append; spec and strings are not copied. */
void gp_plan_add(struct gp_ctx *ctx, struct gp_plan *plan, struct gp_resource resource);

/*
 * Walk the plan in order. apply false: only find out. A failure within a group is told of as a warning, the rest of that group is left out,
 * and the first such failure is what the walk ends with. Changes go to *ret (arena) and to the observer as they come, those before a
 * failure too. A dependency that does not come earlier in the plan is an error: order is explicit.
 * only: what somebody has agreed to; a change that is not among them is refused instead of applied. NULL: all are agreed to.
 */
int gp_plan_run(struct gp_ctx *ctx, const struct gp_plan *plan, bool apply, const struct gp_changes *only, struct gp_changes *ret,
	struct gp_error *err);

/* How many of them are to be made: all but those that need attention. */
size_t gp_changes_count(const struct gp_changes *changes);

/*
 * Handlers: a resource of this type runs once, where it stands in the plan, when a resource before it that names it in `notify` has
 * changed, or when an earlier, interrupted run still owed it.
 */
struct gp_handler {
	int (*run)(struct gp_ctx *ctx, struct gp_error *err);
	/* Is it needed for a reason of its own (a unit file that systemd has not read)? NULL: no such reason. */
	int (*needed)(struct gp_ctx *ctx, bool *ret, struct gp_error *err);
};
extern const struct gp_resource_type gp_handler_type;

#endif
