/* Cutting SQL, over any bytes: what comes out does not depend on the pieces they arrive in, and no statement holds a NUL byte. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/sql.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int statement(void *arg, const char *text, struct gp_error *err)
{
	(void)err;
	gp_buf_printf(arg, "<%s>", text);
	return strlen(text) % 3 == 0;
}

static int rows(void *arg, const char *data, size_t len, struct gp_error *err)
{
	(void)err;
	gp_buf_add(arg, data ? data : "<end>", data ? len : 5);
	return 0;
}

static int command(void *arg, const char *line, struct gp_error *err)
{
	gp_buf_printf(arg, "<%s>", line);
	return strlen(line) > 100 ? gp_fail(err, GP_E_FAILED, "too long") : 0;
}

static void cut(const uint8_t *data, size_t size, size_t piece, struct gp_buf *seen)
{
	const struct gp_sql_sink sink = { .statement = statement, .rows = rows, .command = command, .arg = seen };
	struct gp_error err = { 0 };
	GP_AUTO_SQL sql;
	int result = 0;

	gp_sql_begin(&sql, &sink, 4096);
	for (size_t at = 0; at < size && result == 0; at += piece)
		result = gp_sql_feed(&sql, (const char *)data + at, size - at < piece ? size - at : piece, &err);
	if (result == 0)
		result = gp_sql_end(&sql, &err);
	gp_buf_printf(seen, "%d", result);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	GP_AUTO_BUF whole = { 0 };
	GP_AUTO_BUF pieces = { 0 };

	cut(data, size, size + 1, &whole);
	cut(data, size, size % 7 + 1, &pieces);
	if (whole.len != pieces.len || memcmp(whole.data, pieces.data, whole.len) != 0) {
		fprintf(stderr, "broken: %s\nbut: %s\n", whole.data, pieces.data);
		abort();
	}
	return 0;
}
