/* Unified diffs. A file that is new needs no program: every line of it is a new one. */
#include "sys/diff.h"

#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/secret.h"
#include "base/str.h"
#include "sys/proc.h"

enum { DIFF_TIMEOUT_MS = 10000, DIFFERENT = 1 };

static const char *all_new(struct gp_arena *arena, const char *label, const char *text)
{
	struct gp_strv lines = gp_lines(arena, text);
	GP_AUTO_BUF out = { 0 };

	gp_buf_puts(&out, gp_sprintf(arena, "--- /dev/null\n+++ %s\n@@ -0,0 +1,%zu @@\n", label, lines.n));
	for (size_t i = 0; i < lines.n; i++) {
		gp_buf_puts(&out, "+");
		gp_buf_puts(&out, lines.v[i]);
		gp_buf_puts(&out, "\n");
	}
	return gp_secret_mask_assignments(arena, gp_buf_str(&out));
}

const char *gp_diff_unified(struct gp_arena *arena, const char *label, const char *path, const char *text)
{
	GP_AUTO_RESULT result = { 0 };
	const struct gp_proc proc = {
		.argv = GP_ARGV("diff", "--unified", "--label", label, "--label", label, "--", path ? path : "/dev/null", "-"),
		.input = text,
		.input_len = strlen(text),
		.timeout_ms = DIFF_TIMEOUT_MS,
	};

	if (!path)
		return all_new(arena, label, text);
	if (gp_proc_run(&proc, &result, NULL) < 0 || result.status > DIFFERENT || result.status < 0)
		return gp_sprintf(arena, "(no diff of %s could be made)\n", label);
	return gp_secret_mask_assignments(arena, gp_buf_str(&result.out));
}
