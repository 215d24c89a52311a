/* A growing byte buffer with a ceiling: what is read from outside is never unbounded. Always NUL-terminated once it holds anything. */
#ifndef GP_BASE_BUF_H
#define GP_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>

struct gp_buf {
	char *data; /* NULL while empty; data[len] is NUL */
	size_t len, cap;
	size_t max;     /* no more than this many bytes are kept; 0: no ceiling */
	bool truncated; /* something was dropped (or, by gp_buf_keep_tail, forgotten) */
};

/* Append. Beyond buf->max the rest is dropped and `truncated` set. */
void gp_buf_add(struct gp_buf *buf, const void *data, size_t len);
void gp_buf_puts(struct gp_buf *buf, const char *text);
void gp_buf_printf(struct gp_buf *buf, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Append, forgetting the oldest bytes instead of dropping the newest: for output of which the end matters. */
void gp_buf_keep_tail(struct gp_buf *buf, const void *data, size_t len);

/* The text, "" while empty. */
const char *gp_buf_str(const struct gp_buf *buf);

void gp_buf_free(struct gp_buf *buf);
#define GP_AUTO_BUF __attribute__((cleanup(gp_buf_free))) struct gp_buf

#endif
