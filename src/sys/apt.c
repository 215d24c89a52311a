/* apt and dpkg lock by fcntl(2), so the kernel itself knows who holds a lock: no lock is taken to find out. */
#include "sys/apt.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/str.h"
#include "sys/ctx.h"
#include "sys/fs.h"

enum { POLL_MS = 200, URI_MAX = 200, CAUSES = 3 }; /* CAUSES: the first rows of meanings */

static const char *const locks[] = {
	"/var/lib/dpkg/lock-frontend", "/var/lib/dpkg/lock", "/var/lib/apt/lists/lock", "/var/cache/apt/archives/lock",
};

/* A process calls itself what it likes: no more than a name comes out of it. */
static void name_of(pid_t pid, char *ret, size_t size)
{
	char path[64], text[32] = "";
	size_t n = 0;
	GP_AUTO_FD fd = -1;

	snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
	fd = pid > 0 ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	if (fd >= 0 && read(fd, text, sizeof(text) - 1) < 0)
		text[0] = '\0';
	for (const char *p = text; *p && *p != '\n' && n + 1 < size; p++)
		ret[n++] = *p > 0x20 && *p < 0x7f ? *p : '?';
	ret[n] = '\0';
	if (!n)
		snprintf(ret, size, "a process");
}

bool gp_apt_held(const char *root, struct gp_apt_holder *ret)
{
	for (size_t i = 0; i < sizeof(locks) / sizeof(locks[0]); i++) {
		struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
		char path[256];
		GP_AUTO_FD fd = -1;

		snprintf(path, sizeof(path), "%s%s", root, locks[i]);
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
		if (fd < 0 || fcntl(fd, F_GETLK, &lock) < 0 || lock.l_type == F_UNLCK)
			continue;
		*ret = (struct gp_apt_holder){ .pid = lock.l_pid > 0 ? lock.l_pid : 0, .file = locks[i] };
		name_of(ret->pid, ret->name, sizeof(ret->name));
		return true;
	}
	return false;
}

static const char *who(struct gp_arena *arena, const struct gp_apt_holder *holder)
{
	return holder->pid ? gp_sprintf(arena, "%s (pid %d)", holder->name, (int)holder->pid) : "a process outside of this system";
}

static int still_held(const struct gp_apt_holder *holder, int64_t timeout_ms, struct gp_error *err)
{
	GP_AUTO_ARENA arena = gp_arena_new();

	gp_fail(err, GP_E_LOCKED, "%s still holds apt's lock %s after %s", who(arena, holder), holder->file, gp_duration(arena, timeout_ms));
	if (!holder->pid)
		return gp_hint(err, "wait for it to end, then this again");
	return gp_hint(err, "`ps -fp %d` shows what it is; wait for it to end, then this again", (int)holder->pid);
}

int gp_apt_wait(struct gp_ctx *ctx, const char *root, int64_t timeout_ms, struct gp_error *err)
{
	int64_t deadline = gp_mono_ms() + timeout_ms;
	struct gp_apt_holder holder;
	pid_t told = -1;

	while (gp_apt_held(root, &holder)) {
		if (holder.pid != told)
			gp_tell_note(ctx, "waiting for %s, which holds apt's lock", who(ctx->arena, &holder));
		told = holder.pid;
		if (!gp_left_ms(deadline))
			return still_held(&holder, timeout_ms, err);
		poll(NULL, 0, POLL_MS);
	}
	return 0;
}

/* "Failed to fetch URI  reason": the URI up to the first blank, without a password that may stand in it. */
static const char *failed_uri(struct gp_arena *arena, const char *said, const char **ret_why)
{
	const char *at = strstr(said, "Failed to fetch "), *scheme, *user;
	char *uri;
	size_t len;

	*ret_why = "";
	if (!at)
		return NULL;
	at += strlen("Failed to fetch ");
	len = strcspn(at, " \n");
	*ret_why = gp_trim(arena, gp_strndup(arena, at + len, strcspn(at + len, "\n")));
	uri = gp_strndup(arena, at, len < URI_MAX ? len : URI_MAX);
	scheme = strstr(uri, "://");
	user = scheme ? memchr(scheme + 3, '@', strcspn(scheme + 3, "/")) : NULL;
	return user ? gp_sprintf(arena, "%.*s://%s", (int)(scheme - uri), uri, user + 1) : uri;
}

/* "http://host:port/" of a URI. */
static const char *origin(struct gp_arena *arena, const char *uri)
{
	const char *scheme = strstr(uri, "://");
	const char *slash = scheme ? strchr(scheme + 3, '/') : NULL;

	return slash ? gp_strndup(arena, uri, (size_t)(slash - uri) + 1) : uri;
}

void gp_apt_unreachable(struct gp_arena *arena, const char *said, struct gp_strv *ret)
{
	struct gp_strv lines = gp_lines(arena, said), seen = { 0 };

	for (size_t i = 0; i < lines.n; i++) {
		const char *why, *uri = failed_uri(arena, lines.v[i], &why);

		if (!uri || gp_strv_has(&seen, origin(arena, uri)))
			continue;
		gp_strv_add(arena, &seen, origin(arena, uri));
		gp_strv_add(arena, ret, *why ? gp_sprintf(arena, "%s: %s", uri, why) : uri);
	}
}

/* A sign in what was said, and what it means. The first row that is found counts: causes stand before what follows from them. */
static const struct {
	const char *sign, *hint;
} meanings[] = {
	{ "No space left", "the disk is full: `df -h`, `df -i`" },
	{ "You don't have enough free space", "the disk is full: `df -h /var/cache/apt/archives`; `apt-get clean` frees some" },
	{ "is not valid yet", "this host's clock is behind: `timedatectl` shows it, `timedatectl set-time` or an NTP server sets it" },
	{ "is expired (invalid since", "this host's clock is ahead, or that mirror has not been updated for long: `timedatectl`" },
	{ "dpkg --configure -a", "an earlier installation was interrupted: run `dpkg --configure -a`" },
	{ "Could not get lock", "another apt or dpkg is at work: wait for it, `ps -C apt-get,dpkg,unattended-upgr` shows which" },
	{ "Unable to acquire the dpkg frontend lock", "another apt or dpkg is at work: wait for it" },
	{ "Unable to locate package caddy", "this release has no package caddy (Ubuntu 22.04): set `caddy: official` in host.yaml" },
	{ "Package 'caddy' has no installation candidate", "this release has no package caddy: set `caddy: official` in host.yaml" },
	{ "you have held broken packages", "held, or packages that do not fit together: `apt-mark showhold`, `apt-get -s install NAME`" },
	{ "Held packages were changed", "`apt-mark showhold` lists what is held; `apt-mark unhold NAME` lets it go" },
	{ "Unmet dependencies", "`apt-get --fix-broken install` mends what an earlier installation left" },
	{ "NO_PUBKEY", "a package source is signed with a key that this host does not have: see /etc/apt/sources.list.d" },
	{ "Read-only file system", "the filesystem is mounted read-only: `findmnt /`, `dmesg | tail` may say why" },
};

static const char *quoted_name(struct gp_arena *arena, const char *said, const char *before)
{
	const char *at = strstr(said, before);

	at = at ? at + strlen(before) : "";
	at += *at == '\'';
	return gp_strndup(arena, at, strcspn(at, "' \n"));
}

/* The network's own troubles: a name that does not resolve, a server that does not answer, a file that has gone. */
static const char *network_hint(struct gp_arena *arena, const char *said)
{
	static const char *const resolving[] = { "Temporary failure resolving ", "Could not resolve " };
	const char *why, *uri = failed_uri(arena, said, &why);

	for (size_t i = 0; i < 2; i++)
		if (strstr(said, resolving[i]))
			return gp_sprintf(arena, "the name '%s' cannot be resolved: is the network up, and what does /etc/resolv.conf name?",
				quoted_name(arena, said, resolving[i]));
	if (!uri)
		return NULL;
	if (gp_starts_with(why, "404"))
		return gp_sprintf(arena, "%s has not got that file (any longer): `apt-get update`, or another mirror in /etc/apt/sources.list",
			origin(arena, uri));
	return gp_sprintf(arena, "the package source %s cannot be reached; it stands in /etc/apt/sources.list or /etc/apt/sources.list.d",
		origin(arena, uri));
}

const char *gp_apt_hint(struct gp_arena *arena, const char *said, const struct gp_strv *unreachable)
{
	const char *network = network_hint(arena, said);
	bool unknown = strstr(said, "Unable to locate package") || strstr(said, "no installation candidate");

	for (size_t i = 0; i < CAUSES; i++) /* these are told first, whatever else was said */
		if (strstr(said, meanings[i].sign))
			return meanings[i].hint;
	if (network)
		return network;
	if (unknown && unreachable && unreachable->n)
		return gp_sprintf(arena, "a package source could not be read: %s", unreachable->v[0]);
	for (size_t i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++)
		if (strstr(said, meanings[i].sign))
			return meanings[i].hint;
	return unknown ? "is the name right, and does this release of the distribution have it? `apt-cache policy NAME`" : NULL;
}
