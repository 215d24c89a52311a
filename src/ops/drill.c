/* The release in a view of its own, in which `.env` and environment lead to the scratch database. */
#include "ops/drill.h"

#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "ops/deploy.h"
#include "ops/django.h"
#include "sys/ctx.h"
#include "sys/fs.h"
#include "sys/pg.h"

static void set(struct gp_deploy *d, struct gp_dotenv *env, const char *key, const char *value)
{
	struct gp_dotenv_pair *all;

	for (size_t i = 0; i < env->n; i++) {
		if (!gp_streq(env->pairs[i].key, key))
			continue;
		env->pairs[i].value = value;
		return;
	}
	all = gp_alloc_array(d->ctx->arena, env->n + 1, sizeof(*all));
	if (env->n)
		memcpy(all, env->pairs, env->n * sizeof(*all));
	all[env->n++] = (struct gp_dotenv_pair){ .key = key, .value = value };
	env->pairs = all;
}

/* `.env` as it is, but for the database. The password is of letters and digits, and needs no quoting in a URL. */
static struct gp_dotenv env_of(struct gp_deploy *d, const struct gp_pg_login *login)
{
	struct gp_dotenv env = { .pairs = gp_alloc_array(d->ctx->arena, d->env.n + 1, sizeof(*env.pairs)), .n = d->env.n };
	const char *port = gp_sprintf(d->ctx->arena, "%d", login->port);

	if (d->env.n)
		memcpy(env.pairs, d->env.pairs, d->env.n * sizeof(*env.pairs));
	set(d, &env, "DJANGO_DB_NAME", login->dbname);
	set(d, &env, "DJANGO_DB_USER", login->user);
	set(d, &env, "DJANGO_DB_PASSWORD", login->password);
	set(d, &env, "DJANGO_DB_HOST", login->host);
	set(d, &env, "DJANGO_DB_PORT", port);
	if (gp_dotenv_get(&env, "DATABASE_URL"))
		set(d, &env, "DATABASE_URL", gp_sprintf(d->ctx->arena,
			strchr(login->host, ':') ? "postgres://%s:%s@[%s]:%s/%s" : "postgres://%s:%s@%s:%s/%s",
			login->user, login->password, login->host, port, login->dbname));
	return env;
}

/* Sites read the file themselves, too. It goes with the temporary files. */
static int write_env(struct gp_deploy *d, const struct gp_dotenv *env, const char *path, struct gp_error *err)
{
	const char *text = "";
	GP_AUTO_IDENTITY was = { 0 };

	for (size_t i = 0; i < env->n; i++)
		text = gp_sprintf(d->ctx->arena, "%s%s", text, gp_dotenv_line(d->ctx->arena, env->pairs[i].key, env->pairs[i].value));
	GP_TRY(gp_account_assume(&d->account, &was, err));
	return gp_fs_write(path, text, strlen(text), 0600, (uid_t)-1, (gid_t)-1, err);
}

static int judge(struct gp_deploy *d, const struct gp_health *health, struct gp_error *err)
{
	struct gp_health live;

	if (health->status == GP_HEALTH_OK || health->status == GP_HEALTH_DEGRADED)
		return 0;
	/* A Redis that is down makes every release unhealthy, whatever its database is like. */
	live = gp_health_ask(d->ctx, &d->site, d->site.domain, d->paths.socket, GP_HEALTH_TIMEOUT_MS);
	if (health->status == GP_HEALTH_UNHEALTHY && live.status == GP_HEALTH_UNHEALTHY) {
		gp_tell_warn(d->ctx, "%s is unhealthy on it, as the site itself is: %s", d->release, health->why);
		return 0;
	}
	gp_fail(err, GP_E_FAILED, "%s is not well on it: %s", d->release, *health->why ? health->why : "it does not say why");
	return *health->hint ? gp_hint(err, "%s", health->hint) : -1;
}

int gp_drill_app(struct gp_deploy *d, const struct gp_pg_login *login, struct gp_health *ret, struct gp_error *err)
{
	const char *env_file = gp_sprintf(d->ctx->arena, "%s/drill.env", d->paths.tmp);
	struct gp_deploy own = *d;
	struct gp_django said;

	own.env = env_of(d, login);
	GP_TRY(write_env(d, &own.env, env_file, err));
	GP_TRY(gp_django_drill(&own, login->dbname, env_file, &said, err));
	if (said.pending.n)
		gp_tell_note(d->ctx, "%zu migration%s of %s %s not in it", said.pending.n, said.pending.n == 1 ? "" : "s", d->release,
			said.pending.n == 1 ? "is" : "are");
	*ret = gp_health_read(d->ctx->arena, &d->site, said.http, said.location, said.body, strlen(said.body));
	return judge(d, ret, err);
}
