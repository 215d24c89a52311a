/* The engine: order, notifications, and reading back after each apply. */
#include "plan/plan.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/str.h"
#include "sys/ctx.h"
#include "sys/fs.h"

static void push(struct gp_ctx *ctx, struct gp_changes *changes, struct gp_change change)
{
	if (changes->n == changes->cap) {
		size_t cap = changes->cap ? changes->cap * 2 : 16;
		struct gp_change *v = gp_alloc_array(ctx->arena, cap, sizeof(*v));

		if (changes->n)
			memcpy(v, changes->v, changes->n * sizeof(*v));
		changes->v = v;
		changes->cap = cap;
	}
	changes->v[changes->n++] = change;
}

void gp_change_add(struct gp_ctx *ctx, struct gp_changes *changes, char mark, const struct gp_resource *resource, const char *fmt, ...)
{
	const char *why;
	va_list ap;

	va_start(ap, fmt);
	why = gp_vsprintf(ctx->arena, fmt, ap);
	va_end(ap);
	push(ctx, changes, (struct gp_change){
		.mark = mark,
		.what = gp_sprintf(ctx->arena, "%s %s%s%s", resource->type->name, resource->name, *why ? ": " : "", why),
	});
}

void gp_change_diff(struct gp_changes *changes, const char *diff)
{
	changes->v[changes->n - 1].diff = diff;
}

void gp_plan_add(struct gp_ctx *ctx, struct gp_plan *plan, struct gp_resource resource)
{
	if (plan->n == plan->cap) {
		size_t cap = plan->cap ? plan->cap * 2 : 32;
		struct gp_resource *v = gp_alloc_array(ctx->arena, cap, sizeof(*v));

		if (plan->n)
			memcpy(v, plan->v, plan->n * sizeof(*v));
		plan->v = v;
		plan->cap = cap;
	}
	plan->v[plan->n++] = resource;
}

/* A handler that is owed is a file in STATE/pending/, so that a kill between a change and its notification loses nothing. */
static const char *pending_path(struct gp_ctx *ctx, const char *handler)
{
	char *name = gp_strdup(ctx->arena, handler);

	for (char *p = name; *p; p++)
		if (*p == ' ' || *p == '/')
			*p = '-';
	return gp_sprintf(ctx->arena, "%s/pending/%s", ctx->state_dir, name);
}

static int owe(struct gp_ctx *ctx, const char *handler, struct gp_error *err)
{
	const char *path = pending_path(ctx, handler);

	if (gp_fs_exists(path))
		return 0;
	GP_TRY(gp_fs_mkdirs(gp_sprintf(ctx->arena, "%s/pending", ctx->state_dir), err));
	return gp_fs_write(path, "", 0, 0600, (uid_t)-1, (gid_t)-1, err);
}

/* What says that changes are being made: written before the first, gone after the last. */
static const char *unfinished_path(struct gp_ctx *ctx)
{
	return gp_sprintf(ctx->arena, "%s/unfinished", ctx->state_dir);
}

static int write_unfinished(struct gp_ctx *ctx, struct gp_error *err)
{
	const char *text = gp_sprintf(ctx->arena, "%s, begun %s\n", ctx->command, gp_rfc3339(ctx->arena, gp_now()));

	GP_TRY(gp_fs_mkdirs(ctx->state_dir, err));
	return gp_fs_write(unfinished_path(ctx), text, strlen(text), 0600, (uid_t)-1, (gid_t)-1, err);
}

static int tell_unfinished(struct gp_ctx *ctx, struct gp_error *err)
{
	const char *text;
	int there;

	GP_TRY(there = gp_fs_read_nofollow(ctx->arena, unfinished_path(ctx), 4096, &text, NULL, err));
	if (there)
		gp_tell_note(ctx, "an earlier run was cut off (%s): going on from what it left", gp_trim(ctx->arena, text));
	return 0;
}

static int handler_diff(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_changes *changes, struct gp_error *err)
{
	const struct gp_handler *handler = resource->spec;
	bool needed = gp_fs_exists(pending_path(ctx, resource->name));

	if (!needed && handler->needed)
		GP_TRY(handler->needed(ctx, &needed, err));
	if (needed)
		gp_change_add(ctx, changes, '~', resource, "%s", "");
	return 0;
}

static int handler_apply(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_error *err)
{
	const struct gp_handler *handler = resource->spec;

	GP_TRY(handler->run(ctx, err));
	return gp_fs_remove(pending_path(ctx, resource->name), err);
}

const struct gp_resource_type gp_handler_type = { .name = "run", .diff = handler_diff, .apply = handler_apply };

/* What the walk remembers of each resource. */
struct walk {
	const struct gp_plan *plan;
	bool *changed;
	bool *pending; /* a dry run: it, or what it comes after, has yet to be made */
	bool *begun;
	bool apply, applied;
	const struct gp_changes *only;
	struct gp_changes *all;
	struct gp_strv failed; /* groups */
	struct gp_error first; /* why, of the first of those */
};

static bool find(const struct walk *w, size_t before, const char *name, size_t *ret)
{
	for (size_t i = 0; i < before; i++) {
		if (gp_streq(w->plan->v[i].name, name)) {
			*ret = i;
			return true;
		}
	}
	return false;
}

/* Does something this one depends on still wait to be applied? Then it may not be readable yet. */
static int waits(struct walk *w, size_t at, bool *ret, struct gp_error *err)
{
	const struct gp_resource *r = &w->plan->v[at];

	*ret = false;
	for (size_t k = 0; k < GP_AFTER_MAX && r->after[k]; k++) {
		size_t i;

		if (!find(w, at, r->after[k], &i))
			return gp_fail(err, GP_E_FAILED, "plan: '%s' must come after '%s', which does not come before it", r->name, r->after[k]);
		*ret = *ret || w->pending[i];
	}
	return 0;
}

static bool notified(const struct walk *w, size_t at)
{
	for (size_t i = 0; i < at; i++)
		if (w->changed[i] && w->plan->v[i].notify && gp_streq(w->plan->v[i].notify, w->plan->v[at].name))
			return true;
	return false;
}

size_t gp_changes_count(const struct gp_changes *changes)
{
	size_t n = 0;

	for (size_t i = 0; i < changes->n; i++)
		n += changes->v[i].mark != '!';
	return n;
}

static bool agreed(const struct gp_changes *only, const struct gp_change *change)
{
	for (size_t i = 0; i < only->n; i++)
		if (only->v[i].mark == change->mark && gp_streq(only->v[i].what, change->what))
			return true;
	return false;
}

/* The host has moved on since somebody looked at the plan. */
static int check_agreed(const struct walk *w, const struct gp_changes *found, struct gp_error *err)
{
	for (size_t i = 0; w->only && i < found->n; i++) {
		if (found->v[i].mark == '!' || agreed(w->only, &found->v[i]))
			continue;
		gp_fail(err, GP_E_REFUSED, "%s: was not in the plan that was agreed to", found->v[i].what);
		return gp_hint(err, "what came before it is done; the same command again shows what is left");
	}
	return 0;
}

static void report(struct gp_ctx *ctx, struct walk *w, const struct gp_changes *found)
{
	for (size_t i = 0; i < found->n; i++) {
		gp_tell(ctx, &(struct gp_event){ .kind = GP_EVENT_CHANGE, .mark = found->v[i].mark, .text = found->v[i].what,
			.detail = found->v[i].diff });
		push(ctx, w->all, found->v[i]);
	}
}

static int apply_one(struct gp_ctx *ctx, const struct gp_resource *r, struct gp_error *err)
{
	struct gp_changes left = { 0 };

	if (r->notify)
		GP_TRY(owe(ctx, r->notify, err));
	GP_TRY_TO(err, r->type->apply(ctx, r, err), "%s %s", r->type->name, r->name);
	GP_TRY_TO(err, r->type->diff(ctx, r, &left, err), "%s %s, read back", r->type->name, r->name);
	if (gp_changes_count(&left)) {
		gp_fail(err, GP_E_FAILED, "%s: still so after it was applied", left.v[0].what);
		return gp_hint(err, "something else on this host says otherwise: another line in the same configuration, or another tool");
	}
	return 0;
}

/* Before the first change. */
static int will_change(struct gp_ctx *ctx, struct walk *w, struct gp_error *err)
{
	if (!w->applied)
		GP_TRY(write_unfinished(ctx, err));
	w->applied = true;
	return 0;
}

static int visit(struct gp_ctx *ctx, struct walk *w, size_t at, struct gp_error *err)
{
	const struct gp_resource *r = &w->plan->v[at];
	struct gp_changes found = { 0 };
	struct gp_error why = { 0 };
	bool waiting;

	GP_TRY(waits(w, at, &waiting, err));
	if (r->type == &gp_handler_type && !w->apply && notified(w, at)) {
		gp_change_add(ctx, &found, '~', r, "%s", "");
	} else if (r->type->diff(ctx, r, &found, &why) < 0) {
		if (!waiting) {
			if (err)
				*err = why;
			return gp_context(err, "%s %s", r->type->name, r->name);
		}
		found.n = 0;
		if (r->type->fresh)
			r->type->fresh(ctx, r, &found);
		else
			gp_change_add(ctx, &found, '+', r, "%s", "");
		w->pending[at] = true;
	}
	w->changed[at] = gp_changes_count(&found) > 0;
	w->pending[at] = !w->apply && (w->pending[at] || w->changed[at]);
	if (w->apply)
		GP_TRY(check_agreed(w, &found, err));
	report(ctx, w, &found);
	if (!w->changed[at] || !w->apply)
		return 0;
	GP_TRY(will_change(ctx, w, err));
	return apply_one(ctx, r, err);
}

/* Is all there that it comes after, now that the walk has got so far? */
static bool may_begin(const struct walk *w, size_t at, size_t so_far)
{
	const struct gp_resource *r = &w->plan->v[at];
	size_t i;

	for (size_t k = 0; k < GP_AFTER_MAX && r->after[k]; k++)
		if (!find(w, so_far + 1, r->after[k], &i))
			return false;
	return true;
}

/* What is asked here is asked again in its turn, which is also when it is told: what cannot be read now does not begin early. */
static int begin_others(struct gp_ctx *ctx, struct walk *w, size_t so_far, struct gp_error *err)
{
	for (size_t i = so_far + 1; i < w->plan->n; i++) {
		const struct gp_resource *r = &w->plan->v[i];
		struct gp_changes found = { 0 };

		if (!r->type->begin || w->begun[i] || !may_begin(w, i, so_far))
			continue;
		w->begun[i] = true;
		if (r->type->diff(ctx, r, &found, NULL) < 0 || gp_changes_count(&found) == 0 || check_agreed(w, &found, NULL) < 0)
			continue;
		GP_TRY(will_change(ctx, w, err));
		r->type->begin(ctx, r);
	}
	return 0;
}

/* One resource; where it belongs to a group, its failure is the group's. */
static int step(struct gp_ctx *ctx, struct walk *w, size_t at, struct gp_error *err)
{
	const char *group = w->plan->v[at].group;
	struct gp_error why = { 0 };

	if (!group)
		return visit(ctx, w, at, err);
	if (gp_strv_has(&w->failed, group) || visit(ctx, w, at, &why) == 0)
		return 0;
	if (w->failed.n == 0)
		w->first = why;
	else
		gp_tell_warn(ctx, "%s: %s", group, why.msg);
	gp_strv_add(ctx->arena, &w->failed, group);
	return 0;
}

int gp_plan_run(struct gp_ctx *ctx, const struct gp_plan *plan, bool apply, const struct gp_changes *only, struct gp_changes *ret,
	struct gp_error *err)
{
	struct gp_changes all = { 0 };
	struct walk w = { .plan = plan, .apply = apply, .only = only, .all = &all };
	int result = 0;

	w.changed = gp_alloc_array(ctx->arena, plan->n + 1, sizeof(*w.changed));
	w.pending = gp_alloc_array(ctx->arena, plan->n + 1, sizeof(*w.pending));
	w.begun = gp_alloc_array(ctx->arena, plan->n + 1, sizeof(*w.begun));
	if (apply)
		GP_TRY(tell_unfinished(ctx, err));
	for (size_t i = 0; i < plan->n && result == 0; i++) {
		result = step(ctx, &w, i, err);
		if (apply && result == 0)
			result = begin_others(ctx, &w, i, err);
	}
	if (result == 0 && w.failed.n) {
		result = -1;
		all.partial = true;
		if (err)
			*err = w.first;
		gp_state(err, "the rest of %s was left out, everything else was gone through", gp_strv_join(ctx->arena, &w.failed, ", "));
	}
	*ret = all;
	/* One that failed has said so itself. */
	if (apply && gp_fs_remove(unfinished_path(ctx), result < 0 ? NULL : err) < 0)
		return -1;
	return result;
}
