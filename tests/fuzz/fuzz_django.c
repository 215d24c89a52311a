/* The answer of a release's Django made of any bytes: what is read out of it is bounded, and every name could be shown and be a file's. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "ops/django.h"

#include "must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_line(const char *text, size_t max)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	char *tamed = gp_strdup(arena, text);

	gp_tame(tamed, strlen(tamed), "");
	must(strcmp(tamed, text) == 0, "fit to be shown");
	must(strlen(text) <= max, "a line within reason");
}

static void check_name(const char *name)
{
	const char *dot = strchr(name, '.');

	check_line(name, 2041);
	must(dot && dot > name && dot[1] && !strchr(dot + 1, '.') && !strchr(name, '/'), "app.name");
}

static void check_names(const struct gp_strv *names)
{
	for (size_t i = 0; i < names->n; i++)
		check_name(names->v[i]);
}

static void check_migrations(struct gp_arena *arena, const struct gp_migrations *list)
{
	for (size_t i = 0; i < list->n; i++) {
		check_name(list->v[i].name);
		for (size_t k = 0; k < list->v[i].danger_count; k++)
			check_line(gp_danger_words(arena, &list->v[i].dangers[k]), 1400);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const needs[] = { "known", NULL };
	GP_AUTO_ARENA arena = gp_arena_new();
	struct gp_error err = { 0 };
	struct gp_django django;

	if (gp_django_read(arena, (const char *)data, size, needs, &django, &err) < 0) {
		must(err.msg[0], "what is wrong is told");
		return 0;
	}
	check_line(django.part, 1200);
	check_line(django.collected, 1200);
	check_line(django.refused ? django.refused : "", 1200);
	check_names(&django.known);
	check_names(&django.applied);
	check_migrations(arena, &django.pending);
	check_migrations(arena, &django.back);
	for (size_t i = 0; i < django.squashed_count; i++) {
		check_name(django.squashed[i].name);
		check_names(&django.squashed[i].replaces);
	}
	must(!django.ok || memmem(data, size, "known", 5) != NULL || memchr(data, '\\', size) != NULL, "not out of nothing");
	return 0;
}
