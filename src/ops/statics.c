/* Static files of releases, published as the deploy user, who owns both trees. */
#include "ops/statics.h"

#include "base/arena.h"
#include "base/error.h"
#include "ops/deploy.h"
#include "sys/ctx.h"
#include "sys/publish.h"

const char *gp_statics_of(struct gp_deploy *d, const char *release)
{
	return gp_sprintf(d->ctx->arena, "%s/%s/.goldpath/static", d->paths.releases, release);
}

static int publish(struct gp_deploy *d, const char *release, enum gp_publish_how how, struct gp_error *err)
{
	GP_AUTO_IDENTITY was = { 0 };

	GP_TRY(gp_account_assume(&d->account, &was, err));
	return gp_publish(gp_statics_of(d, release), d->paths.statics, how, err);
}

int gp_statics_add(struct gp_deploy *d, const char *release, struct gp_error *err)
{
	return publish(d, release, GP_PUBLISH_ADD, err);
}

int gp_statics_publish(struct gp_deploy *d, const char *release, struct gp_error *err)
{
	return publish(d, release, GP_PUBLISH_REPLACE, err);
}

int gp_statics_withdraw(struct gp_deploy *d, const char *release, const struct gp_strv *stay, struct gp_error *err)
{
	struct gp_strv others = { 0 };
	GP_AUTO_IDENTITY was = { 0 };

	for (size_t i = 0; i < stay->n; i++)
		gp_strv_add(d->ctx->arena, &others, gp_statics_of(d, stay->v[i]));
	GP_TRY(gp_account_assume(&d->account, &was, err));
	return gp_publish_withdraw(gp_statics_of(d, release), d->paths.statics, &others, err);
}
