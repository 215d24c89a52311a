/* What a site that was set up by hand has, each thing read in its one place: folder, checkout, `.env`, units, Caddy file. */
#include <string.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "base/error.h"
#include "ops/adopt.h"
#include "ops/adopt_facts.h"
#include "ops/releases.h"
#include "plan/types.h"
#include "sys/ctx.h"
#include "sys/fs.h"

enum { FILE_MAX = 1 << 20 };

int gp_adopt_cannot(struct gp_error *err, const char *what, const char *hint)
{
	gp_fail(err, GP_E_REFUSED, "%s", what);
	return gp_hint(err, "%s", hint);
}

static int read_env(struct gp_adopt_facts *f, struct gp_error *err)
{
	/* Without one of these provision would make another database, password or key than the site has. */
	static const char *const needed[] = { "DJANGO_SETTINGS_MODULE", "DJANGO_SECRET_KEY", "DJANGO_DB_NAME", "DJANGO_DB_USER", "DJANGO_DB_PASSWORD" };
	struct gp_adopt *a = f->a;
	const struct { const char *key, *path; } roots[] = { { "DJANGO_STATIC_ROOT", a->paths.statics }, { "DJANGO_MEDIA_ROOT", a->paths.media } };
	int there;

	GP_TRY(there = gp_dotenv_read(a->ctx, a->paths.env, &f->env, err));
	if (!there)
		return GP_ADOPT_CANNOT("the site's settings belong there, as in the runbook", "there is no %s", a->paths.env);
	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
		if (!gp_adopt_env(f, needed[i]))
			return GP_ADOPT_CANNOT("write it there with the value that the site runs with", "%s has no %s", a->paths.env, needed[i]);
	for (size_t i = 0; i < 2; i++) {
		const char *is = gp_adopt_env(f, roots[i].key);
		size_t len = strlen(roots[i].path);

		if (is && (strncmp(is, roots[i].path, len) != 0 || (is[len] && !gp_streq(is + len, "/"))))
			return GP_ADOPT_CANNOT("move the files there and change the key first",
				"%s is %.200s in %s, and goldpath has %s", roots[i].key, is, a->paths.env, roots[i].path);
	}
	return 0;
}

static int find_units(struct gp_adopt_facts *f, struct gp_error *err)
{
	struct gp_adopt *a = f->a;
	struct gp_unit_state state;
	struct stat st;
	struct gp_bus *bus;

	GP_TRY(gp_ctx_bus(a->ctx, &bus, err));
	GP_TRY(gp_unit_state(bus, a->ctx->arena, a->paths.gunicorn, &state, err));
	if (!gp_streq(state.active, "active"))
		return GP_ADOPT_CANNOT("start it first: what does not run cannot be taken over without a gap", "%s is %s", a->paths.gunicorn,
			gp_streq(state.load, "loaded") ? state.active : state.load);
	GP_TRY(gp_unit_service(bus, a->ctx->arena, a->paths.gunicorn, &f->gunicorn, err));
	if (gp_fs_exists(gp_sprintf(a->ctx->arena, "/etc/systemd/system/%s", a->paths.gunicorn_socket)))
		return GP_ADOPT_CANNOT("have gunicorn bind the socket itself, as in the runbook's first way, then adopt",
			"%s: a socket that systemd holds is not taken over", a->paths.gunicorn_socket);
	if (gp_fs_lstat(a->paths.socket, &st, NULL) != 1 || !S_ISSOCK(st.st_mode))
		return GP_ADOPT_CANNOT("have gunicorn bind it, and Caddy ask it there, as in the runbook",
			"gunicorn does not listen at %s", a->paths.socket);
	GP_TRY(gp_unit_state(bus, a->ctx->arena, a->paths.celery, &state, err));
	GP_TRY(gp_unit_service(bus, a->ctx->arena, a->paths.celery, &f->celery, err));
	a->init.celery = a->init.celery || gp_streq(state.active, "active") || gp_streq(state.file, "enabled");
	return 0;
}

static int read_caddy(struct gp_adopt_facts *f, struct gp_error *err)
{
	struct gp_adopt *a = f->a;
	const char *text;
	int there;

	GP_TRY(there = gp_fs_read(a->ctx->arena, a->paths.caddy_file, FILE_MAX, &text, NULL, err));
	if (!there)
		return GP_ADOPT_CANNOT("move the site's block there, and have Caddy's Caddyfile import it", "there is no %s", a->paths.caddy_file);
	gp_caddyfile_site(a->ctx->arena, text, &f->caddy);
	if (f->caddy.more)
		return GP_ADOPT_CANNOT("merge them: goldpath's file has one",
			"%s has %zu further blocks that serve something", a->paths.caddy_file, f->caddy.more);
	return 0;
}

/* Its own file, where there is one, says what it is: only Redis' numbers stand nowhere else. */
static int find_site(struct gp_adopt *a, struct gp_error *err)
{
	struct gp_adopt_facts *f = memcpy(gp_alloc(a->ctx->arena, sizeof(*f)), &(struct gp_adopt_facts){ .a = a }, sizeof(*f));

	if (gp_fs_exists(gp_sprintf(a->ctx->arena, "%s/sites/%s.yaml", a->ctx->etc_dir, a->init.slug))) {
		GP_TRY(gp_site_load(a->ctx->arena, a->ctx->etc_dir, a->init.slug, &a->site, err));
		GP_TRY(read_env(f, err));
		gp_adopt_redis_facts(f);
		return 0;
	}
	a->init.more = (struct gp_pairs){ .v = f->room };
	GP_TRY(read_env(f, err));
	GP_TRY(find_units(f, err));
	GP_TRY(read_caddy(f, err));
	GP_TRY(gp_adopt_facts(f, err));
	GP_TRY(gp_init_site(a->ctx, &a->init, &a->text, &a->site, err));
	gp_adopt_health_facts(f, &a->site);
	return gp_init_site(a->ctx, &a->init, &a->text, &a->site, err);
}

static int find_owner(struct gp_adopt *a, struct gp_error *err)
{
	struct stat st;
	int there;

	GP_TRY(there = gp_fs_lstat(a->paths.root, &st, err));
	if (!there || !S_ISDIR(st.st_mode))
		return GP_ADOPT_CANNOT("adopt takes over what was set up along the runbook; `goldpath init` begins a new site",
			"there is no site in %s", a->paths.root);
	if (st.st_uid == 0)
		return GP_ADOPT_CANNOT("chown it to the deploy user, with all that is in it",
			"%s belongs to root, not to a deploy user", a->paths.root);
	return gp_account_get(a->ctx->arena, gp_account_name(a->ctx->arena, st.st_uid), &a->account, err);
}

static int find_checkout(struct gp_adopt *a, struct gp_error *err)
{
	const struct gp_git git = { .arena = a->ctx->arena, .as = &a->account, .dir = a->paths.app };
	struct stat app, top;
	int there;

	GP_TRY(there = gp_fs_lstat(a->paths.app, &app, err));
	if (!there || !S_ISDIR(app.st_mode) || gp_fs_lstat(gp_sprintf(a->ctx->arena, "%s/.git", a->paths.app), &top, NULL) != 1)
		return GP_ADOPT_CANNOT("adopt takes over a git checkout, which is where the release comes from",
			"%s is no git checkout", a->paths.app);
	if (app.st_uid != a->account.uid || top.st_uid != a->account.uid)
		return GP_ADOPT_CANNOT("chown -R it to the owner of the site's folder", "%s does not belong to %s", a->paths.app, a->account.name);
	return gp_git_look(&git, &a->work, err);
}

int gp_adopt_look(struct gp_adopt *a, struct gp_error *err)
{
	const char *live = gp_releases_live(a->ctx, &a->paths), *host = gp_sprintf(a->ctx->arena, "%s/host.yaml", a->ctx->etc_dir);
	bool begun = gp_fs_exists(a->paths.adopting);

	if (gp_site_reserved(a->init.slug))
		return gp_fail(err, GP_E_REFUSED, "'%s' is a name that goldpath uses itself, and no site's", a->init.slug);
	a->done = live && !begun;
	if (a->done)
		return gp_site_load(a->ctx->arena, a->ctx->etc_dir, a->init.slug, &a->site, err);
	a->committed = live;
	if (gp_fs_exists(host))
		GP_TRY(gp_host_load(a->ctx->arena, a->ctx->etc_dir, &a->host, err));
	else
		GP_TRY(gp_host_default(a->ctx->arena, &a->host, err));
	GP_TRY(find_owner(a, err));
	if (!a->committed)
		GP_TRY(find_checkout(a, err));
	GP_TRY(find_site(a, err));
	if (!gp_streq(gp_deploy_user(&a->host, &a->site), a->account.name))
		return GP_ADOPT_CANNOT("set deploy_user in the site's file",
			"%s belongs to %s, and the deploy user is %s", a->paths.root, a->account.name, gp_deploy_user(&a->host, &a->site));
	return 0;
}
