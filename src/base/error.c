/* Errors: formatting and bounds. The contract is in error.h. */
#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"

/* A message is one line. */
static void one_line(char *text)
{
	gp_tame(text, strlen(text), "\n\t");
	for (char *p = text; *p; p++)
		if (*p == '\n' || *p == '\t')
			*p = ' ';
}

static void add_trace(struct gp_error *err, const char *file, int line)
{
	size_t used = strlen(err->trace);
	const char *base = strstr(file, "src/");

	snprintf(err->trace + used, sizeof(err->trace) - used, "%s%s:%d", used ? " < " : "", base ? base + 4 : file, line);
}

int gp_error_set(struct gp_error *err, enum gp_error_kind kind, int sys_errno, const char *file, int line, const char *fmt, ...)
{
	va_list ap;

	if (!err)
		return -1;
	memset(err, 0, sizeof(*err));
	err->kind = kind;
	err->sys_errno = sys_errno;
	va_start(ap, fmt);
	vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
	va_end(ap);
	if (sys_errno) {
		size_t used = strlen(err->msg);

		snprintf(err->msg + used, sizeof(err->msg) - used, ": %s", strerror(sys_errno));
	}
	one_line(err->msg);
	add_trace(err, file, line);
	if (sys_errno == ENOSPC)
		gp_hint(err, "the disk is full: `df -h`, `df -i`");
	else if (sys_errno == EDQUOT)
		gp_hint(err, "a disk quota is used up: `df -h`, `df -i`, `quota`");
	return -1;
}

int gp_error_context(struct gp_error *err, const char *file, int line, const char *fmt, ...)
{
	char text[GP_ERROR_MSG_MAX];
	va_list ap;
	size_t head, tail;

	if (!err)
		return -1;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	one_line(text);
	head = strlen(text);
	if (head > sizeof(err->msg) - 3)
		head = sizeof(err->msg) - 3;
	tail = strlen(err->msg);
	if (head + 2 + tail >= sizeof(err->msg))
		tail = sizeof(err->msg) - head - 3;
	memmove(err->msg + head + 2, err->msg, tail);
	memcpy(err->msg, text, head);
	memcpy(err->msg + head, ": ", 2);
	err->msg[head + 2 + tail] = '\0';
	add_trace(err, file, line);
	return -1;
}

int gp_hint(struct gp_error *err, const char *fmt, ...)
{
	va_list ap;

	if (!err || err->hint[0])
		return -1;
	va_start(ap, fmt);
	vsnprintf(err->hint, sizeof(err->hint), fmt, ap);
	va_end(ap);
	one_line(err->hint);
	return -1;
}

int gp_state(struct gp_error *err, const char *fmt, ...)
{
	va_list ap;

	if (!err)
		return -1;
	va_start(ap, fmt);
	vsnprintf(err->state, sizeof(err->state), fmt, ap);
	va_end(ap);
	one_line(err->state);
	return -1;
}

int gp_detail(struct gp_error *err, const char *text, size_t len)
{
	if (!err)
		return -1;
	if (len >= sizeof(err->detail)) {
		const char *cut = text + (len - sizeof(err->detail) + 1);
		const char *nl = memchr(cut, '\n', (size_t)(text + len - cut));

		if (nl && nl + 1 < text + len)
			cut = nl + 1;
		len = (size_t)(text + len - cut);
		text = cut;
	}
	if (len) /* text may be NULL then: the data of an empty gp_buf */
		memcpy(err->detail, text, len);
	err->detail[len] = '\0';
	/* Lines stay lines here, but nothing else that a terminal would act upon; an early NUL would hide the rest. */
	gp_tame(err->detail, len, "\n\t");
	return -1;
}

const char *gp_error_kind_name(enum gp_error_kind kind)
{
	switch (kind) {
#define X(id, code, name)                                                                          \
	case id:                                                                                       \
		return name;
		GP_ERROR_KINDS(X)
#undef X
	case GP_E_NONE:
		break;
	}
	return "none";
}
