/* The journal by sd-journal: the last messages of a unit, made harmless for a terminal and bounded in length. */
#include "sys/journal.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <systemd/sd-journal.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"

enum { LINE_MAX_BYTES = 500, LINES_MAX = 1000, EXPLAIN_LINES = 20 };

static void close_journal(sd_journal **j)
{
	if (*j)
		sd_journal_close(*j);
}
#define AUTO_JOURNAL __attribute__((cleanup(close_journal))) sd_journal *

/* One line of at most LINE_MAX_BYTES. Line breaks and tabs become blanks, what a terminal would act upon '?'. */
static const char *clean(struct gp_arena *arena, const unsigned char *text, size_t len)
{
	char *line;

	while (len && strchr("\r\n\t ", text[len - 1]))
		len--;
	line = gp_strndup(arena, (const char *)text, len < LINE_MAX_BYTES ? len : LINE_MAX_BYTES);
	for (char *p = line; *p; p++)
		if (*p == '\n' || *p == '\t' || *p == '\r')
			*p = ' ';
	/* The bytes of a character that was cut in two are no UTF-8 and go with the rest. */
	gp_tame(line, strlen(line), "");
	return line;
}

/* _SYSTEMD_UNIT=unit, or UNIT=unit said by PID 1 itself: anybody may log a field called UNIT, but nobody else as _PID=1. */
static int match_unit(sd_journal *j, const char *unit)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	const char *const matches[] = { gp_sprintf(arena, "_SYSTEMD_UNIT=%s", unit), NULL, gp_sprintf(arena, "UNIT=%s", unit),
		"_PID=1" };

	for (size_t i = 0; i < sizeof(matches) / sizeof(matches[0]); i++) {
		int r = matches[i] ? sd_journal_add_match(j, matches[i], 0) : sd_journal_add_disjunction(j);

		if (r < 0)
			return r;
	}
	return 0;
}

/* Walk back from the end; newest first into lines. Returns how many, or -errno. */
static int walk_back(sd_journal *j, struct gp_arena *arena, size_t max_lines, uint64_t since_us, const char **lines)
{
	size_t n = 0;
	int r = sd_journal_seek_tail(j);

	while (r >= 0 && n < max_lines && (r = sd_journal_previous(j)) > 0) {
		const void *data;
		size_t len;
		uint64_t when;

		if (since_us && sd_journal_get_realtime_usec(j, &when) >= 0 && when < since_us)
			break;
		if (sd_journal_get_data(j, "MESSAGE", &data, &len) < 0 || len < strlen("MESSAGE="))
			continue; /* an entry without a message, or one that was being overwritten */
		lines[n++] = clean(arena, (const unsigned char *)data + strlen("MESSAGE="), len - strlen("MESSAGE="));
	}
	/* A damaged file is no reason to hold back what could be read before it. */
	return r < 0 && n == 0 ? r : (int)n;
}

int gp_journal_tail(struct gp_arena *arena, const char *unit, size_t max_lines, uint64_t since_us, const char **ret,
	struct gp_error *err)
{
	const char *lines[LINES_MAX];
	struct gp_strv oldest_first = { 0 };
	AUTO_JOURNAL j = NULL;
	int r = 0, n = 0;

	if (*unit && max_lines)
		r = sd_journal_open(&j, SD_JOURNAL_LOCAL_ONLY);
	if (r == -ENOENT) {
		r = 0; /* no journal on this host */
	} else if (r >= 0 && j) {
		sd_journal_set_data_threshold(j, LINE_MAX_BYTES + 64);
		r = match_unit(j, unit);
		if (r >= 0)
			r = n = walk_back(j, arena, max_lines < LINES_MAX ? max_lines : LINES_MAX, since_us, lines);
	}
	if (r < 0)
		return gp_fail_errno(err, -r, "cannot read the journal of %s", unit);
	while (n > 0)
		gp_strv_add(arena, &oldest_first, lines[--n]);
	*ret = gp_strv_join(arena, &oldest_first, "\n");
	return 0;
}

int gp_journal_explain(const char *unit, struct gp_error *err)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	const char *tail = "";

	gp_journal_tail(arena, unit, EXPLAIN_LINES, 0, &tail, NULL);
	gp_detail(err, tail, strlen(tail));
	return gp_hint(err, "`journalctl -u %s` has all of it", unit);
}
