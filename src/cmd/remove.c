/* goldpath remove */
#include <stdio.h>

#include "base/arena.h"
#include "base/error.h"
#include "cmd/command.h"
#include "ops/remove.h"
#include "out/changes.h"
#include "out/json.h"
#include "sys/ctx.h"
#include "sys/fs.h"

#define FLAG "--i-know-this-will-delete"

/*
 * How a person gets the database back, once the site is provisioned again. As the site's own role, by its password: what a dump holds was
 * written by the site's code, and a superuser who loads it runs that.
 */
static const char *restore_line(struct gp_ctx *ctx, const struct gp_removal *r)
{
	if (!r->db.name || !gp_fs_exists(r->dump))
		return NULL;
	return gp_sprintf(ctx->arena, "gunzip -c %s | psql -q -v ON_ERROR_STOP=1 -h 127.0.0.1 -U %s %s", r->dump, r->db.user, r->db.name);
}

static json_t *as_json(struct gp_ctx *ctx, bool ok, bool applied, const struct gp_removal *r)
{
	json_t *object = gp_json_result("remove");

	gp_json_text(ctx, object, "site", r->slug);
	json_object_set_new(object, "applied", json_boolean(applied));
	gp_json_text(ctx, object, "backup", r->backup);
	gp_json_text(ctx, object, "restore", applied && ok ? restore_line(ctx, r) : NULL);
	json_object_set_new(object, "changes", gp_changes_json(ctx, &r->changes));
	return object;
}

static int refuse(struct gp_ctx *ctx, const struct gp_args *args, const struct gp_removal *r, struct gp_error *err)
{
	const struct gp_terminal terminal = gp_terminal_of(stdout, args->no_color);

	if (args->json)
		gp_json_keep(ctx, as_json(ctx, false, false, r));
	else
		gp_changes_show(&terminal, ctx, args->verbose, &r->changes);
	gp_fail(err, GP_E_REFUSED, "%s would be removed as shown; nothing was changed", r->slug);
	return gp_hint(err, "goldpath remove %s " FLAG, r->slug);
}

static void print_result(struct gp_ctx *ctx, const struct gp_removal *r)
{
	const char *restore = restore_line(ctx, r);

	printf("%s is removed; what it had is in %s\n", r->slug, r->backup);
	if (restore)
		printf("to have it again: put %s.yaml and site/.env back from there, and goldpath provision %s\n"
		       "then its database, by the password in .env: %s\n", r->slug, r->slug, restore);
}

static int run(struct gp_ctx *ctx, const struct gp_args *args, struct gp_error *err)
{
	const struct gp_remove request = { .slug = args->slug, .apply = args->will_delete };
	struct gp_removal *r = gp_alloc(ctx->arena, sizeof(*r));
	int result = gp_remove_run(ctx, &request, r, err);

	if (result < 0 && request.apply && args->json && r->changes.n)
		gp_json_keep(ctx, as_json(ctx, false, true, r));
	GP_TRY(result);
	if (!request.apply)
		return refuse(ctx, args, r, err);
	if (r->packages.n)
		gp_tell_note(ctx, "Debian packages stay: %s", gp_strv_join(ctx->arena, &r->packages, ", "));
	if (args->json)
		gp_json_print(stdout, as_json(ctx, true, true, r));
	else
		print_result(ctx, r);
	return 0;
}

static const struct gp_option options[] = {
	{ FLAG, GP_OPT_FLAG, offsetof(struct gp_args, will_delete), .help = "do it; without it only the plan is shown" },
	GP_OPT_END,
};

const struct gp_command gp_cmd_remove = {
	.name = "remove",
	.operand = "SLUG",
	.summary = "take a site away, after a backup of what would be lost",
	.details = "Keeps database, media, .env and all else that goldpath did not make itself in\n"
		   "/var/backups/goldpath/SLUG-TIME, then takes away everything that only this site\n"
		   "needed. Without the flag it shows the plan, changes nothing and exits with 7.\n"
		   "Works for what is left of a site without a file, too.",
	.options = options,
	.root = true,
	.run = run,
};
