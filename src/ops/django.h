/*
 * A release asked by its own Django, in one start of it (data/release.py): checks, migrations, static files. What comes back was written
 * next to the site's code, which may have written it itself: it is data, bounded, and every name in it is checked.
 */
#ifndef GP_OPS_DJANGO_H
#define GP_OPS_DJANGO_H

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

struct gp_arena;
struct gp_deploy;
struct gp_error;
struct gp_pg;

/* What a migration does that a release from before it cannot live with: kind, and in words, of what stands in `on`. */
#define GP_DANGERS(X)                                                                                                            \
	X(remove_field, "takes away the field %s")                                                                                   \
	X(delete_model, "takes away the model %s")                                                                                   \
	X(rename_field, "renames the field %s")                                                                                      \
	X(rename_model, "renames the model %s")                                                                                      \
	X(alter_table, "gives %s another table")                                                                                     \
	X(change_type, "changes the type of %s")                                                                                     \
	X(not_null, "makes %s one that must have a value")                                                                           \
	X(add_required, "adds %s, without which the database takes no new row")                                                      \
	X(unique, "adds a constraint to %s")                                                                                         \
	X(unknown, "runs code of its own (%s), of which goldpath cannot know what it does")

enum gp_danger_kind {
#define X(name, words) GP_DANGER_##name,
	GP_DANGERS(X)
#undef X
};

struct gp_danger {
	enum gp_danger_kind kind;
	const char *on; /* "shop.Product.price"; may be "" */
};

struct gp_migration {
	const char *name; /* "shop.0003_price" */
	bool reversible, atomic;
	struct gp_danger *dangers;
	size_t danger_count;
};

struct gp_migrations {
	struct gp_migration *v;
	size_t n;
};

/* A squashed migration, and what it stands for. */
struct gp_squashed {
	const char *name;
	struct gp_strv replaces;
};

struct gp_django {
	bool ok;                       /* it came to its end */
	const char *part;              /* what it was at, in words: "collectstatic" */
	const char *refused;           /* why nothing was touched, or NULL */
	size_t warnings;               /* of check --deploy */
	struct gp_strv known, applied; /* "app.name", sorted: on disk, in the database */
	bool applied_known;            /* `applied` was asked: after a failure it may not have been */
	struct gp_squashed *squashed;
	size_t squashed_count;
	struct gp_migrations pending;  /* in order */
	struct gp_migrations back;     /* what goes back, the newest first */
	const char *collected;         /* "3 static files copied to …" */
	int http;                      /* of a drill: what the app answered, 0: nothing; with body and location */
	const char *body, *location;
};

/* Read such an answer. Fails (failed) where it is not one, naming what is wrong with it; also where it says that all went well and one of
 * `needs` (keys, NULL-ended) is missing. */
int gp_django_read(struct gp_arena *arena, const char *text, size_t len, const char *const *needs, struct gp_django *ret,
	struct gp_error *err);
/* Is that "app.name", as a file and an app may be called, and fit to be shown? */
bool gp_migration_name_ok(const char *name);

/* "takes away the field shop.Product.price" */
const char *gp_danger_words(struct gp_arena *arena, const struct gp_danger *danger);

/*
 * check --deploy, what is on disk, applied and pending, collectstatic; and with nothing pending what `migrate` does all the same. dangers:
 * look at what pending migrations do. *ret is filled as far as it came.
 */
int gp_django_prepare(struct gp_deploy *d, bool dangers, struct gp_django *ret, struct gp_error *err);
/* The same without collectstatic and without migrating anything. */
int gp_django_look(struct gp_deploy *d, struct gp_django *ret, struct gp_error *err);
/* manage.py migrate --noinput. After a failure too ret->applied says what is applied now, if ret->applied_known. */
int gp_django_migrate(struct gp_deploy *d, struct gp_django *ret, struct gp_error *err);

/*
 * With d's code, the newer: back to what an older release knows. `keep` is what may stay applied: the older one's migrations and all that
 * was applied when it was live. Everything else is taken back, but a squashed one that stands for migrations in keep. Before anything is
 * touched refused (refused) where one cannot be reversed, or one that stays needs one that goes. ret->back: what goes, ret->applied.
 */
int gp_django_migrate_back(struct gp_deploy *d, const struct gp_strv *keep, struct gp_django *ret, struct gp_error *err);
/* The same refusals and ret->back, and nothing done. */
int gp_django_plan_back(struct gp_deploy *d, const struct gp_strv *keep, struct gp_django *ret, struct gp_error *err);

/*
 * A drill: the release's settings, checks and application against another database, which d->env leads to by now and which is called that; with
 * nothing of the site to write to, and env_file in the place of its `.env`. *ret: http, body, location; known, applied, pending.
 */
int gp_django_drill(struct gp_deploy *d, const char *database, const char *env_file, struct gp_django *ret, struct gp_error *err);

/* What a database says is applied, none where it has no such table. The site's code may have written it: only what can be a migration's name
 * counts. */
int gp_django_applied(struct gp_pg *pg, struct gp_arena *arena, struct gp_strv *ret, struct gp_error *err);

/* What of `applied` a release that keeps `keep` does not know; squashed as in gp_django_migrate_back. */
struct gp_strv gp_django_ahead(struct gp_arena *arena, const struct gp_django *now, const struct gp_strv *keep);

#endif
