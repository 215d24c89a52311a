/* The walk along a table of steps. */
#include "ops/steps.h"

#include "base/arena.h"
#include "base/clock.h"
#include "base/error.h"
#include "ops/deploy.h"
#include "ops/record.h"
#include "ops/releases.h"
#include "ops/rollback.h"
#include "ops/slot.h"
#include "sys/ctx.h"
#include "sys/lock.h"

static int index_of(const struct gp_steps *steps, const char *name)
{
	for (int i = 0; i < steps->n; i++)
		if (gp_streq(steps->v[i].name, name))
			return i;
	return steps->n;
}

/* Until the release is the site's, what cannot be written down is not done. From then on there is nothing better to go back to, and what is so
 * can be asked: a full disk is told of, and the way goes on. */
static int note(struct gp_deploy *d, const struct gp_steps *steps, int index, const char *what, struct gp_error *err)
{
	const char *step = index < steps->n ? steps->v[index].name : NULL;
	int commit = index_of(steps, GP_STEP_COMMIT);
	struct gp_error why = { 0 };

	if (index < commit || (index == commit && gp_streq(what, "begin")))
		return gp_journal_note(d->ctx, &d->paths, what, step, d->release, err);
	if (gp_journal_note(d->ctx, &d->paths, what, step, d->release, &why) < 0)
		gp_tell_warn(d->ctx, "%s", why.msg);
	return 0;
}

static int run_step(struct gp_deploy *d, const struct gp_steps *steps, int index, struct gp_error *err)
{
	const struct gp_step *step = &steps->v[index];
	const char *skipped = step->skip ? step->skip(d) : NULL;
	int64_t start = gp_tell_step(d->ctx, step->name, step->words, index + 1, steps->n);
	int result;

	if (skipped) {
		gp_tell_skipped(d->ctx, step->name, skipped);
		return 0;
	}
	GP_TRY(note(d, steps, index, "begin", err));
	result = step->run(d, err);
	if (result >= 0)
		GP_TRY(note(d, steps, index, "done", err));
	return gp_tell_ended(d->ctx, step->name, start, result);
}

/* After a failure: nothing half done stays, and the error says what serves now. -1: the database could not be put back, which is told, and left
 * to the next command. */
static int undo(struct gp_deploy *d, const struct gp_steps *steps, int index, struct gp_error *err)
{
	struct gp_error why = { 0 };
	const char *words;
	int result;

	/* Killed from here on, it is not to be finished, however far it had come. */
	gp_journal_note(d->ctx, &d->paths, "undo", steps->v[index].name, d->release, NULL);
	result = gp_rollback_undo(d);
	if (index >= index_of(steps, GP_STEP_START))
		gp_deploy_back(d);
	if (!d->rollback && gp_deploy_remove_release(d, d->release, &why) < 0)
		gp_tell_warn(d->ctx, "%s", why.msg);
	if (steps->trial) {
		gp_context(err, "%s", steps->v[index].name);
		return result;
	}
	if (gp_deploy_serves(d, &words)) {
		if (err->kind == GP_E_FAILED)
			err->kind = GP_E_DEPLOY;
		if (d->adopt)
			gp_hint(err, "nothing is lost; mend it and go on: goldpath adopt %s", d->site.slug);
		else if (steps == &gp_deploy_steps)
			gp_hint(err, "mend it and deploy again: goldpath deploy %s%s%s", d->site.slug, d->request->ref ? " --ref " : "",
				d->request->ref ? d->request->ref : "");
	}
	gp_state(err, "%s", words);
	gp_context(err, "%s", steps->v[index].name);
	return result;
}

static void write_history(struct gp_deploy *d, const struct gp_steps *steps, const char *result, const struct gp_step *step, const struct gp_error *err, int64_t ms)
{
	struct gp_history entry = {
		.what = steps->what,
		.file = d->rollback && d->rollback->how == GP_ROLLBACK_RESTORE_DB ? d->rollback->dump : NULL,
		.release = d->release,
		.ref = d->ref,
		.sha = d->sha,
		.result = result,
		.step = step ? step->name : NULL,
		.health = d->health.status == GP_HEALTH_NO_ANSWER ? NULL : gp_health_name(d->health.status),
		.error = err ? gp_secret_mask(&d->ctx->secrets, d->ctx->arena, err->msg) : NULL,
		.ms = ms,
	};
	struct gp_error why = { 0 };

	if (gp_history_add(d->ctx, &d->paths, &entry, &why) < 0 || (!d->rollback && gp_release_record_finish(d, result, &why) < 0))
		gp_tell_warn(d->ctx, "%s", why.msg);
}

int gp_steps_walk(struct gp_deploy *d, const struct gp_steps *steps, const char *from, struct gp_lock *lock, struct gp_error *err)
{
	int64_t start = gp_mono_ms();

	if (!from)
		gp_slot_env_proven(d, NULL);
	for (int i = from ? index_of(steps, from) : 0; i < steps->n; i++) {
		int undone;

		gp_lock_step(lock, steps->v[i].name);
		if (run_step(d, steps, i, err) == 0)
			continue;
		undone = undo(d, steps, i, err);
		if (!steps->trial)
			write_history(d, steps, "failed", &steps->v[i], err, gp_mono_ms() - start);
		if (undone == 0)
			gp_journal_note(d->ctx, &d->paths, "end", steps->v[i].name, d->release, NULL);
		return -1;
	}
	gp_slot_env_proven(d, NULL);
	if (!steps->trial)
		write_history(d, steps, "ok", NULL, NULL, gp_mono_ms() - start);
	return note(d, steps, steps->n, "end", err);
}

const char *gp_steps_without_restart(const struct gp_deploy *d)
{
	return d->request->no_restart ? "--no-restart" : NULL;
}

const char *gp_steps_without_celery(const struct gp_deploy *d)
{
	return d->site.celery.enabled ? gp_steps_without_restart(d) : "not enabled";
}
