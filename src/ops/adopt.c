/* Adoption as a whole: what is there, what will be, the locks, what is made beside it, and then the steps. */
#include "ops/adopt.h"

#include <string.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "base/error.h"
#include "ops/confined.h"
#include "ops/record.h"
#include "ops/slot.h"
#include "sys/ctx.h"
#include "sys/fs.h"
#include "sys/lock.h"
#include "sys/tree.h"

static void say(struct gp_adopt *a, char mark, const struct gp_resource *r, const char *text, const char *diff)
{
	gp_change_add(a->ctx, &a->changes, mark, r, "%s", text);
	if (diff)
		gp_change_diff(&a->changes, diff);
	gp_tell(a->ctx, &(struct gp_event){ .kind = GP_EVENT_CHANGE, .mark = mark, .text = a->changes.v[a->changes.n - 1].what, .detail = diff });
}

static void take_changes(struct gp_adopt *a, const struct gp_changes *more)
{
	struct gp_changes *to = &a->changes;
	struct gp_change *v = gp_alloc_array(a->ctx->arena, to->n + more->n + 1, sizeof(*v));

	if (to->n)
		memcpy(v, to->v, to->n * sizeof(*v));
	if (more->n)
		memcpy(v + to->n, more->v, more->n * sizeof(*v));
	*to = (struct gp_changes){ .v = v, .n = to->n + more->n, .cap = to->n + more->n + 1 };
}

/* What no resource is of. */
static void say_steps(struct gp_adopt *a)
{
	static const struct gp_resource_type release = { .name = "release" }, socket = { .name = "socket" }, folder = { .name = "folder" };
	struct gp_arena *arena = a->ctx->arena;
	const char *const folders[] = { a->paths.app, a->paths.venv };
	struct gp_tree_shared media = { 0 };
	struct stat st;

	if (a->committed)
		say(a, '~', &(struct gp_resource){ .type = &release, .name = a->committed }, "proven, and not finished yet", NULL);
	else
		say(a, '+', &(struct gp_resource){ .type = &release, .name = gp_sprintf(arena, "of %.12s", a->work.sha) },
			"built from the repository, started beside the old gunicorn and proven", NULL);
	if (gp_fs_lstat(a->paths.socket, &st, NULL) == 1 && S_ISSOCK(st.st_mode))
		say(a, '~', &(struct gp_resource){ .type = &socket, .name = a->paths.socket }, "the old gunicorn's → a symlink to " GP_ROUTE_STABLE, NULL);
	for (size_t i = 0; i < 2; i++)
		if (gp_fs_lstat(folders[i], &st, NULL) == 1 && S_ISDIR(st.st_mode))
			say(a, '~', &(struct gp_resource){ .type = &folder, .name = folders[i] },
				gp_sprintf(arena, "→ %s.before-goldpath, and a symlink into the release", strrchr(folders[i], '/') + 1), NULL);
	if (gp_tree_share(a->paths.media, a->account.uid, (gid_t)-1, false, &media, NULL) == 0 && media.shared)
		say(a, '~', &(struct gp_resource){ .type = &folder, .name = a->paths.media },
			gp_sprintf(arena, "what is in it may be written by group %s too", a->paths.run_user), NULL);
	if (media.strange)
		say(a, '!', &(struct gp_resource){ .type = &folder, .name = a->paths.media },
			gp_sprintf(arena, "%llu files in it do not belong to %s and stay as they are", (unsigned long long)media.strange, a->account.name), NULL);
}

/* All that would be done, and nothing done. */
static int show(struct gp_adopt *a, struct gp_error *err)
{
	static const struct gp_resource_type file = { .name = "file" };
	struct gp_changes changes = { 0 };

	if (a->text)
		say(a, '+', &(struct gp_resource){ .type = &file, .name = gp_sprintf(a->ctx->arena, "%s/sites/%s.yaml", a->ctx->etc_dir, a->site.slug) }, "", NULL);
	if (gp_adopt_provision(a->ctx, a, GP_ADOPT_WHOLE, false, &changes, err) < 0)
		return -1;
	take_changes(a, &changes);
	say_steps(a);
	gp_adopt_attention(a);
	return 0;
}

/* From here on provision and deploy leave the site to this command. */
static int begin(struct gp_adopt *a, struct gp_error *err)
{
	struct gp_init_result written;

	GP_TRY(gp_fs_mkdirs(a->ctx->state_dir, err));
	GP_TRY(gp_fs_mkdir(a->paths.state, 0700, 0, 0, err));
	if (!gp_fs_exists(a->paths.adopting))
		GP_TRY(gp_fs_write(a->paths.adopting, "", 0, 0600, 0, 0, err));
	GP_TRY(gp_adopt_keep_files(a, err));
	if (!a->text)
		return 0;
	GP_TRY(gp_init_run(a->ctx, &a->init, &written, err));
	if (written.site_written)
		gp_tell_note(a->ctx, "%s written, from what is there", written.site_path);
	return gp_host_load(a->ctx->arena, a->ctx->etc_dir, &a->host, err);
}

/* What a run that was killed, or failed, before the release was the site's has left running. */
static int take_back(struct gp_adopt *a, struct gp_error *err)
{
	struct gp_deploy *d = &a->deploy;
	struct gp_unfinished u;
	const char *words;

	GP_TRY(gp_journal_read(a->ctx, &a->paths, &u, err));
	if (!u.found)
		return 0;
	gp_tell_warn(a->ctx, "the adoption before this one was cut off in step '%s'", u.step);
	d->release = *u.release ? u.release : NULL;
	if (u.beside)
		gp_deploy_back(d);
	GP_TRY(gp_deploy_remove_release(d, d->release, err));
	d->release = NULL;
	if (gp_deploy_serves(d, &words))
		gp_tell_note(a->ctx, "taken back; %s", words);
	return gp_journal_note(a->ctx, &a->paths, "end", u.step, u.release, err);
}

/* Where to go on with a release that was proven: with its gunicorn, if that runs and has the visitors; after a reboot, say, from its start. */
static const char *go_on_from(struct gp_deploy *d)
{
	const struct gp_slot stable = gp_slot_stable(&d->paths), next = gp_slot_next(&d->paths);

	if ((gp_slot_is_routed(d, &next) && gp_streq(gp_slot_runs(d, &next), d->release)) ||
		(gp_slot_is_routed(d, &stable) && gp_streq(gp_slot_runs(d, &stable), d->release)))
		return GP_STEP_COMMIT;
	return GP_STEP_START;
}

static int walk(struct gp_adopt *a, struct gp_lock *lock, struct gp_error *err)
{
	struct gp_deploy *d = &a->deploy;
	const char *from = NULL;

	if (a->committed) {
		d->release = a->committed;
		d->release_dir = gp_sprintf(a->ctx->arena, "%s/%s", a->paths.releases, a->committed);
		from = go_on_from(d);
		gp_tell_note(a->ctx, "%s had been proven: going on from there", a->committed);
	} else {
		GP_TRY(take_back(a, err));
	}
	GP_TRY(gp_journal_begin(a->ctx, &a->paths, &(struct gp_unfinished){ .what = "adopt", .ref = d->ref, .release = d->release }, err));
	return gp_adopt_walk(d, from, lock, err);
}

static int adopt_it(struct gp_adopt *a, struct gp_lock *lock, struct gp_error *err)
{
	struct gp_deploy_request *request = gp_alloc(a->ctx->arena, sizeof(*request));
	struct gp_changes changes = { 0 };
	int result;

	GP_TRY(begin(a, err));
	gp_lock_step(lock, "provision");
	result = a->committed ? 0 : gp_adopt_provision(a->ctx, a, GP_ADOPT_BESIDE, true, &changes, err);
	take_changes(a, &changes);
	if (result < 0)
		return gp_state(err, "what was set up by hand serves as before");
	gp_adopt_attention(a);
	*request = (struct gp_deploy_request){ .slug = a->site.slug, .ref = a->work.sha };
	GP_TRY(gp_deploy_load(a->ctx, request, &a->deploy, err));
	a->deploy.adopt = a;
	GP_TRY(gp_confined_begin(&a->deploy, err));
	result = walk(a, lock, err);
	gp_confined_end(&a->deploy);
	return result;
}

int gp_adopt_run(struct gp_ctx *ctx, const struct gp_adopt_request *request, struct gp_adopt *ret, struct gp_error *err)
{
	const char *slug = request->init.slug;
	GP_AUTO_LOCK host = { .fd = -1 };
	GP_AUTO_LOCK site = { .fd = -1 };

	*ret = (struct gp_adopt){ .ctx = ctx, .request = request, .paths = gp_site_paths(ctx, slug), .init = request->init };
	if (request->apply) {
		GP_TRY(gp_lock_take(&host, ctx->lock_dir, "host", ctx->command, err));
		GP_TRY(gp_lock_take(&site, ctx->lock_dir, slug, ctx->command, err));
	}
	GP_TRY(gp_adopt_look(ret, err));
	if (ret->done)
		return 0;
	GP_TRY(gp_adopt_check_work(ret, err));
	return request->apply ? adopt_it(ret, &site, err) : show(ret, err);
}
