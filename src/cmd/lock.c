/* goldpath lock */
#include <stdio.h>

#include "base/error.h"
#include "cmd/command.h"
#include "ops/locks.h"
#include "out/json.h"
#include "out/terminal.h"
#include "sys/ctx.h"

static void print_json(struct gp_ctx *ctx, const struct gp_lock_state *locks, size_t n)
{
	json_t *object = gp_json_result("lock"), *list = json_array();

	for (size_t i = 0; i < n; i++) {
		json_t *lock = json_object();

		gp_json_text(ctx, lock, "name", locks[i].name);
		json_object_set_new(lock, "held", json_boolean(locks[i].held));
		if (locks[i].held) {
			json_object_set_new(lock, "pid", json_integer(locks[i].holder.pid));
			gp_json_text(ctx, lock, "running", locks[i].holder.command);
			gp_json_text(ctx, lock, "since", locks[i].holder.since);
			gp_json_text(ctx, lock, "step", locks[i].holder.step);
		}
		json_array_append_new(list, lock);
	}
	json_object_set_new(object, "locks", list);
	gp_json_print(stdout, object);
}

static void print_line(struct gp_ctx *ctx, const struct gp_lock_state *lock)
{
	const struct gp_lock_holder *h = &lock->holder;

	if (!lock->held) {
		printf("%-20s free\n", lock->name);
		return;
	}
	printf("%-20s %s (pid %d)", lock->name, gp_shown(ctx, h->command), h->pid);
	if (h->since)
		printf(" since %s, in step '%s'", gp_shown(ctx, h->since), gp_shown(ctx, h->step));
	putchar('\n');
}

static int run(struct gp_ctx *ctx, const struct gp_args *args, struct gp_error *err)
{
	struct gp_lock_state *locks;
	size_t n;

	GP_TRY(gp_locks_look(ctx, args->slug, &locks, &n, err));
	if (args->json) {
		print_json(ctx, locks, n);
		return 0;
	}
	for (size_t i = 0; i < n; i++)
		print_line(ctx, &locks[i]);
	return 0;
}

static const struct gp_option options[] = { GP_OPT_END };

const struct gp_command gp_cmd_lock = {
	.name = "lock",
	.verb = "status",
	.operand = "[SLUG]",
	.summary = "say who is at work on the host and its sites",
	.details = "One line for each lock, the host's and every site's: free, or the command that\n"
		   "holds it, its process, since when, and in which step it is. Holds up nobody,\n"
		   "and exits with 0 either way. A lock ends with its process.",
	.options = options,
	.root = true,
	.run = run,
};
