/* Tables. */
#include "out/table.h"

#include <stdint.h>
#include <string.h>

#include "base/arena.h"
#include "base/str.h"
#include "out/terminal.h"
#include "sys/ctx.h"

/* In characters, all of which are taken for one column wide. */
static size_t width_of(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += (*text & 0xc0) != 0x80;
	return n;
}

static const char *cell(struct gp_ctx *ctx, const char *text)
{
	return *text ? gp_shown(ctx, text) : "-";
}

void gp_table_print(FILE *to, struct gp_ctx *ctx, const char *const *cells, size_t rows, size_t columns)
{
	size_t *widths = gp_alloc_array(ctx->arena, columns + 1, sizeof(*widths));

	for (size_t i = 0; i < rows * columns; i++) {
		size_t width = width_of(cell(ctx, cells[i]));

		if (width > widths[i % columns])
			widths[i % columns] = width;
	}
	for (size_t row = 0; row < rows; row++) {
		size_t n = columns;

		/* No blanks at the end of a line. */
		while (n && !*cells[row * columns + n - 1])
			n--;
		for (size_t column = 0; column < n; column++) {
			const char *text = cell(ctx, cells[row * columns + column]);

			fprintf(to, "%s%*s", text, column + 1 < n ? (int)(widths[column] - width_of(text) + 2) : 0, "");
		}
		fputc('\n', to);
	}
}
