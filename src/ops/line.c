/* JSON lines. */
#include "ops/line.h"

#include <stdlib.h>

#include "base/arena.h"

void gp_line_put(json_t *object, const char *key, const char *text)
{
	json_t *value = text ? json_string(text) : NULL;

	if (value)
		json_object_set_new(object, key, value);
}

const char *gp_line_of(struct gp_arena *arena, json_t *object)
{
	char *text = json_dumps(object, JSON_COMPACT | JSON_ENSURE_ASCII);
	const char *line;

	if (!text)
		abort();
	line = gp_strdup(arena, text);
	free(text);
	json_decref(object);
	return line;
}
