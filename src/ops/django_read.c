/* The answer of data/release.py, as strictly as it was meant. Pure: text in, struct out. */
#include <jansson.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "ops/django.h"

enum {
	PART_MAX = 1020,     /* bytes of a label or a name: the columns have 255 characters */
	NAMES_MAX = 20000,
	SQUASHED_MAX = 2000,
	DANGERS_MAX = 20,
	TEXT_MAX = 1200,
	WARNINGS_MAX = 1000000,
};

static const char *const danger_names[] = {
#define X(name, words) #name,
	GP_DANGERS(X)
#undef X
};

static const char *const danger_words[] = {
#define X(name, words) words,
	GP_DANGERS(X)
#undef X
};
enum { DANGERS = sizeof(danger_names) / sizeof(danger_names[0]) };

static bool is_tame(struct gp_arena *arena, const char *text)
{
	char *copy = gp_strdup(arena, text);

	gp_tame(copy, strlen(copy), "");
	return gp_streq(copy, text);
}

bool gp_migration_name_ok(const char *name)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	const char *dot = strchr(name, '.');

	if (!dot || dot == name || !dot[1] || dot - name > PART_MAX || strlen(dot + 1) > PART_MAX)
		return false;
	return !strpbrk(dot + 1, "./\\\"'`") && strcspn(name, "/\\\"'`") > (size_t)(dot - name) && is_tame(arena, name);
}

static int bad(struct gp_error *err, const char *what)
{
	return gp_fail(err, GP_E_FAILED, "what the release said of itself cannot be read: %s", what);
}

static int read_names(struct gp_arena *arena, const json_t *list, const char *what, struct gp_strv *ret, struct gp_error *err)
{
	size_t n = json_array_size(list);

	*ret = (struct gp_strv){ 0 };
	if (!list)
		return 0;
	if (!json_is_array(list) || n > NAMES_MAX)
		return bad(err, what);
	for (size_t i = 0; i < n; i++) {
		const char *name = json_string_value(json_array_get(list, i));

		if (!name || !gp_migration_name_ok(name))
			return bad(err, what);
		gp_strv_add(arena, ret, gp_strdup(arena, name));
	}
	return 0;
}

/* One line of text, or NULL where the key is not there. */
static int read_text(struct gp_arena *arena, const json_t *root, const char *key, const char **ret, struct gp_error *err)
{
	const json_t *value = json_object_get(root, key);
	char *copy;

	if (!value)
		return 0;
	if (!json_is_string(value) || json_string_length(value) > TEXT_MAX)
		return bad(err, key);
	copy = gp_strdup(arena, json_string_value(value));
	gp_tame(copy, strlen(copy), "");
	*ret = copy;
	return 0;
}

static int read_danger(struct gp_arena *arena, const json_t *value, struct gp_danger *ret, struct gp_error *err)
{
	const char *kind = json_string_value(json_object_get(value, "kind")), *on = "";

	GP_TRY(read_text(arena, value, "on", &on, err));
	for (int i = 0; kind && i < DANGERS; i++) {
		if (!gp_streq(kind, danger_names[i]))
			continue;
		*ret = (struct gp_danger){ .kind = (enum gp_danger_kind)i, .on = on };
		return 0;
	}
	return bad(err, "dangers");
}

static int read_migration(struct gp_arena *arena, const json_t *value, struct gp_migration *ret, struct gp_error *err)
{
	const char *app = json_string_value(json_object_get(value, "app")), *name = json_string_value(json_object_get(value, "name"));
	const json_t *reversible = json_object_get(value, "reversible"), *atomic = json_object_get(value, "atomic");
	const json_t *dangers = json_object_get(value, "dangers");
	size_t n = json_array_size(dangers);

	if (!app || !name || strchr(app, '.') || !json_is_boolean(reversible) || !json_is_boolean(atomic) || !json_is_array(dangers) ||
		n > DANGERS_MAX)
		return bad(err, "a migration");
	*ret = (struct gp_migration){ .name = gp_sprintf(arena, "%s.%s", app, name), .reversible = json_is_true(reversible),
		.atomic = json_is_true(atomic), .dangers = gp_alloc_array(arena, n + 1, sizeof(*ret->dangers)), .danger_count = n };
	if (!gp_migration_name_ok(ret->name))
		return bad(err, "a migration's name");
	for (size_t i = 0; i < n; i++)
		GP_TRY(read_danger(arena, json_array_get(dangers, i), &ret->dangers[i], err));
	return 0;
}

static int read_migrations(struct gp_arena *arena, const json_t *root, const char *key, struct gp_migrations *ret, struct gp_error *err)
{
	const json_t *list = json_object_get(root, key);
	size_t n = json_array_size(list);

	if (!list)
		return 0;
	if (!json_is_array(list) || n > NAMES_MAX)
		return bad(err, key);
	*ret = (struct gp_migrations){ .v = gp_alloc_array(arena, n + 1, sizeof(*ret->v)), .n = n };
	for (size_t i = 0; i < n; i++)
		GP_TRY(read_migration(arena, json_array_get(list, i), &ret->v[i], err));
	return 0;
}

static int read_squashed(struct gp_arena *arena, json_t *root, struct gp_django *ret, struct gp_error *err)
{
	json_t *all = json_object_get(root, "replaces"), *list;
	size_t n = json_object_size(all), i = 0;
	const char *name;

	if (!all)
		return 0;
	if (!json_is_object(all) || n > SQUASHED_MAX)
		return bad(err, "replaces");
	ret->squashed = gp_alloc_array(arena, n + 1, sizeof(*ret->squashed));
	ret->squashed_count = n;
	json_object_foreach(all, name, list) {
		struct gp_squashed *squashed = &ret->squashed[i++];

		if (!gp_migration_name_ok(name))
			return bad(err, "replaces");
		squashed->name = gp_strdup(arena, name);
		GP_TRY(read_names(arena, list, "replaces", &squashed->replaces, err));
	}
	return 0;
}

/* What the app answered. */
static int read_http(struct gp_arena *arena, json_t *root, struct gp_django *ret, struct gp_error *err)
{
	const json_t *http = json_object_get(root, "http"), *body = json_object_get(root, "body"), *location = json_object_get(root, "location");

	if (!http)
		return 0;
	if (!json_is_integer(http) || json_integer_value(http) < 100 || json_integer_value(http) > 599 || !json_is_string(body) ||
		!json_is_string(location))
		return bad(err, "http");
	ret->http = (int)json_integer_value(http);
	ret->body = gp_strdup(arena, json_string_value(body));
	ret->location = gp_strdup(arena, json_string_value(location));
	return 0;
}

static int read_root(struct gp_arena *arena, json_t *root, struct gp_django *ret, struct gp_error *err)
{
	const json_t *warnings = json_object_get(root, "warnings"), *ok = json_object_get(root, "ok");

	if (json_integer_value(json_object_get(root, "v")) != 1 || !json_is_boolean(ok))
		return bad(err, "it is no answer");
	if (warnings && (!json_is_integer(warnings) || json_integer_value(warnings) < 0 || json_integer_value(warnings) > WARNINGS_MAX))
		return bad(err, "warnings");
	ret->ok = json_is_true(ok);
	ret->warnings = (size_t)json_integer_value(warnings);
	ret->applied_known = json_object_get(root, "applied") != NULL;
	GP_TRY(read_text(arena, root, "part", &ret->part, err));
	GP_TRY(read_text(arena, root, "refused", &ret->refused, err));
	GP_TRY(read_text(arena, root, "static", &ret->collected, err));
	GP_TRY(read_names(arena, json_object_get(root, "known"), "known", &ret->known, err));
	GP_TRY(read_names(arena, json_object_get(root, "applied"), "applied", &ret->applied, err));
	GP_TRY(read_http(arena, root, ret, err));
	GP_TRY(read_squashed(arena, root, ret, err));
	GP_TRY(read_migrations(arena, root, "pending", &ret->pending, err));
	return read_migrations(arena, root, "back", &ret->back, err);
}

int gp_django_read(struct gp_arena *arena, const char *text, size_t len, const char *const *needs, struct gp_django *ret,
	struct gp_error *err)
{
	json_auto_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
	struct gp_django read = { .part = "", .collected = "", .body = "", .location = "" };

	if (!json_is_object(root))
		return bad(err, "it is no JSON object");
	GP_TRY(read_root(arena, root, &read, err));
	for (; read.ok && needs && *needs; needs++)
		if (!json_object_get(root, *needs))
			return bad(err, gp_sprintf(arena, "there is no '%s' in it", *needs));
	*ret = read;
	return 0;
}

const char *gp_danger_words(struct gp_arena *arena, const struct gp_danger *danger)
{
	const char *words = danger_words[danger->kind], *hole = strstr(words, "%s");

	return gp_sprintf(arena, "%.*s%s%s", (int)(hole - words), words, *danger->on ? danger->on : "something", hole + 2);
}

static bool stands_for_kept(const struct gp_django *now, const char *name, const struct gp_strv *keep)
{
	for (size_t i = 0; i < now->squashed_count; i++) {
		const struct gp_strv *replaces = &now->squashed[i].replaces;
		size_t known = 0;

		if (!gp_streq(now->squashed[i].name, name))
			continue;
		while (known < replaces->n && gp_strv_has(keep, replaces->v[known]))
			known++;
		return replaces->n && known == replaces->n;
	}
	return false;
}

struct gp_strv gp_django_ahead(struct gp_arena *arena, const struct gp_django *now, const struct gp_strv *keep)
{
	struct gp_strv ahead = { 0 };

	for (size_t i = 0; i < now->applied.n; i++)
		if (!gp_strv_has(keep, now->applied.v[i]) && !stands_for_kept(now, now->applied.v[i], keep))
			gp_strv_add(arena, &ahead, now->applied.v[i]);
	return ahead;
}
