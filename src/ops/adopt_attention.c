/* What somebody should know of a site that is to be adopted: what stays behind, and what stays as it is. */
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "ops/adopt.h"
#include "sys/ctx.h"
#include "sys/fs.h"

enum { FILE_MAX = 1 << 20, SHOWN_MAX = 5 };

int gp_adopt_check_work(struct gp_adopt *a, struct gp_error *err)
{
	if (!a->work.changed.n || a->request->leave_uncommitted)
		return 0;
	gp_fail(err, GP_E_REFUSED, "%s has what is in no commit: %s", a->paths.app, gp_strv_brief(a->ctx->arena, &a->work.changed, SHOWN_MAX));
	return gp_hint(err, "commit and push it, or let it stay in app.before-goldpath: --i-know-changes-stay-behind");
}

/* A `*` in sudoers matches blanks, and so any further argument. */
static void sudoers_attention(struct gp_adopt *a, const char *path, const struct gp_resource *r)
{
	struct gp_strv lines;
	const char *text;

	if (gp_fs_read(a->ctx->arena, path, FILE_MAX, &text, NULL, NULL) != 1)
		return;
	lines = gp_lines(a->ctx->arena, text);
	for (size_t i = 0; i < lines.n; i++)
		if (strstr(lines.v[i], "sum-") && strchr(lines.v[i], '*') && gp_trim(a->ctx->arena, lines.v[i])[0] != '#')
			gp_change_add(a->ctx, &a->changes, '!', r, "%s, line %zu, lets more than it says (a * matches blanks too); goldpath has its "
				"own lines: take it out when no site needs it any more", path, i + 1);
}

static void units_attention(struct gp_adopt *a, const struct gp_resource *r)
{
	const char *const known[] = { a->paths.gunicorn, a->paths.gunicorn_socket, a->paths.celery, a->paths.next };
	const char *prefix = gp_sprintf(a->ctx->arena, "sum-%s-", a->init.slug);
	struct gp_strv names = { 0 };

	gp_fs_list(a->ctx->arena, "/etc/systemd/system", &names, NULL);
	for (size_t i = 0; i < names.n; i++) {
		bool ours = !gp_starts_with(names.v[i], prefix) || gp_ends_with(names.v[i], ".d");

		for (size_t k = 0; k < sizeof(known) / sizeof(known[0]); k++)
			ours = ours || gp_streq(names.v[i], known[k]);
		if (!ours)
			gp_change_add(a->ctx, &a->changes, '!', r, "the unit %s is not goldpath's, and stays as it is", names.v[i]);
	}
}

void gp_adopt_attention(struct gp_adopt *a)
{
	static const struct gp_resource_type type = { .name = "adoption" };
	const struct gp_resource of = { .type = &type, .name = gp_sprintf(a->ctx->arena, "of %s", a->init.slug) };
	size_t before = a->changes.n;
	struct gp_strv names = { 0 };

	sudoers_attention(a, "/etc/sudoers", &of);
	gp_fs_list(a->ctx->arena, "/etc/sudoers.d", &names, NULL);
	for (size_t i = 0; i < names.n; i++)
		if (!gp_starts_with(names.v[i], "goldpath-"))
			sudoers_attention(a, gp_sprintf(a->ctx->arena, "/etc/sudoers.d/%s", names.v[i]), &of);
	units_attention(a, &of);
	if (a->work.changed.n)
		gp_change_add(a->ctx, &a->changes, '!', &of, "in no commit, so they stay in app.before-goldpath: %s",
			gp_strv_brief(a->ctx->arena, &a->work.changed, SHOWN_MAX));
	if (a->work.ignored.n)
		gp_change_add(a->ctx, &a->changes, '!', &of, "files that .gitignore names stay in app.before-goldpath: %s",
			gp_strv_brief(a->ctx->arena, &a->work.ignored, SHOWN_MAX));
	for (size_t i = before; i < a->changes.n; i++)
		gp_tell(a->ctx, &(struct gp_event){ .kind = GP_EVENT_CHANGE, .mark = a->changes.v[i].mark, .text = a->changes.v[i].what });
}
