/* sock_diag(7): one question for each address family, answered in a few datagrams. */
#include "sys/net_diag.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include "sys/fs.h"

enum { ANSWER_MAX = 32768, ANSWER_TIMEOUT_MS = 2000 };

/* 1 there is more to come, 0 that was all, -1 the kernel refuses. */
static int read_messages(const struct nlmsghdr *head, size_t len, gp_sock_diag_found *found, void *arg)
{
	/* NLMSG_NEXT casts what clang cannot see to be aligned. */
	for (size_t step; NLMSG_OK(head, len); len -= step, head = (const void *)((const char *)head + step)) {
		step = NLMSG_ALIGN(head->nlmsg_len) < len ? NLMSG_ALIGN(head->nlmsg_len) : len;
		if (head->nlmsg_type == NLMSG_DONE)
			return 0;
		if (head->nlmsg_type == NLMSG_ERROR) {
			const struct nlmsgerr *problem = NLMSG_DATA(head);

			errno = head->nlmsg_len >= NLMSG_LENGTH(sizeof(*problem)) ? -problem->error : EPROTO;
			return -1;
		}
		found(arg, head);
	}
	return 1;
}

int gp_sock_diag(const void *question, size_t question_len, gp_sock_diag_found *found, void *arg)
{
	_Alignas(struct nlmsghdr) char answer[ANSWER_MAX];
	GP_AUTO_FD fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	int more = fd >= 0 && send(fd, question, question_len, 0) == (ssize_t)question_len ? 1 : -1;

	while (more > 0) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		ssize_t len = poll(&p, 1, ANSWER_TIMEOUT_MS) > 0 ? recv(fd, answer, sizeof(answer), 0) : -1;

		if (len <= 0)
			return -1;
		more = read_messages((const struct nlmsghdr *)(const void *)answer, (size_t)len, found, arg);
	}
	return more;
}

struct listeners {
	gp_net_diag_found *found;
	void *arg;
};

static void listener(void *arg, const struct nlmsghdr *head)
{
	const struct listeners *l = arg;
	const struct inet_diag_msg *socket = NLMSG_DATA(head);

	if (head->nlmsg_len >= NLMSG_LENGTH(sizeof(*socket)) && socket->idiag_state == TCP_LISTEN)
		l->found(l->arg, socket->idiag_family == AF_INET6, socket->id.idiag_src, ntohs(socket->id.idiag_sport), socket->idiag_inode);
}

static int dump(uint8_t family, struct listeners *l)
{
	const struct {
		struct nlmsghdr head;
		struct inet_diag_req_v2 body;
	} question = {
		.head = { .nlmsg_len = sizeof(question), .nlmsg_type = SOCK_DIAG_BY_FAMILY, .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
		.body = { .sdiag_family = family, .sdiag_protocol = IPPROTO_TCP, .idiag_states = 1u << TCP_LISTEN },
	};

	return gp_sock_diag(&question, sizeof(question), listener, l);
}

int gp_net_diag_listeners(gp_net_diag_found *found, void *arg)
{
	struct listeners l = { .found = found, .arg = arg };

	if (dump(AF_INET, &l) < 0)
		return -1;
	return dump(AF_INET6, &l);
}
