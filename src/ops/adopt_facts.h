/* Between the reading of a site that was set up by hand (adopt_look.c) and what follows from it (adopt_facts.c). */
#ifndef GP_OPS_ADOPT_FACTS_H
#define GP_OPS_ADOPT_FACTS_H

#include "base/caddyfile.h"
#include "base/dotenv.h"
#include "ops/adopt.h"
#include "sys/unit.h"

enum { GP_ADOPT_FACTS_MAX = 32 };

struct gp_adopt_facts {
	struct gp_adopt *a;
	struct gp_dotenv env;
	struct gp_unit_service gunicorn, celery;
	struct gp_caddyfile_site caddy;
	struct gp_pair room[GP_ADOPT_FACTS_MAX]; /* for a->init.more, which gets the keys */
};

/* A key of `.env`; NULL where it is empty, too. */
const char *gp_adopt_env(const struct gp_adopt_facts *f, const char *key);

/* The keys that follow from what was read, and the Redis databases. */
int gp_adopt_facts(struct gp_adopt_facts *f, struct gp_error *err);
/* Those alone (a->redis), where the site has its file. */
void gp_adopt_redis_facts(struct gp_adopt_facts *f);
/* Once the site is known: by what its health is proven, as it answers. */
void gp_adopt_health_facts(struct gp_adopt_facts *f, const struct gp_site *site);

/* Refuse: what is not along the runbook, and what to do about it. With `a` and `err` in scope. */
int gp_adopt_cannot(struct gp_error *err, const char *what, const char *hint);
#define GP_ADOPT_CANNOT(hint, ...) gp_adopt_cannot(err, gp_sprintf(a->ctx->arena, __VA_ARGS__), hint)

#endif
