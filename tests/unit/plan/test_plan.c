/*
 * The engine, with resource types made up for it: a host that is a few numbers, types that read and set them, and a switch that makes
 * the n-th apply fail.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>
#include <signal.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"
#include "plan/plan.h"
#include "sys/ctx.h"

#include "../scratch.h"

enum { THINGS = 8 };

/* The made-up host. */
static struct {
	int value[THINGS];
	int applies, diffs, handled;
	bool kill;         /* the next apply ends the process */
	int fail_at;       /* the n-th apply (or handler run) fails; 0: none */
	bool half;         /* ... after it has done its work */
	bool handler_needed;
	char order[256];
} host;

struct thing {
	int at, want;
	int needs;         /* readable only once this one is set; -1: always */
	bool deaf;         /* apply changes nothing */
	bool attention;    /* differs, and nothing can be done about it */
};

static int may_fail(struct gp_error *err)
{
	host.applies++;
	if (host.kill)
		raise(SIGKILL);
	return host.fail_at && host.applies == host.fail_at ? gp_fail(err, GP_E_FAILED, "cut off at %d", host.applies) : 0;
}

static int thing_diff(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_changes *changes, struct gp_error *err)
{
	const struct thing *t = resource->spec;

	host.diffs++;
	if (t->needs >= 0 && !host.value[t->needs])
		return gp_fail(err, GP_E_FAILED, "cannot read it yet");
	if (t->attention)
		gp_change_add(ctx, changes, '!', resource, "look at it");
	else if (host.value[t->at] != t->want)
		gp_change_add(ctx, changes, host.value[t->at] ? '~' : '+', resource, "%s", "");
	return 0;
}

static int thing_apply(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_error *err)
{
	const struct thing *t = resource->spec;
	size_t used = strlen(host.order);

	(void)ctx;
	if (host.half) {
		host.value[t->at] = t->want;
		return may_fail(err);
	}
	GP_TRY(may_fail(err));
	snprintf(host.order + used, sizeof(host.order) - used, "%s ", resource->name);
	if (!t->deaf)
		host.value[t->at] = t->want;
	return 0;
}

static const struct gp_resource_type thing_type = { .name = "thing", .diff = thing_diff, .apply = thing_apply };

static void thing_begin(struct gp_ctx *ctx, const struct gp_resource *resource)
{
	size_t used = strlen(host.order);

	(void)ctx;
	snprintf(host.order + used, sizeof(host.order) - used, "(%s) ", resource->name);
}

/* One that takes long. */
static const struct gp_resource_type slow_type = { .name = "thing", .diff = thing_diff, .begin = thing_begin, .apply = thing_apply };

static int handle(struct gp_ctx *ctx, struct gp_error *err)
{
	(void)ctx;
	GP_TRY(may_fail(err));
	host.handled++;
	host.handler_needed = false;
	return 0;
}

static int is_needed(struct gp_ctx *ctx, bool *ret, struct gp_error *err)
{
	(void)ctx, (void)err;
	*ret = host.handler_needed;
	return 0;
}

static const struct gp_handler handler = { .run = handle, .needed = is_needed };

struct world {
	struct gp_arena *arena;
	struct gp_ctx ctx;
	struct gp_plan plan;
	struct gp_error err;
	struct gp_changes changes;
	int told;
};

static struct world w;

static void told(void *arg, const struct gp_event *event)
{
	struct world *world = arg;

	assert_true(event->kind == GP_EVENT_CHANGE || gp_starts_with(event->text, "an earlier run was cut off"));
	assert_non_null(event->text);
	world->told++;
}

static int begin(void **state)
{
	if (scratch_begin(state) < 0)
		return -1;
	memset(&host, 0, sizeof(host));
	memset(&w, 0, sizeof(w));
	w.arena = gp_arena_new();
	gp_ctx_init(&w.ctx, w.arena);
	w.ctx.state_dir = gp_strdup(w.arena, at("state"));
	w.ctx.observer = (struct gp_observer){ told, &w };
	return 0;
}

static int finish(void **state)
{
	gp_arena_free(w.arena);
	return scratch_end(state);
}

static struct gp_resource *add(const char *name, struct thing thing)
{
	struct thing *spec = gp_alloc(w.arena, sizeof(*spec));

	*spec = thing;
	gp_plan_add(&w.ctx, &w.plan, (struct gp_resource){ .type = &thing_type, .name = name, .spec = spec });
	return &w.plan.v[w.plan.n - 1];
}

static void add_handler(const char *name)
{
	gp_plan_add(&w.ctx, &w.plan, (struct gp_resource){ .type = &gp_handler_type, .name = name, .spec = &handler });
}

static int run(bool apply)
{
	memset(&w.err, 0, sizeof(w.err));
	return gp_plan_run(&w.ctx, &w.plan, apply, NULL, &w.changes, &w.err);
}

static const char *list(void)
{
	struct gp_strv all = { 0 };

	for (size_t i = 0; i < w.changes.n; i++)
		gp_strv_add(w.arena, &all, gp_sprintf(w.arena, "%c %s", w.changes.v[i].mark, w.changes.v[i].what));
	return gp_strv_join(w.arena, &all, "; ");
}

static void test_only_what_differs(void **state)
{
	(void)state;
	host.value[1] = 5;
	host.value[2] = 9;
	add("a", (struct thing){ 0, 5, -1 });
	add("b", (struct thing){ 1, 5, -1 });
	add("c", (struct thing){ 2, 5, -1 });
	assert_int_equal(run(true), 0);
	assert_string_equal(list(), "+ thing a; ~ thing c");
	assert_string_equal(host.order, "a c ");
	assert_int_equal(host.diffs, 5); /* each once, and each applied one again */
	assert_int_equal(w.told, 2);
	assert_int_equal(run(true), 0);
	assert_string_equal(list(), "");
	assert_int_equal(host.applies, 2);
	w.plan.n = 0;
	assert_int_equal(run(true), 0); /* nothing to do is fine */
	assert_int_equal(entries(at("state")), 0); /* and nothing was written down that nobody needs */
}

static void test_order_is_explicit(void **state)
{
	(void)state;
	add("a", (struct thing){ 0, 1, -1 })->after[0] = "b";
	add("b", (struct thing){ 1, 1, -1 });
	for (int apply = 0; apply < 2; apply++) {
		assert_int_equal(run(apply), -1);
		assert_string_equal(w.err.msg, "plan: 'a' must come after 'b', which does not come before it");
		assert_int_equal(host.applies, 0);
	}
	w.plan.n = 0;
	add("b", (struct thing){ 1, 1, -1 });
	add("a", (struct thing){ 0, 1, 1 })->after[0] = "b";
	assert_int_equal(run(true), 0);
	assert_string_equal(host.order, "b a ");
	w.plan.v[1].after[1] = "a"; /* nor after itself */
	assert_int_equal(run(true), -1);
	w.plan.v[1].after[1] = "none";
	assert_int_equal(run(true), -1);
}

static void test_more_resources_than_room(void **state)
{
	static struct thing same = { 0, 1, -1 };

	(void)state;
	for (int i = 0; i < 500; i++)
		gp_plan_add(&w.ctx, &w.plan, (struct gp_resource){ .type = &thing_type, .name = gp_sprintf(w.arena, "r%d", i), .spec = &same });
	assert_int_equal(run(false), 0);
	assert_int_equal(w.changes.n, 500);
	assert_string_equal(w.changes.v[499].what, "thing r499");
}

static void test_read_back(void **state)
{
	(void)state;
	add("a", (struct thing){ .at = 0, .want = 1, .needs = -1 });
	add("deaf", (struct thing){ .at = 1, .want = 1, .needs = -1, .deaf = true });
	add("c", (struct thing){ .at = 2, .want = 1, .needs = -1 });
	assert_int_equal(run(true), -1);
	assert_string_equal(w.err.msg, "thing deaf: still so after it was applied");
	assert_string_equal(list(), "+ thing a; + thing deaf"); /* what was made before the failure is told */
	assert_int_equal(host.value[2], 0);
}

static void test_attention_is_no_change(void **state)
{
	(void)state;
	add("a", (struct thing){ .at = 0, .want = 1, .needs = -1, .attention = true })->notify = "reload";
	add_handler("reload");
	for (int apply = 0; apply < 2; apply++) {
		assert_int_equal(run(apply), 0);
		assert_string_equal(list(), "! thing a: look at it");
		assert_int_equal(host.applies, 0);
	}
}

static void test_unreadable(void **state)
{
	(void)state;
	add("base", (struct thing){ 0, 1, -1 });
	add("top", (struct thing){ 1, 1, 0 })->after[0] = "base";
	add("roof", (struct thing){ 2, 1, 1 })->after[0] = "top";
	/* a dry run cannot read what is not there yet: it will be made */
	assert_int_equal(run(false), 0);
	assert_string_equal(list(), "+ thing base; + thing top; + thing roof");
	/* but with nothing to wait for it is an error */
	w.plan.v[1].after[0] = NULL;
	assert_int_equal(run(false), -1);
	assert_string_equal(w.err.msg, "thing top: cannot read it yet");
	w.plan.v[1].after[0] = "base";
	assert_int_equal(run(true), 0);
	assert_string_equal(host.order, "base top roof ");
}

static void say_nothing(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_changes *changes)
{
	(void)ctx, (void)resource, (void)changes;
}

/* A package brings its unit up by itself: nothing to say of that one, but what comes after it cannot be read yet either. */
static void test_unread_and_nothing_to_say(void **state)
{
	static const struct gp_resource_type silent = { .name = "thing", .diff = thing_diff, .fresh = say_nothing, .apply = thing_apply };

	(void)state;
	add("package", (struct thing){ 0, 1, -1 });
	add("unit", (struct thing){ 1, 1, 0 })->after[0] = "package";
	w.plan.v[1].type = &silent;
	add("answer", (struct thing){ 2, 1, 1 })->after[0] = "unit";
	assert_int_equal(run(false), 0);
	assert_string_equal(list(), "+ thing package; + thing answer");
	/* once the package is there, the unit is read, and what it says counts */
	host.value[0] = 1;
	assert_int_equal(run(false), 0);
	assert_string_equal(list(), "+ thing unit; + thing answer");
}

static void test_handler(void **state)
{
	(void)state;
	add("a", (struct thing){ 0, 1, -1 })->notify = "reload it/now";
	add("b", (struct thing){ 1, 1, -1 })->notify = "reload it/now";
	add("c", (struct thing){ 2, 1, -1 });
	add_handler("reload it/now");
	add_handler("other");
	assert_int_equal(run(true), 0);
	assert_string_equal(list(), "+ thing a; + thing b; + thing c; ~ run reload it/now");
	assert_int_equal(host.handled, 1);
	assert_int_equal(entries(at("state/pending")), 0);
	assert_int_equal(run(true), 0);
	assert_int_equal(host.handled, 1);
	host.value[2] = 0; /* one that notifies nobody */
	assert_int_equal(run(true), 0);
	assert_int_equal(host.handled, 1);
	host.value[1] = 0;
	assert_int_equal(run(true), 0);
	assert_int_equal(host.handled, 2);
	host.handler_needed = true; /* for a reason of its own */
	assert_int_equal(run(false), 0);
	assert_string_equal(list(), "~ run reload it/now; ~ run other");
	assert_int_equal(run(true), 0);
	assert_int_equal(host.handled, 3);
}

static void test_handler_survives_a_failure(void **state)
{
	(void)state;
	add("a", (struct thing){ 0, 1, -1 })->notify = "reload";
	add("b", (struct thing){ 1, 1, -1 });
	add_handler("reload");
	host.fail_at = 2; /* b */
	assert_int_equal(run(true), -1);
	assert_string_equal(w.err.msg, "thing b: cut off at 2");
	assert_int_equal(host.handled, 0);
	host.fail_at = 0;
	assert_int_equal(run(false), 0);
	assert_string_equal(list(), "+ thing b; ~ run reload");
	assert_int_equal(run(true), 0);
	assert_string_equal(list(), "+ thing b; ~ run reload");
	assert_int_equal(host.handled, 1);

	/* nor is it forgotten when it fails itself */
	host.value[0] = 0;
	host.fail_at = host.applies + 2;
	assert_int_equal(run(true), -1);
	assert_string_equal(w.err.msg, gp_sprintf(w.arena, "run reload: cut off at %d", host.fail_at));
	host.fail_at = 0;
	assert_int_equal(run(true), 0);
	assert_string_equal(list(), "~ run reload");
	assert_int_equal(host.handled, 2);
}

static void build_big_plan(void)
{
	add("a", (struct thing){ 0, 1, -1 })->notify = "reload";
	add("b", (struct thing){ 1, 2, 0 })->after[0] = "a";
	add("c", (struct thing){ 2, 3, -1 })->notify = "restart";
	add_handler("reload");
	add("d", (struct thing){ 3, 4, 2 })->after[0] = "c";
	w.plan.v[4].notify = "restart";
	add("note", (struct thing){ .at = 6, .needs = -1, .attention = true });
	add("e", (struct thing){ 4, 5, -1 })->notify = "restart";
	add_handler("restart");
}

static void test_dry_run_predicts(void **state)
{
	const char *predicted;

	(void)state;
	build_big_plan();
	for (unsigned was = 0; was < 32; was++) { /* from every state that things can be in: b is nowhere without a, nor d without c */
		if ((was & 3) == 2 || (was & 12) == 8)
			continue;
		for (int i = 0; i < 5; i++)
			host.value[i] = was & (1U << i) ? i + 1 : i == 4 ? 99 : 0;
		host.applies = 0;
		assert_int_equal(run(false), 0);
		predicted = list();
		assert_int_equal(host.applies, 0);
		assert_true(entries(at("state/pending")) <= 0);
		assert_int_equal(run(true), 0);
		assert_string_equal(list(), predicted);
		assert_int_equal(run(false), 0);
		assert_string_equal(list(), "! thing note: look at it");
	}
}

/* Cut off at every apply there is, before it has done its work and after: the next run ends where an uninterrupted one does. */
static void test_interrupted_anywhere(void **state)
{
	(void)state;
	build_big_plan();
	for (int half = 0; half < 2; half++) {
		int n = 1;

		for (;; n++) {
			memset(&host, 0, sizeof(host));
			host.fail_at = n;
			host.half = half;
			if (run(true) == 0)
				break;
			assert_string_not_equal(w.err.msg, "");
			host.fail_at = 0;
			host.half = false;
			if (run(true) < 0)
				fail_msg("after a failure at %d: %s", n, w.err.msg);
			for (int i = 0; i < 5; i++)
				assert_int_equal(host.value[i], i + 1);
			/* everything that changed was told to its handler, in the first run or in the second */
			if (host.handled < 2)
				fail_msg("after a failure at %d a handler was forgotten", n);
			assert_int_equal(entries(at("state/pending")), 0);
			assert_int_equal(run(true), 0);
			assert_string_equal(list(), "! thing note: look at it");
		}
		assert_int_equal(n, 8); /* five things and two handlers */
	}
}

static void test_nobody_watches(void **state)
{
	(void)state;
	w.ctx.observer = (struct gp_observer){ 0 };
	add("a", (struct thing){ 0, 1, -1 });
	assert_int_equal(gp_plan_run(&w.ctx, &w.plan, true, NULL, &w.changes, NULL), 0);
	assert_int_equal(w.changes.n, 1);
	add("b", (struct thing){ 0, 1, 7 });
	assert_int_equal(gp_plan_run(&w.ctx, &w.plan, true, NULL, &w.changes, NULL), -1);
}

/* A run that is killed says nothing; the next one does. */
static void test_cut_off(void **state)
{
	pid_t child;
	int status;

	(void)state;
	add("a", (struct thing){ 0, 1, -1 });
	child = fork();
	if (child == 0) {
		host.kill = true;
		run(true);
		_exit(1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	w.told = 0;
	assert_int_equal(run(true), 0);
	assert_int_equal(w.told, 2); /* that it was cut off, and the change */
	assert_int_equal(run(true), 0);
	assert_int_equal(w.told, 2);
	/* one that fails has said so itself */
	host.value[0] = 0;
	host.fail_at = host.applies + 1;
	assert_int_equal(run(true), -1);
	host.fail_at = 0;
	w.told = 0;
	assert_int_equal(run(true), 0);
	assert_int_equal(w.told, 1);
}

/* What was agreed to is made, and nothing else, whatever has happened on the host meanwhile. */
static void test_only_what_was_agreed_to(void **state)
{
	struct gp_changes agreed;

	(void)state;
	add("a", (struct thing){ 0, 1, -1 });
	add("b", (struct thing){ 1, 1, -1 });
	add("note", (struct thing){ 2, 1, -1, .attention = true });
	host.value[1] = 1;
	assert_int_equal(run(false), 0);
	agreed = w.changes;
	host.value[1] = 5; /* drifts after the plan was shown */
	assert_int_equal(gp_plan_run(&w.ctx, &w.plan, true, &agreed, &w.changes, &w.err), -1);
	assert_int_equal(w.err.kind, GP_E_REFUSED);
	assert_non_null(strstr(w.err.msg, "thing b"));
	assert_int_equal(host.value[0], 1);
	assert_int_equal(host.value[1], 5);
	host.value[0] = 0;
	host.value[1] = 1;
	assert_int_equal(gp_plan_run(&w.ctx, &w.plan, true, &agreed, &w.changes, &w.err), 0);
	assert_int_equal(host.value[0], 1);
	assert_int_equal(gp_changes_count(&w.changes), 1);
}

/* A state folder that cannot be written: the change is not made, because its notification could be lost. */
static void test_cannot_write_down(void **state)
{
	(void)state;
	put(at("state"), "a file");
	add("a", (struct thing){ 0, 1, -1 })->notify = "reload";
	add_handler("reload");
	assert_int_equal(run(true), -1);
	assert_int_equal(host.value[0], 0);
	assert_int_equal(host.applies, 0);
}

/* a, b, and s, which comes after a and takes long. */
static void add_slow(int needs)
{
	struct gp_resource *slow;

	w.plan.n = 0;
	host.order[0] = '\0';
	memset(host.value, 0, sizeof(host.value));
	add("a", (struct thing){ 0, 1, -1 });
	add("b", (struct thing){ 1, 1, -1 });
	slow = add("s", (struct thing){ 2, 1, needs });
	slow->type = &slow_type;
	slow->after[0] = "a";
}

static void test_begun_early(void **state)
{
	struct gp_changes agreed;

	(void)state;
	add_slow(-1);
	assert_int_equal(run(false), 0);
	agreed = w.changes;
	assert_string_equal(host.order, ""); /* a plan begins nothing */
	assert_int_equal(run(true), 0);
	assert_string_equal(host.order, "a (s) b s ");
	assert_string_equal(list(), "+ thing a; + thing b; + thing s"); /* told in its turn */
	assert_int_equal(run(true), 0);
	assert_string_equal(host.order, "a (s) b s ");

	add_slow(1); /* it cannot be read before b */
	assert_int_equal(run(true), 0);
	assert_string_equal(host.order, "a b s ");

	add_slow(-1);
	host.value[0] = host.value[1] = 1; /* the only thing to do: a kill from now on is told of by the next run */
	assert_int_equal(run(true), 0);
	assert_string_equal(host.order, "(s) s ");

	add_slow(-1);
	assert_int_equal(gp_plan_run(&w.ctx, &w.plan, true, &agreed, &w.changes, &w.err), 0);
	assert_string_equal(host.order, "a (s) b s ");
	add_slow(-1);
	agreed.n--; /* s was not agreed to */
	assert_int_equal(gp_plan_run(&w.ctx, &w.plan, true, &agreed, &w.changes, &w.err), -1);
	assert_int_equal(w.err.kind, GP_E_REFUSED);
	assert_string_equal(host.order, "a b ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define WITH_HOST(test) cmocka_unit_test_setup_teardown(test, begin, finish)
		WITH_HOST(test_only_what_differs),
		WITH_HOST(test_order_is_explicit),
		WITH_HOST(test_more_resources_than_room),
		WITH_HOST(test_read_back),
		WITH_HOST(test_attention_is_no_change),
		WITH_HOST(test_unreadable),
		WITH_HOST(test_unread_and_nothing_to_say),
		WITH_HOST(test_handler),
		WITH_HOST(test_handler_survives_a_failure),
		WITH_HOST(test_dry_run_predicts),
		WITH_HOST(test_interrupted_anywhere),
		WITH_HOST(test_nobody_watches),
		WITH_HOST(test_cut_off),
		WITH_HOST(test_only_what_was_agreed_to),
		WITH_HOST(test_cannot_write_down),
		WITH_HOST(test_begun_early),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
