/* What listens on this host: the kernel's list (by sock_diag, or from /proc where that is not offered), and the processes whose descriptors point at those sockets. */
#include "sys/net.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/parse.h"
#include "base/str.h"
#include "sys/net_diag.h"
#include "sys/proc.h"

enum { RESOLVE_TIMEOUT_MS = 5000 };

struct entry {
	struct gp_listener listener; /* first: what is sorted and copied out */
	uint64_t inode;
};

struct table {
	struct gp_arena *arena;
	struct entry *entries;
	size_t n, cap;
};

static void close_file(FILE **f)
{
	if (*f)
		fclose(*f);
}
#define AUTO_FILE __attribute__((cleanup(close_file))) FILE *

static void close_folder(DIR **d)
{
	if (*d)
		closedir(*d);
}
#define AUTO_FOLDER __attribute__((cleanup(close_folder))) DIR *

/* Exactly `digits` upper-case hexadecimal digits, as the kernel prints them. */
static bool parse_hex(const char *text, size_t digits, uint32_t *ret)
{
	uint32_t value = 0;

	for (size_t i = 0; i < digits; i++) {
		const char *at = text[i] ? strchr("0123456789ABCDEF", text[i]) : NULL;

		if (!at)
			return false;
		value = value << 4 | (uint32_t)(at - "0123456789ABCDEF");
	}
	*ret = value;
	return true;
}

/* An address as the kernel keeps it, in network order: 4 or 16 bytes. */
static bool set_endpoint(struct gp_listener *ret, bool v6, const void *address, uint16_t port)
{
	ret->port = port;
	ret->v6 = v6;
	if (v6) {
		struct in6_addr a;

		memcpy(&a, address, sizeof(a));
		/* ::ffff:127.0.0.1, as Java binds it, is reachable from no further away than 127.0.0.1 */
		ret->loopback = IN6_IS_ADDR_LOOPBACK(&a) || (IN6_IS_ADDR_V4MAPPED(&a) && a.s6_addr[12] == 127);
	} else {
		uint32_t a;

		memcpy(&a, address, sizeof(a));
		ret->loopback = ntohl(a) >> 24 == 127;
	}
	return inet_ntop(v6 ? AF_INET6 : AF_INET, address, ret->address, sizeof(ret->address)) != NULL;
}

/* "0100007F:1F90". The kernel prints each 32-bit word of the address as it lies in memory: read back, it is in network order. */
static bool parse_endpoint(const char *text, bool v6, struct gp_listener *ret)
{
	size_t words = v6 ? 4 : 1;
	uint32_t address[4] = { 0 }, port;

	if (strlen(text) != words * 8 + 5)
		return false;
	for (size_t i = 0; i < words; i++)
		if (!parse_hex(text + i * 8, 8, &address[i]))
			return false;
	if (text[words * 8] != ':' || !parse_hex(text + words * 8 + 1, 4, &port))
		return false;
	return set_endpoint(ret, v6, address, (uint16_t)port);
}

/*
 * 1 a listener, 0 a socket in another state, -1 not a line of the table. The columns are
 * sl local remote state queues timer retransmits uid timeout inode ...
 */
static int parse_line(struct gp_arena *arena, const char *line, bool v6, struct entry *ret)
{
	struct gp_strv column = gp_words(arena, line);
	int64_t inode;
	uint32_t state;

	if (column.n < 10 || strlen(column.v[3]) != 2 || !parse_hex(column.v[3], 2, &state))
		return -1;
	if (!parse_endpoint(column.v[1], v6, &ret->listener) || !gp_parse_int(column.v[9], 0, INT64_MAX, &inode))
		return -1;
	ret->inode = (uint64_t)inode;
	return state == 0x0A; /* TCP_LISTEN */
}

static void add(struct table *t, const struct entry *e)
{
	if (t->n == t->cap) {
		struct entry *more;

		t->cap = t->cap ? t->cap * 2 : 32;
		more = gp_alloc_array(t->arena, t->cap, sizeof(*more));
		if (t->n)
			memcpy(more, t->entries, t->n * sizeof(*more));
		t->entries = more;
	}
	t->entries[t->n++] = *e;
}

static int read_table(struct table *t, const char *path, bool v6, struct gp_error *err)
{
	AUTO_FILE f = fopen(path, "re");
	char line[512];
	size_t number = 0;

	if (!f && errno == ENOENT && v6)
		return 0; /* a kernel without IPv6 */
	if (!f)
		return gp_fail_errno(err, errno, "cannot read %s", path);
	while (fgets(line, sizeof(line), f)) {
		GP_AUTO_ARENA scratch = gp_arena_new();
		struct entry e = { 0 };
		int kind;

		if (number++ == 0)
			continue; /* the heading */
		kind = strchr(line, '\n') ? parse_line(scratch, line, v6, &e) : -1;
		if (kind < 0)
			return gp_fail(err, GP_E_FAILED, "cannot make sense of line %zu of %s", number, path);
		if (kind)
			add(t, &e);
	}
	return ferror(f) ? gp_fail_errno(err, errno, "cannot read %s", path) : 0;
}

static void add_found(void *arg, bool v6, const void *address, uint16_t port, uint64_t inode)
{
	struct entry e = { .inode = inode };

	if (set_endpoint(&e.listener, v6, address, port))
		add(arg, &e);
}

static int read_listeners(struct table *t, struct gp_error *err)
{
	if (gp_net_diag_listeners(add_found, t) == 0)
		return 0;
	t->n = 0;
	GP_TRY(read_table(t, "/proc/net/tcp", false, err));
	return read_table(t, "/proc/net/tcp6", true, err);
}

/* ---- owners -------------------------------------------------------------------------------------------------------- */

static void read_comm(pid_t pid, char comm[static 16])
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
	AUTO_FILE f = fopen(path, "re");
	if (!f || !fgets(comm, 16, f))
		comm[0] = '\0'; /* it ended meanwhile */
	comm[strcspn(comm, "\n")] = '\0';
	for (char *p = comm; *p; p++) /* a process chooses its name itself */
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
}

/* Claim for pid what it holds of the sockets nobody has claimed yet. Returns how many. */
static size_t claim(struct table *t, pid_t pid)
{
	char path[64], target[64], comm[16];
	struct dirent *d;
	size_t claimed = 0;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	AUTO_FOLDER folder = opendir(path);
	while (folder && (d = readdir(folder))) {
		ssize_t len = readlinkat(dirfd(folder), d->d_name, target, sizeof(target) - 1);
		unsigned long long inode;
		char end;

		if (len < 0)
			continue;
		target[len] = '\0';
		if (sscanf(target, "socket:[%llu%c", &inode, &end) != 2 || end != ']')
			continue;
		for (size_t i = 0; i < t->n; i++) {
			if (t->entries[i].inode != inode || t->entries[i].listener.pid)
				continue;
			if (claimed++ == 0)
				read_comm(pid, comm);
			t->entries[i].listener.pid = pid;
			memcpy(t->entries[i].listener.comm, comm, sizeof(comm));
		}
	}
	return claimed;
}

/*
 * Processes come and go while /proc is walked, and without root most descriptors are not shown: whoever is not found stays 0.
 * /proc lists by number, so of a server and its workers the one that was there first is named.
 */
static void find_owners(struct table *t)
{
	AUTO_FOLDER proc = opendir("/proc");
	size_t left = t->n;
	struct dirent *d;

	while (proc && left && (d = readdir(proc))) {
		int64_t pid;

		if (gp_parse_int(d->d_name, 1, INT32_MAX, &pid))
			left -= claim(t, (pid_t)pid);
	}
}

static int by_port(const void *a, const void *b)
{
	const struct gp_listener *x = &((const struct entry *)a)->listener, *y = &((const struct entry *)b)->listener;

	return x->port != y->port ? (x->port > y->port) - (x->port < y->port) : strcmp(x->address, y->address);
}

int gp_net_listeners(struct gp_arena *arena, bool with_owner, struct gp_listener **ret, size_t *ret_n, struct gp_error *err)
{
	struct table t = { .arena = arena };
	struct gp_listener *listeners;

	GP_TRY(read_listeners(&t, err));
	if (with_owner)
		find_owners(&t);
	if (t.n)
		qsort(t.entries, t.n, sizeof(*t.entries), by_port);
	listeners = gp_alloc_array(arena, t.n + 1, sizeof(*listeners));
	for (size_t i = 0; i < t.n; i++)
		listeners[i] = t.entries[i].listener;
	*ret = listeners;
	*ret_n = t.n;
	return 0;
}

int gp_net_resolve(struct gp_arena *arena, const char *host, struct gp_strv *ret, struct gp_error *err)
{
	GP_AUTO_RESULT result = { 0 };
	struct gp_strv lines;

	*ret = (struct gp_strv){ 0 };
	GP_TRY(gp_proc_run(&(struct gp_proc){ .argv = GP_ARGV("getent", "ahosts", host), .timeout_ms = RESOLVE_TIMEOUT_MS }, &result, err));
	lines = gp_lines(arena, gp_buf_str(&result.out));
	for (size_t i = 0; i < lines.n; i++) {
		struct gp_strv words = gp_words(arena, lines.v[i]); /* 127.0.0.1 STREAM localhost */

		if (words.n && !gp_strv_has(ret, words.v[0]))
			gp_strv_add(arena, ret, words.v[0]);
	}
	return 0;
}

static void free_addresses(struct ifaddrs **list)
{
	if (*list)
		freeifaddrs(*list);
}

bool gp_net_is_ours(const char *address)
{
	__attribute__((cleanup(free_addresses))) struct ifaddrs *list = NULL;
	char text[NI_MAXHOST];

	if (getifaddrs(&list) < 0)
		return false;
	for (const struct ifaddrs *a = list; a; a = a->ifa_next) {
		bool v6 = a->ifa_addr && a->ifa_addr->sa_family == AF_INET6;
		socklen_t size = v6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);

		if (a->ifa_addr && (v6 || a->ifa_addr->sa_family == AF_INET) &&
			getnameinfo(a->ifa_addr, size, text, sizeof(text), NULL, 0, NI_NUMERICHOST) == 0 && gp_streq(text, address))
			return true;
	}
	return false;
}

bool gp_net_has_global_v6(void)
{
	__attribute__((cleanup(free_addresses))) struct ifaddrs *list = NULL;

	if (getifaddrs(&list) < 0)
		return false;
	for (const struct ifaddrs *a = list; a; a = a->ifa_next) {
		struct sockaddr_in6 v6;

		if (!a->ifa_addr || a->ifa_addr->sa_family != AF_INET6)
			continue;
		memcpy(&v6, a->ifa_addr, sizeof(v6));
		if (!IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr) && !IN6_IS_ADDR_LINKLOCAL(&v6.sin6_addr))
			return true;
	}
	return false;
}
