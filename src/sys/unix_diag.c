/* sock_diag(7) for unix sockets, and /proc/net/unix where it is not offered. */
#include "sys/unix_diag.h"

#include <errno.h>
#include <limits.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/error.h"
#include "base/str.h"
#include "sys/net_diag.h"

int gp_unix_listener_find(const char *path, struct gp_unix_listener *ret, struct gp_error *err)
{
	struct gp_unix_listener found = { 0 };
	char real[PATH_MAX];
	struct stat st;

	if (!realpath(path, real) || stat(real, &st) < 0)
		return errno == ENOENT || errno == ENOTDIR ? 0 : gp_fail_errno(err, errno, "look at the socket %s", path);
	if (!S_ISSOCK(st.st_mode))
		return 0;
	if (strlen(real) < sizeof(found.path)) /* one that was bound by a longer name (through /proc/self/fd, say) is known by its inode alone */
		memcpy(found.path, real, strlen(real));
	/* Of an inode's number the kernel's answer has 32 bits, and the device is written as it is inside the kernel. */
	found.ino = (uint32_t)st.st_ino;
	found.dev = major(st.st_dev) << 20 | minor(st.st_dev);
	*ret = found;
	return 1;
}

struct search {
	const struct gp_unix_listener *listener;
	struct gp_unix_busy *busy;
};

/* The attributes of one socket. NULL for those that it does not have: a socket without a file has no UNIX_DIAG_VFS. */
static const void *attribute(const struct nlmsghdr *head, unsigned short type, size_t size)
{
	const struct unix_diag_msg *body = NLMSG_DATA(head);
	size_t left = head->nlmsg_len - NLMSG_LENGTH(sizeof(*body));
	const char *p = (const char *)body + NLMSG_ALIGN(sizeof(*body));

	while (left >= sizeof(struct rtattr)) {
		const struct rtattr *a = (const void *)p;
		size_t step = RTA_ALIGN(a->rta_len);

		if (a->rta_len < sizeof(*a) || a->rta_len > left)
			return NULL;
		if (a->rta_type == type && RTA_PAYLOAD(a) >= size)
			return RTA_DATA(a);
		p += step;
		left -= step < left ? step : left;
	}
	return NULL;
}

static void count(void *arg, const struct nlmsghdr *head)
{
	const struct unix_diag_msg *socket = NLMSG_DATA(head);
	const struct search *s = arg;
	const struct unix_diag_vfs *file;
	const struct unix_diag_rqlen *queue;

	if (head->nlmsg_len < NLMSG_LENGTH(sizeof(*socket)))
		return;
	file = attribute(head, UNIX_DIAG_VFS, sizeof(*file));
	if (!file || file->udiag_vfs_ino != s->listener->ino || file->udiag_vfs_dev != s->listener->dev)
		return;
	if (socket->udiag_state == TCP_ESTABLISHED)
		s->busy->open++;
	if (socket->udiag_state != TCP_LISTEN)
		return;
	s->busy->listening = true;
	queue = attribute(head, UNIX_DIAG_RQLEN, sizeof(*queue));
	s->busy->queued += queue ? queue->udiag_rqueue : 0;
}

static int ask(const struct search *s, unsigned state)
{
	const struct {
		struct nlmsghdr head;
		struct unix_diag_req body;
	} question = {
		.head = { .nlmsg_len = sizeof(question), .nlmsg_type = SOCK_DIAG_BY_FAMILY, .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
		.body = { .sdiag_family = AF_UNIX, .udiag_states = 1u << state, .udiag_show = UDIAG_SHOW_VFS | UDIAG_SHOW_RQLEN },
	};

	return gp_sock_diag(&question, sizeof(question), count, (void *)s);
}

/* ---- /proc/net/unix -------------------------------------------------------------------------------------------------- */

enum { SO_ACCEPTCON_FLAG = 1 << 16, CONNECTING = 2, CONNECTED = 3 };

/* Num RefCount Protocol Flags Type St Inode Path. A connection that nobody accepted has no socket yet, and is "connecting". */
static void count_line(const char *line, const struct search *s)
{
	unsigned flags, state;
	int path = 0;

	if (sscanf(line, "%*x: %*x %*x %x %*x %x %*u %n", &flags, &state, &path) != 2 || !path || !gp_streq(line + path, s->listener->path))
		return;
	if (flags & SO_ACCEPTCON_FLAG)
		s->busy->listening = true;
	else if (state == CONNECTING)
		s->busy->queued++;
	else if (state == CONNECTED)
		s->busy->open++;
}

static void close_file(FILE **f)
{
	if (*f)
		fclose(*f);
}

static int read_proc(const struct search *s, struct gp_error *err)
{
	__attribute__((cleanup(close_file))) FILE *f = fopen("/proc/net/unix", "re");
	char line[512];

	if (!f)
		return gp_fail_errno(err, errno, "cannot read /proc/net/unix");
	if (!*s->listener->path)
		return gp_fail(err, GP_E_FAILED, "the kernel does not say how busy a socket with so long a name is");
	while (fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = '\0';
		count_line(line, s);
	}
	return ferror(f) ? gp_fail_errno(err, errno, "cannot read /proc/net/unix") : 0;
}

int gp_unix_busy(const struct gp_unix_listener *listener, struct gp_unix_busy *ret, struct gp_error *err)
{
	struct gp_unix_busy busy = { 0 };
	const struct search s = { .listener = listener, .busy = &busy };

	/* First what waits, then what was accepted: one that is accepted between the two is counted twice rather than not at all. */
	if (ask(&s, TCP_LISTEN) < 0 || ask(&s, TCP_ESTABLISHED) < 0) {
		busy = (struct gp_unix_busy){ 0 };
		GP_TRY(read_proc(&s, err));
	}
	*ret = busy;
	return 0;
}
