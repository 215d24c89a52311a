/*
 * What a workflow tells whoever watches it. Progress travels up as data: below the command line nothing prints. One callback,
 * one struct; the terminal, the plain log and --json are three ways to show the same events.
 */
#ifndef GP_BASE_OBSERVER_H
#define GP_BASE_OBSERVER_H

#include <stdint.h>

enum gp_event_kind {
	GP_EVENT_STEP,    /* a step begins: name, index and total */
	GP_EVENT_DONE,    /* it has ended well: text (may be NULL) and ms */
	GP_EVENT_SKIPPED, /* it was not needed: text says why */
	GP_EVENT_FAILED,  /* it has failed; the error follows by the return value */
	GP_EVENT_CHANGE,  /* something was, or would be, changed: mark and text */
	GP_EVENT_NOTE,    /* worth knowing */
	GP_EVENT_WARN,    /* worth acting upon */
	GP_EVENT_PROGRESS, /* how far the running step is: text. For who watches; nothing is lost without it */
	GP_EVENT_OUTPUT,  /* a line that a program printed; shown by --verbose */
};

struct gp_event {
	enum gp_event_kind kind;
	const char *name; /* of the step */
	const char *text;
	const char *detail; /* CHANGE: lines that show it (a unified diff), or NULL */
	char mark;        /* CHANGE: '+' made, '~' changed, '-' removed, '!' needs attention */
	int index, total; /* STEP: 1-based */
	int64_t ms;
};

struct gp_observer {
	void (*on_event)(void *arg, const struct gp_event *event);
	void *arg;
};

#endif
