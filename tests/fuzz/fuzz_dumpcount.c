/* Counting a dump, over any bytes: what is counted does not depend on the pieces they arrive in, and a migration's name has no path in it. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/dumpcount.h"
#include "base/error.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void count(const uint8_t *data, size_t size, size_t piece, struct gp_buf *seen)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	struct gp_dumpcount *c = gp_dumpcount_new(arena);
	struct gp_error err = { 0 };
	struct gp_dumped d;
	int result = 0;

	for (size_t at = 0; at < size && result == 0; at += piece)
		result = gp_dumpcount_feed(c, (const char *)data + at, size - at < piece ? size - at : piece, &err);
	if (result == 0)
		result = gp_dumpcount_end(c, &d, &err);
	gp_buf_printf(seen, "%d %s\n", result, err.msg);
	for (size_t i = 0; result == 0 && i < d.tables.n; i++) {
		if (i && strcmp(d.tables.v[i - 1].name, d.tables.v[i].name) >= 0)
			abort();
		gp_buf_printf(seen, "%s %ju\n", d.tables.v[i].name, (uintmax_t)d.tables.v[i].rows);
	}
	for (size_t i = 0; result == 0 && i < d.migrations.n; i++) {
		if (strpbrk(d.migrations.v[i], "/\n\\"))
			abort();
		gp_buf_printf(seen, "%s\n", d.migrations.v[i]);
	}
	gp_dumpcount_free(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	GP_AUTO_BUF whole = { 0 };
	GP_AUTO_BUF pieces = { 0 };

	count(data, size, size + 1, &whole);
	count(data, size, size % 7 + 1, &pieces);
	if (whole.len != pieces.len || memcmp(whole.data, pieces.data, whole.len) != 0) {
		fprintf(stderr, "broken: %s\nbut: %s\n", whole.data, pieces.data);
		abort();
	}
	return 0;
}
