/* Templates, line by line. */
#include "base/template.h"

#include <stdbool.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/str.h"

static const struct gp_var *find(const struct gp_var *vars, size_t n, const char *name, size_t len)
{
	for (size_t i = 0; i < n; i++)
		if (strlen(vars[i].name) == len && memcmp(vars[i].name, name, len) == 0)
			return &vars[i];
	return NULL;
}

static int expand(struct gp_buf *out, const char *line, const struct gp_var *vars, size_t n, struct gp_error *err)
{
	for (;;) {
		const char *open = strstr(line, "{{"), *close = open ? strstr(open, "}}") : NULL;
		const struct gp_var *var;

		if (!close) {
			gp_buf_puts(out, line);
			return 0;
		}
		gp_buf_add(out, line, (size_t)(open - line));
		var = find(vars, n, open + 2, (size_t)(close - open - 2));
		if (!var)
			return gp_fail(err, GP_E_FAILED, "template: no value for '%.*s'", (int)(close - open - 2), open + 2);
		gp_buf_puts(out, var->value ? var->value : "");
		line = close + 2;
	}
}

/* Is line this directive, alone or followed by a blank? */
static bool is(const char *line, const char *directive)
{
	return gp_starts_with(line, directive) && (!line[strlen(directive)] || strchr(" \t\r\n", line[strlen(directive)]));
}

int gp_template(struct gp_arena *arena, const char *text, const struct gp_var *vars, size_t n, const char **ret,
	struct gp_error *err)
{
	enum { DEPTH = 8 };
	GP_AUTO_BUF out = { 0 };
	GP_AUTO_BUF off = { 0 }; /* what is switched off is expanded too: a wrong name in it is a mistake in the template as well */
	bool on[DEPTH + 1] = { true }, other[DEPTH + 1] = { false };
	size_t depth = 0;

	while (*text) {
		size_t len = strcspn(text, "\n");
		const char *line = gp_strndup(arena, text, len + (text[len] == '\n'));

		text += strlen(line);
		if (is(line, "%if")) {
			const struct gp_var *var = len > 4 ? find(vars, n, line + 4, len - 4) : NULL;

			if (!var || depth == DEPTH)
				return gp_fail(err, GP_E_FAILED, "template: %s", line);
			on[depth + 1] = on[depth] && var->value && var->value[0];
			other[++depth] = false;
		} else if (is(line, "%else") || is(line, "%endif")) {
			if (!depth || (other[depth] && is(line, "%else")))
				return gp_fail(err, GP_E_FAILED, "template: %s without its %%if", is(line, "%else") ? "%else" : "%endif");
			if (is(line, "%endif")) {
				depth--;
			} else {
				on[depth] = on[depth - 1] && !on[depth];
				other[depth] = true;
			}
		} else {
			GP_TRY(expand(on[depth] ? &out : &off, line, vars, n, err));
		}
	}
	if (depth)
		return gp_fail(err, GP_E_FAILED, "template: %%if without %%endif");
	*ret = gp_strdup(arena, gp_buf_str(&out));
	return 0;
}
