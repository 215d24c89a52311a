/* Dumps of nf_tables over netlink: one request, answers in many messages, attributes in attributes. */
#include "sys/netfilter.h"

#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"
#include "sys/fs.h"

enum { ITEMS_MAX = 8192, ANSWER_MAX = 64 * 1024, REQUEST_MAX = 256, PATIENCE_S = 5 };

/* Attributes lie one behind the other, each with its length and type, padded to four bytes. */
struct span {
	const unsigned char *data;
	size_t len;
};

/* The next attribute; false at the end, or where a length makes no sense. */
static bool next_attr(struct span *in, int *ret_type, struct span *ret)
{
	struct nlattr head;
	size_t padded;

	if (in->len < sizeof(head))
		return false;
	memcpy(&head, in->data, sizeof(head));
	if (head.nla_len < sizeof(head) || head.nla_len > in->len)
		return false;
	*ret_type = head.nla_type & NLA_TYPE_MASK;
	*ret = (struct span){ in->data + sizeof(head), head.nla_len - sizeof(head) };
	padded = NLA_ALIGN(head.nla_len);
	padded = padded < in->len ? padded : in->len;
	*in = (struct span){ in->data + padded, in->len - padded };
	return true;
}

/* The first attribute of a type; an empty one where there is none. */
static struct span attr(struct span in, int type)
{
	struct span value;
	int found;

	while (next_attr(&in, &found, &value))
		if (found == type)
			return value;
	return (struct span){ NULL, 0 };
}

static const char *text(struct gp_arena *arena, struct span value)
{
	return value.len ? gp_strndup(arena, (const char *)value.data, strnlen((const char *)value.data, value.len)) : "";
}

static bool is_called(struct span expression, const char *name)
{
	struct span is = attr(expression, NFTA_EXPR_NAME);

	return is.len == strlen(name) + 1 && memcmp(is.data, name, is.len) == 0;
}

/* Where a rule jumps to: an "immediate" expression whose verdict names a chain. And is it for lo: one that compares with that name. */
static void read_expressions(struct gp_arena *arena, struct span expressions, struct gp_nft *ret)
{
	struct span one;
	int type;

	while (next_attr(&expressions, &type, &one)) {
		struct span data = attr(one, NFTA_EXPR_DATA);

		if (is_called(one, "immediate")) {
			struct span chain = attr(attr(attr(data, NFTA_IMMEDIATE_DATA), NFTA_DATA_VERDICT), NFTA_VERDICT_CHAIN);

			ret->jump = chain.len ? text(arena, chain) : ret->jump;
		} else if (is_called(one, "cmp")) {
			struct span value = attr(attr(data, NFTA_CMP_DATA), NFTA_DATA_VALUE);

			ret->loopback = ret->loopback || (value.len >= sizeof("lo") && memcmp(value.data, "lo", sizeof("lo")) == 0);
		}
	}
}

static const struct {
	int number;
	const char *name;
} families[] = {
	{ NFPROTO_IPV4, "ip" },
	{ NFPROTO_IPV6, "ip6" },
	{ NFPROTO_INET, "inet" },
	{ NFPROTO_ARP, "arp" },
	{ NFPROTO_BRIDGE, "bridge" },
	{ NFPROTO_NETDEV, "netdev" },
};

static const char *family_name(int number)
{
	for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++)
		if (families[i].number == number)
			return families[i].name;
	return "other";
}

static unsigned char family_number(const char *name)
{
	for (size_t i = 0; name && i < sizeof(families) / sizeof(families[0]); i++)
		if (gp_streq(families[i].name, name))
			return (unsigned char)families[i].number;
	return NFPROTO_UNSPEC;
}

struct request {
	union {
		struct nlmsghdr head;
		unsigned char bytes[REQUEST_MAX];
	};
};

static void put_text(struct request *request, unsigned short type, const char *value)
{
	size_t len = strlen(value) + 1;
	struct nlattr head = { .nla_len = (unsigned short)(sizeof(head) + len), .nla_type = type };

	memcpy(request->bytes + request->head.nlmsg_len, &head, sizeof(head));
	memcpy(request->bytes + request->head.nlmsg_len + sizeof(head), value, len);
	request->head.nlmsg_len += NLA_ALIGN((unsigned)(sizeof(head) + len));
}

static void begin(struct request *request, int message, const char *family)
{
	struct nfgenmsg general = { .nfgen_family = family_number(family) };

	memset(request, 0, sizeof(*request));
	request->head = (struct nlmsghdr){ .nlmsg_len = NLMSG_LENGTH(sizeof(general)), .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
		.nlmsg_type = (unsigned short)(NFNL_SUBSYS_NFTABLES << 8 | message), .nlmsg_seq = 1 };
	memcpy(request->bytes + NLMSG_HDRLEN, &general, sizeof(general));
}

struct list {
	struct gp_arena *arena;
	struct gp_nft *v;
	size_t n, cap;
};

static void grow(struct list *list)
{
	size_t cap = list->cap ? list->cap * 2 : 64;
	struct gp_nft *v = gp_alloc_array(list->arena, cap, sizeof(*v));

	if (list->n)
		memcpy(v, list->v, list->n * sizeof(*v));
	list->v = v;
	list->cap = cap;
}

static void add(struct list *list, int message, const unsigned char *body, size_t len)
{
	struct span attrs = { body + NLMSG_ALIGN(sizeof(struct nfgenmsg)), len - NLMSG_ALIGN(sizeof(struct nfgenmsg)) };
	bool rule = message == NFT_MSG_GETRULE;

	if (list->n == ITEMS_MAX)
		return;
	if (list->n == list->cap)
		grow(list);
	list->v[list->n] = (struct gp_nft){
		.family = family_name(body[0]),
		.table = text(list->arena, attr(attrs, NFTA_RULE_TABLE)), /* of a table, NFTA_TABLE_NAME, the same number */
		.chain = rule ? text(list->arena, attr(attrs, NFTA_RULE_CHAIN)) : "",
		.jump = "",
	};
	if (rule)
		read_expressions(list->arena, attr(attrs, NFTA_RULE_EXPRESSIONS), &list->v[list->n]);
	list->n++;
}

/* One datagram of answers: 1 more will come, 0 that was all, -1 an error, with its number in errno. */
static int take(struct list *list, int message, const unsigned char *data, size_t len)
{
	struct nlmsghdr head;

	while (len >= sizeof(head)) {
		size_t body, padded;

		memcpy(&head, data, sizeof(head));
		if (head.nlmsg_len < sizeof(head) || head.nlmsg_len > len)
			break;
		body = head.nlmsg_len - NLMSG_HDRLEN;
		if (head.nlmsg_type == NLMSG_DONE)
			return 0;
		if (head.nlmsg_type == NLMSG_ERROR) {
			int number = -EBADMSG;

			if (body >= sizeof(number))
				memcpy(&number, data + NLMSG_HDRLEN, sizeof(number));
			errno = -number;
			return number == -ENOENT || number == 0 ? 0 : -1;
		}
		if (body >= NLMSG_ALIGN(sizeof(struct nfgenmsg)))
			add(list, message, data + NLMSG_HDRLEN, body);
		padded = NLMSG_ALIGN(head.nlmsg_len);
		padded = padded < len ? padded : len;
		data += padded;
		len -= padded;
	}
	return 1;
}

static int dump(struct list *list, int message, const struct request *request, struct gp_error *err)
{
	struct timeval patience = { .tv_sec = PATIENCE_S };
	unsigned char *answer = gp_alloc(list->arena, ANSWER_MAX);
	GP_AUTO_FD fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
	int more = 1;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0 ||
		send(fd, request->bytes, request->head.nlmsg_len, 0) < 0)
		return gp_fail_errno(err, errno, "ask the kernel for its packet rules");
	while (more > 0) {
		ssize_t got = recv(fd, answer, ANSWER_MAX, 0);

		if (got < 0 && errno == EINTR)
			continue;
		more = got < 0 ? -1 : take(list, message, answer, (size_t)got);
	}
	return more < 0 ? gp_fail_errno(err, errno, "ask the kernel for its packet rules") : 0;
}

int gp_nft_tables(struct gp_arena *arena, struct gp_nft **ret, size_t *ret_n, struct gp_error *err)
{
	struct list list = { .arena = arena };
	struct request request;

	begin(&request, NFT_MSG_GETTABLE, NULL);
	GP_TRY(dump(&list, NFT_MSG_GETTABLE, &request, err));
	*ret = list.v;
	*ret_n = list.n;
	return 0;
}

int gp_nft_rules(struct gp_arena *arena, const char *family, const char *table, const char *chain, struct gp_nft **ret, size_t *ret_n,
	struct gp_error *err)
{
	struct list list = { .arena = arena };
	struct request request;

	begin(&request, NFT_MSG_GETRULE, family);
	if (family) {
		if (strlen(table) + strlen(chain) > REQUEST_MAX - 64)
			return gp_fail(err, GP_E_FAILED, "the name of a chain is too long");
		put_text(&request, NFTA_RULE_TABLE, table);
		put_text(&request, NFTA_RULE_CHAIN, chain);
	}
	GP_TRY(dump(&list, NFT_MSG_GETRULE, &request, err));
	*ret = list.v;
	*ret_n = list.n;
	return 0;
}
