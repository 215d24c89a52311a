/* The walk along a table of steps. */
#include "ops/steps.h"

#include "base/arena.h"
#include "base/clock.h"
#include "base/error.h"
#include "ops/deploy.h"
#include "ops/record.h"
#include "sys/ctx.h"
#include "sys/lock.h"

static int run_step(struct gp_deploy *d, const struct gp_steps *steps, int index, struct gp_error *err)
{
	const struct gp_step *step = &steps->v[index];
	const char *skipped = step->skip ? step->skip(d) : NULL;
	int64_t start = gp_mono_ms();

	gp_tell(d->ctx, &(struct gp_event){ .kind = GP_EVENT_STEP, .name = step->name, .text = step->words, .index = index + 1,
		.total = steps->n });
	if (skipped) {
		gp_tell(d->ctx, &(struct gp_event){ .kind = GP_EVENT_SKIPPED, .name = step->name, .text = skipped });
		return 0;
	}
	GP_TRY(gp_journal_note(d->ctx, &d->paths, "begin", step->name, d->release, err));
	if (step->run(d, err) < 0) {
		gp_tell(d->ctx, &(struct gp_event){ .kind = GP_EVENT_FAILED, .name = step->name, .ms = gp_mono_ms() - start });
		return -1;
	}
	GP_TRY(gp_journal_note(d->ctx, &d->paths, "done", step->name, d->release, err));
	gp_tell(d->ctx, &(struct gp_event){ .kind = GP_EVENT_DONE, .name = step->name, .ms = gp_mono_ms() - start });
	return 0;
}

static int index_of(const struct gp_steps *steps, const char *name)
{
	for (int i = 0; i < steps->n; i++)
		if (gp_streq(steps->v[i].name, name))
			return i;
	return steps->n;
}

/* After a failure: nothing half done stays, and the error says what serves now. */
static void undo(struct gp_deploy *d, const struct gp_steps *steps, int index, struct gp_error *err)
{
	const char *words;

	if (index >= index_of(steps, GP_STEP_START))
		gp_deploy_back(d);
	if (steps == &gp_deploy_steps || d->by_hand)
		gp_deploy_remove_release(d, d->release);
	if (gp_deploy_serves(d, &words)) {
		if (err->kind == GP_E_FAILED)
			err->kind = GP_E_DEPLOY;
		if (d->by_hand)
			gp_hint(err, "nothing is lost; mend it and go on: goldpath adopt %s", d->site.slug);
		else if (steps == &gp_deploy_steps)
			gp_hint(err, "mend it and deploy again: goldpath deploy %s%s%s", d->site.slug, d->request->ref ? " --ref " : "",
				d->request->ref ? d->request->ref : "");
	}
	gp_state(err, "%s", words);
	gp_context(err, "%s", steps->v[index].name);
}

static void write_history(struct gp_deploy *d, const char *result, const struct gp_step *step, const struct gp_error *err, int64_t ms)
{
	static const char *const names[] = {
		[GP_HEALTH_NO_ANSWER] = NULL,
		[GP_HEALTH_BAD] = "bad",
		[GP_HEALTH_UNHEALTHY] = "unhealthy",
		[GP_HEALTH_DEGRADED] = "degraded",
		[GP_HEALTH_OK] = "ok",
	};
	struct gp_history entry = {
		.release = d->release,
		.ref = d->ref,
		.sha = d->sha,
		.result = result,
		.step = step ? step->name : NULL,
		.health = names[d->health.status],
		.error = err ? gp_secret_mask(&d->ctx->secrets, d->ctx->arena, err->msg) : NULL,
		.ms = ms,
	};
	struct gp_error why = { 0 };

	if (gp_history_add(d->ctx, &d->paths, &entry, &why) < 0)
		gp_tell_warn(d->ctx, "%s", why.msg);
}

int gp_steps_walk(struct gp_deploy *d, const struct gp_steps *steps, const char *from, struct gp_lock *lock, struct gp_error *err)
{
	int64_t start = gp_mono_ms();

	for (int i = from ? index_of(steps, from) : 0; i < steps->n; i++) {
		gp_lock_step(lock, steps->v[i].name);
		if (run_step(d, steps, i, err) == 0)
			continue;
		undo(d, steps, i, err);
		write_history(d, "failed", &steps->v[i], err, gp_mono_ms() - start);
		gp_journal_note(d->ctx, &d->paths, "end", steps->v[i].name, d->release, NULL);
		return -1;
	}
	write_history(d, "ok", NULL, NULL, gp_mono_ms() - start);
	return gp_journal_note(d->ctx, &d->paths, "end", NULL, d->release, err);
}

const char *gp_steps_without_restart(const struct gp_deploy *d)
{
	return d->request->no_restart ? "--no-restart" : NULL;
}

const char *gp_steps_without_celery(const struct gp_deploy *d)
{
	return d->site.celery.enabled ? gp_steps_without_restart(d) : "not enabled";
}
