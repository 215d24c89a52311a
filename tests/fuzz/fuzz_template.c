/*
 * Templates over any text, with variables of every sort. What comes out of a template without directives and names is the
 * template; values are never expanded again; a refusal says why and writes nothing.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/str.h"
#include "base/template.h"

#include "must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct gp_var vars[] = { { "a", "{{b}}" }, { "b", "" }, { "c", NULL }, { "name", "acme" }, { "d", "%if a\n" } };
static const size_t n_vars = sizeof(vars) / sizeof(vars[0]);

/* Has text a line that begins with '%', or a name in it? */
static bool is_plain(const char *text)
{
	return text[0] != '%' && !strstr(text, "\n%") && !strstr(text, "{{");
}

/* The same text within an %if that holds and the %else of one that does not. */
static const char *wrapped(struct gp_arena *arena, const char *text)
{
	const char *nl = text[0] && !gp_ends_with(text, "\n") ? "\n" : "";

	return gp_sprintf(arena, "%%if name\n%%if b\nno\n%%else\n%s%s%%endif\n%%else\nno\n%%endif\n", text, nl);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	const char *text = gp_strndup(arena, (const char *)data, size), *got = NULL, *again = NULL;
	struct gp_error err = { 0 };

	if (gp_template(arena, text, vars, n_vars, &got, &err) < 0) {
		must(err.kind != GP_E_NONE && err.msg[0], "a refusal says why");
		must(!got, "a refusal writes nothing");
		must(!is_plain(text), "plain text is a template");
		return 0;
	}
	must(got != NULL, "success writes the text");
	if (is_plain(text))
		must(gp_streq(got, text), "plain text stays as it is");
	/* two levels more may be too many; but if not, nothing changes except a newline at the end */
	if (gp_template(arena, wrapped(arena, text), vars, n_vars, &again, &err) == 0) {
		must(gp_starts_with(again, got), "the same within an %if");
		must(strlen(again) - strlen(got) <= 1, "and nothing else");
	}
	return 0;
}
