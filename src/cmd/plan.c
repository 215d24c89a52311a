/* goldpath plan */
#include <stdio.h>

#include "base/arena.h"
#include "base/error.h"
#include "cmd/command.h"
#include "ops/deploy.h"
#include "ops/django.h"
#include "ops/provision.h"
#include "out/changes.h"
#include "out/json.h"
#include "sys/ctx.h"

/* Here the changes are the result, not the story. */
static void all_but_changes(void *arg, const struct gp_event *event)
{
	const struct gp_observer *story = arg;

	if (event->kind != GP_EVENT_CHANGE && story->on_event)
		story->on_event(story->arg, event);
}

static void print_release_json(struct gp_ctx *ctx, const struct gp_deploy *d)
{
	json_t *object = gp_json_result("plan"), *list = json_array();

	gp_json_text(ctx, object, "site", d->site.slug);
	gp_json_text(ctx, object, "ref", d->ref);
	gp_json_text(ctx, object, "sha", d->sha);
	for (size_t i = 0; i < d->django->pending.n; i++) {
		const struct gp_migration *m = &d->django->pending.v[i];
		json_t *one = json_object(), *dangers = json_array();

		gp_json_text(ctx, one, "name", m->name);
		json_object_set_new(one, "reversible", json_boolean(m->reversible));
		for (size_t k = 0; k < m->danger_count; k++)
			json_array_append_new(dangers, json_string(gp_danger_words(ctx->arena, &m->dangers[k])));
		json_object_set_new(one, "dangers", dangers);
		json_array_append_new(list, one);
	}
	json_object_set_new(object, "migrations", list);
	gp_json_print(stdout, object);
}

/* What a deploy of that ref would migrate. */
static int plan_release(struct gp_ctx *ctx, const struct gp_args *args, struct gp_error *err)
{
	const struct gp_deploy_request request = { .slug = args->slug, .ref = args->ref };
	struct gp_deploy *d = gp_alloc(ctx->arena, sizeof(*d));
	size_t n;

	if (!args->slug)
		return gp_fail(err, GP_E_USAGE, "--ref needs a site");
	GP_TRY(gp_deploy_plan(ctx, &request, d, err));
	n = d->django->pending.n;
	if (args->json)
		print_release_json(ctx, d);
	else
		printf("+ release of %s (%.7s)\n", d->ref, d->sha);
	for (size_t i = 0; i < n && !args->json; i++) {
		const struct gp_migration *m = &d->django->pending.v[i];

		printf("+ migration %s%s\n", m->name, m->reversible ? "" : ", which cannot be reversed");
		for (size_t k = 0; k < m->danger_count; k++)
			printf("! %s %s\n", m->name, gp_danger_words(ctx->arena, &m->dangers[k]));
	}
	return gp_fail(err, GP_E_PENDING, "a deploy of %s would apply %zu migration%s", d->ref, n, n == 1 ? "" : "s");
}

static int run(struct gp_ctx *ctx, const struct gp_args *args, struct gp_error *err)
{
	const struct gp_provision request = { .slug = args->slug };
	struct gp_observer story = ctx->observer;
	const struct gp_terminal terminal = gp_terminal_of(stdout, args->no_color);
	struct gp_changes changes = { 0 };
	size_t n;
	int result;

	if (args->ref)
		return plan_release(ctx, args, err);
	ctx->observer = (struct gp_observer){ .on_event = all_but_changes, .arg = &story };
	result = gp_provision_run(ctx, &request, &changes, err);
	ctx->observer = story;
	n = gp_changes_count(&changes);
	if (!args->json)
		gp_changes_show(&terminal, ctx, args->verbose, &changes);
	GP_TRY(result);
	if (args->json) {
		json_t *object = gp_json_result("plan");

		json_object_set_new(object, "changes", gp_changes_json(ctx, &changes));
		gp_json_print(stdout, object);
	} else {
		printf("%zu change%s%s\n", n, n == 1 ? "" : "s", n ? " to be made" : "");
	}
	return n ? gp_fail(err, GP_E_PENDING, "%zu change%s pending", n, n == 1 ? "" : "s") : 0;
}

static const struct gp_option options[] = {
	{ "--ref", GP_OPT_NAME, offsetof(struct gp_args, ref), GP_NAME_ref, "REF", "instead: what a deploy of it would migrate" },
	GP_OPT_END,
};

const struct gp_command gp_cmd_plan = {
	.name = "plan",
	.operand = "[SLUG]",
	.summary = "say what provision would change, and why",
	.details = "Reads what is and compares it with /etc/goldpath; changes nothing. A line a\n"
		   "change: + made, ~ changed, - removed, ! needs your attention (reported only),\n"
		   "with the unified diff of a file that differs (--verbose: of new ones too).\n"
		   "Exit code 4 if anything would change, 0 if nothing.\n"
		   "With --ref it builds that release, asks its Django what a deploy would migrate\n"
		   "and what of it the running release cannot live with, and deletes it again.",
	.options = options,
	.root = true,
	.run = run,
};
