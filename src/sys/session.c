/* The session, read from /proc. */
#include "sys/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/parse.h"
#include "base/str.h"
#include "sys/account.h"
#include "sys/fs.h"

enum { ENVIRON_MAX = 1 << 20, STAT_MAX = 4096, LEVELS = 64 };

static const char variable[] = "SSH_CONNECTION=";

/* Its value in the environment that a process was started with, NULL for none. */
static const char *connection_of(struct gp_arena *arena, pid_t pid)
{
	const char *text = "", *end;
	size_t len = 0;

	if (gp_fs_read(arena, gp_sprintf(arena, "/proc/%d/environ", (int)pid), ENVIRON_MAX, &text, &len, NULL) != 1)
		return NULL;
	for (end = text + len; text < end; text += strlen(text) + 1)
		if (gp_starts_with(text, variable))
			return text + strlen(variable);
	return NULL;
}

/* "pid (comm) state ppid ...": the name may hold anything, so from its last bracket on. 0: nobody, or it is gone. */
static pid_t parent_of(struct gp_arena *arena, pid_t pid)
{
	const char *text = "", *after;
	struct gp_strv words;
	int64_t parent;

	if (gp_fs_read(arena, gp_sprintf(arena, "/proc/%d/stat", (int)pid), STAT_MAX, &text, NULL, NULL) != 1 || !(after = strrchr(text, ')')))
		return 0;
	words = gp_words(arena, after + 1);
	return words.n > 1 && gp_parse_int(words.v[1], 1, INT32_MAX, &parent) ? (pid_t)parent : 0;
}

static const char *owner_of(struct gp_arena *arena, pid_t pid)
{
	struct stat st;

	return stat(gp_sprintf(arena, "/proc/%d", (int)pid), &st) == 0 ? gp_account_name(arena, st.st_uid) : NULL;
}

/* client, its port, server, its port */
static void take_connection(struct gp_arena *arena, const char *text, struct gp_session *ret)
{
	struct gp_strv words = gp_words(arena, text);
	int64_t port;

	if (words.n != 4 || !gp_parse_int(words.v[3], 1, 65535, &port))
		return;
	ret->port = (uint16_t)port;
	ret->v6 = strchr(words.v[2], ':') != NULL;
}

static const char *login_user(struct gp_arena *arena)
{
	const char *text = "";
	int64_t uid;

	/* (uid_t)-1: nobody has logged in */
	if (gp_fs_read(arena, "/proc/self/loginuid", 64, &text, NULL, NULL) != 1 ||
		!gp_parse_int(gp_trim(arena, text), 0, UINT32_MAX - 1, &uid))
		return NULL;
	return gp_account_name(arena, (uid_t)uid);
}

struct gp_session gp_session_find(struct gp_arena *arena)
{
	const char *own = getenv("SSH_CONNECTION"), *sudo = getenv("SUDO_USER");
	struct gp_session session = { 0 };
	pid_t pid = getppid();

	if (own)
		take_connection(arena, own, &session);
	if (session.port)
		session.user = owner_of(arena, getpid());
	for (int i = 0; i < LEVELS && pid > 1; i++, pid = parent_of(arena, pid)) {
		const char *text = connection_of(arena, pid);

		if (!text)
			continue;
		take_connection(arena, text, &session);
		session.user = owner_of(arena, pid);
	}
	if ((!session.user || gp_streq(session.user, "root")) && sudo && *sudo)
		session.user = gp_strdup(arena, sudo);
	if (!session.user)
		session.user = login_user(arena);
	return session;
}
