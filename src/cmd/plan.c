/* goldpath plan */
#include <stdio.h>

#include "base/error.h"
#include "cmd/command.h"
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

static int run(struct gp_ctx *ctx, const struct gp_args *args, struct gp_error *err)
{
	const struct gp_provision request = { .slug = args->slug };
	struct gp_observer story = ctx->observer;
	const struct gp_terminal terminal = gp_terminal_of(stdout, args->no_color);
	struct gp_changes changes = { 0 };
	size_t n;
	int result;

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
	GP_OPT_END,
};

const struct gp_command gp_cmd_plan = {
	.name = "plan",
	.operand = "[SLUG]",
	.summary = "say what provision would change, and why",
	.details = "Reads what is and compares it with /etc/goldpath; changes nothing. A line a\n"
		   "change: + made, ~ changed, - removed, ! needs your attention (reported only),\n"
		   "with the unified diff of a file that differs (--verbose: of new ones too).\n"
		   "Exit code 4 if anything would change, 0 if nothing.",
	.options = options,
	.root = true,
	.run = run,
};
