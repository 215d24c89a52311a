/* A table on stdout: a row of headings, and columns as wide as what stands in them. */
#ifndef GP_OUT_TABLE_H
#define GP_OUT_TABLE_H

#include <stddef.h>
#include <stdio.h>

struct gp_ctx;

/* cells[row * columns + column], the first row the headings. Every text is made fit to be shown. */
void gp_table_print(FILE *to, struct gp_ctx *ctx, const char *const *cells, size_t rows, size_t columns);

#endif
