/* The growing buffer. */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void reserve(struct gp_buf *buf, size_t want)
{
	size_t cap = buf->cap ? buf->cap : 256;
	char *data;

	if (want <= buf->cap)
		return;
	while (cap < want)
		cap *= 2;
	data = realloc(buf->data, cap);
	if (!data)
		abort();
	buf->data = data;
	buf->cap = cap;
}

void gp_buf_add(struct gp_buf *buf, const void *data, size_t len)
{
	if (buf->max && len > buf->max - buf->len) {
		len = buf->max - buf->len;
		buf->truncated = true;
	}
	reserve(buf, buf->len + len + 1);
	if (len)
		memcpy(buf->data + buf->len, data, len);
	buf->len += len;
	buf->data[buf->len] = '\0';
}

void gp_buf_puts(struct gp_buf *buf, const char *text)
{
	gp_buf_add(buf, text, strlen(text));
}

void gp_buf_printf(struct gp_buf *buf, const char *fmt, ...)
{
	va_list ap, again;
	int len;

	va_start(ap, fmt);
	va_copy(again, ap);
	len = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (len < 0)
		abort();
	char *text = malloc((size_t)len + 1);
	if (!text)
		abort();
	vsnprintf(text, (size_t)len + 1, fmt, again);
	va_end(again);
	gp_buf_add(buf, text, (size_t)len);
	free(text);
}

void gp_buf_keep_tail(struct gp_buf *buf, const void *data, size_t len)
{
	const char *from = data;

	if (buf->max && len > buf->max) {
		from += len - buf->max;
		len = buf->max;
		buf->len = 0;
		buf->truncated = true;
	}
	if (buf->max && buf->len + len > buf->max) {
		size_t drop = buf->len + len - buf->max;

		memmove(buf->data, buf->data + drop, buf->len - drop);
		buf->len -= drop;
		buf->truncated = true;
	}
	gp_buf_add(buf, from, len);
}

const char *gp_buf_str(const struct gp_buf *buf)
{
	return buf->data ? buf->data : "";
}

void gp_buf_free(struct gp_buf *buf)
{
	if (buf->data)
		explicit_bzero(buf->data, buf->cap);
	free(buf->data);
	*buf = (struct gp_buf){ 0 };
}
