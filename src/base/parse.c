/* The grammars. Each predicate is a straight scan. */
#include "base/parse.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/sshkey.h"
#include "base/str.h"

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGIT "0123456789"

/* first character out of `first`, the others out of `rest`, min to max characters in all */
static bool shaped(const char *s, const char *first, const char *rest, size_t min, size_t max)
{
	size_t len = strlen(s);

	return len >= min && len <= max && strchr(first, s[0]) && s[0] && strspn(s + 1, rest) == len - 1;
}

static bool slug_ok(const char *s)
{
	return shaped(s, LOWER, LOWER DIGIT "-", 1, 31);
}

/* RFC 1123: labels of letters, digits and inner dashes, at most 63 each and 253 in all. Sets *ret_last to the last label. */
static bool labels_ok(const char *s, const char **ret_last)
{
	size_t len = strlen(s), label = 0;

	if (!len || len > 253 || strspn(s, LOWER UPPER DIGIT "-.") != len)
		return false;
	for (size_t i = 0; i <= len; i++) {
		if (s[i] == '.' || !s[i]) {
			if (!label || label > 63 || s[i - 1] == '-' || s[i - label] == '-')
				return false;
			*ret_last = s + i - label;
			label = 0;
		} else {
			label++;
		}
	}
	return true;
}

/* A dot is needed (except for localhost), and the last label is no number: no addresses. */
static bool domain_ok(const char *s)
{
	const char *last;

	return gp_streq(s, "localhost") || (strchr(s, '.') && labels_ok(s, &last) && strspn(last, DIGIT) != strlen(last));
}

static bool host_ok(const char *s)
{
	struct in6_addr address;
	const char *last;

	return strchr(s, ':') ? inet_pton(AF_INET6, s, &address) == 1 : labels_ok(s, &last);
}

/* The rules of git-check-ref-format(1) that matter for a name handed to git, and no leading dash: it would be an option. */
static bool ref_ok(const char *s)
{
	size_t len = strlen(s);

	if (!len || len > 200 || s[0] == '-' || s[0] == '/' || s[0] == '.' || s[len - 1] == '/' || s[len - 1] == '.')
		return false;
	if (strstr(s, "..") || strstr(s, "@{") || strstr(s, "//") || strstr(s, "/."))
		return false;
	if (strstr(s, ".lock/") || gp_ends_with(s, ".lock"))
		return false;
	for (const unsigned char *p = (const unsigned char *)s; *p; p++)
		if (*p <= 0x20 || *p == 0x7f || strchr("~^:?*[\\", *p))
			return false;
	return true;
}

/*
 * [user@]host[:port] up to the first '/': no password, which would show in argument lists and logs, and nothing that ssh takes
 * for an option.
 */
static bool authority_ok(const char *s)
{
	size_t len = strcspn(s, "/"), host_len;
	const char *at = memrchr(s, '@', len), *end = s + len;

	if (s[0] == '-' || at == s || (at && memchr(s, ':', (size_t)(at - s))))
		return false;
	if (at)
		s = at + 1;
	if (s[0] == '[') {
		host_len = strspn(s + 1, DIGIT "abcdefABCDEF:.");
		if (!host_len || s[++host_len] != ']')
			return false;
		host_len++;
	} else {
		host_len = strspn(s, LOWER UPPER DIGIT "-._");
		if (!host_len || s[0] == '-')
			return false;
	}
	s += host_len;
	return s == end || (s[0] == ':' && s + 1 < end && strspn(s + 1, DIGIT) == (size_t)(end - s - 1));
}

/* Only transports that run nothing on this side; remote helpers ("ext::sh -c …") have "::" in front of the address. */
static bool repo_ok(const char *s)
{
	static const char *const schemes[] = { "https://", "http://", "ssh://", "git://" };
	size_t len = strlen(s);
	const char *colon, *slash;

	if (!len || len > 1000 || s[0] == '-')
		return false;
	for (const unsigned char *p = (const unsigned char *)s; *p; p++)
		if (*p <= 0x20 || *p == 0x7f || strchr("\"'\\`$;|&<>", *p))
			return false;
	if (gp_starts_with(s, "file:///"))
		return true;
	if (s[0] == '/')
		return s[1] != '\0';
	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
		if (gp_starts_with(s, schemes[i])) {
			const char *authority = s + strlen(schemes[i]);

			/* A "user" in a web address is an access token as often as not: a secret, and git's arguments are public. */
			if (gp_starts_with(s, "http") && memchr(authority, '@', strcspn(authority, "/")))
				return false;
			return authority_ok(authority);
		}
	/* scp form: [user@]host:path. ssh takes a host that starts with '-' for an option; "x://" is a transport not listed above. */
	colon = strchr(s, ':');
	slash = strchr(s, '/');
	if (!colon || (slash && slash < colon) || !colon[1] || strchr(":-", colon[1]) || gp_starts_with(colon, "://"))
		return false;
	if (memchr(colon, '@', strcspn(colon, "/")))
		return false; /* meant as user:password@host */
	const char *at = memchr(s, '@', (size_t)(colon - s));
	const char *host = at ? at + 1 : s;
	return at != s && host < colon && host[0] != '-' && strspn(host, LOWER UPPER DIGIT "-._") == (size_t)(colon - host);
}

static bool module_len_ok(const char *s, size_t len)
{
	bool start = true;

	if (!len || len > 200)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (s[i] == '.') {
			if (start)
				return false;
			start = true;
		} else if (strchr(start ? LOWER UPPER "_" : LOWER UPPER DIGIT "_", s[i])) {
			start = false;
		} else {
			return false;
		}
	}
	return !start;
}

static bool module_ok(const char *s)
{
	return module_len_ok(s, strlen(s));
}

static bool wsgi_ok(const char *s)
{
	const char *colon = strchr(s, ':');

	return colon && module_len_ok(s, (size_t)(colon - s)) && module_len_ok(colon + 1, strlen(colon + 1));
}

static bool user_ok(const char *s)
{
	return shaped(s, LOWER "_", LOWER DIGIT "-_", 1, 31);
}

static bool package_ok(const char *s)
{
	/* apt takes NAME- for "remove NAME". */
	return shaped(s, LOWER DIGIT, LOWER DIGIT "+.-", 2, 100) && !gp_ends_with(s, "-");
}

static bool dropin_ok(const char *s)
{
	return shaped(s, LOWER UPPER DIGIT, LOWER UPPER DIGIT "._-", 6, 100) && gp_ends_with(s, ".conf");
}

static bool dbname_ok(const char *s)
{
	return shaped(s, LOWER "_", LOWER DIGIT "_", 1, 63);
}

static bool envkey_ok(const char *s)
{
	/* No bound: systemd drops no key for its length. */
	return shaped(s, LOWER UPPER "_", LOWER UPPER DIGIT "_", 1, SIZE_MAX);
}

static bool plain_path(const char *s)
{
	for (const unsigned char *p = (const unsigned char *)s; *p; p++)
		if (*p <= 0x20 || *p == 0x7f || strchr("\"'\\`{}", *p))
			return false;
	return strlen(s) <= 500;
}

static bool has_dotdot(const char *s)
{
	for (const char *p = s; p; p = strchr(p, '/')) {
		p += *p == '/';
		if (p[0] == '.' && p[1] == '.' && (p[2] == '/' || !p[2]))
			return true;
	}
	return false;
}

static bool urlpath_ok(const char *s)
{
	return s[0] == '/' && plain_path(s) && !strchr(s, '#');
}

static bool relpath_ok(const char *s)
{
	return s[0] && s[0] != '/' && s[0] != '-' && plain_path(s) && !has_dotdot(s);
}

static bool abspath_ok(const char *s)
{
	return s[0] == '/' && plain_path(s) && !has_dotdot(s);
}

static bool python_ok(const char *s)
{
	size_t minor;

	if (gp_streq(s, "auto"))
		return true;
	if (s[0] != '3' || s[1] != '.')
		return false;
	minor = strspn(s + 2, DIGIT);
	if (!minor || minor > 2)
		return false;
	s += 2 + minor;
	return !*s || (*s == '.' && s[1] && strlen(s + 1) <= 2 && strspn(s + 1, DIGIT) == strlen(s + 1));
}

bool gp_port_parse(const char *text, uint16_t *ret_port, bool *ret_udp)
{
	size_t digits = strspn(text, DIGIT);
	char number[6] = "";
	int64_t port;

	if (!digits || digits >= sizeof(number) || text[0] == '0')
		return false;
	memcpy(number, text, digits);
	*ret_udp = gp_streq(text + digits, "/udp");
	if ((text[digits] && !*ret_udp && !gp_streq(text + digits, "/tcp")) || !gp_parse_int(number, 1, 65535, &port))
		return false;
	*ret_port = (uint16_t)port;
	return true;
}

static bool port_ok(const char *s)
{
	uint16_t port;
	bool udp;

	return gp_port_parse(s, &port, &udp);
}

/* At most six digits: 999999T is below 2^63. */
int64_t gp_parse_size(const char *text)
{
	static const char units[] = "KMGT";
	size_t digits = strspn(text, DIGIT);
	const char *unit = text[digits] ? strchr(units, text[digits]) : NULL;

	if (!digits || digits > 6 || text[0] == '0' || !unit || text[digits + 1])
		return 0;
	return (int64_t)strtoll(text, NULL, 10) << (10 * (unit - units + 1));
}

static bool size_ok(const char *s)
{
	return gp_parse_size(s) > 0;
}

static bool swap_ok(const char *s)
{
	return gp_streq(s, "auto") || gp_streq(s, "off") || size_ok(s);
}

/* As sysctl.d(5) has it: a '/' inside stands for a dot, in the name of an interface: net.ipv4.conf.eth0/100.forwarding. */
static bool sysctl_ok(const char *s)
{
	size_t words = 0;

	if (strlen(s) > 200)
		return false;
	for (;;) {
		size_t len = strcspn(s, ".");

		if (!len || strspn(s, LOWER UPPER DIGIT "_-/") < len || s[0] == '/' || s[0] == '-' || s[len - 1] == '/')
			return false;
		words++;
		if (!s[len])
			return words > 1;
		s += len + 1;
	}
}

/* Without options: what those forbid is decided on the host. One line, as it goes into a file of lines. */
static bool sshkey_ok(const char *s)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	struct gp_sshkey key;

	for (const unsigned char *p = (const unsigned char *)s; *p; p++)
		if (*p < 0x20 || *p == 0x7f)
			return false;
	return *s != ' ' && !gp_ends_with(s, " ") && gp_sshkey_parse(arena, s, &key) && !*key.options;
}

static bool weburl_ok(const char *s)
{
	return (gp_starts_with(s, "https://") || gp_starts_with(s, "http://")) && repo_ok(s);
}

static bool release_ok(const char *s)
{
	static const char shape[] = "dddddddd" "T" "dddddd" "Z-" "xxxxxxx";

	if (strlen(s) != sizeof(shape) - 1)
		return false;
	for (size_t i = 0; shape[i]; i++) {
		const char *allowed = shape[i] == 'd' ? DIGIT : shape[i] == 'x' ? DIGIT "abcdef" : NULL;

		if (allowed ? !strchr(allowed, s[i]) : s[i] != shape[i])
			return false;
	}
	return true;
}

static bool clock_ok(const char *s)
{
	return strlen(s) == 5 && s[2] == ':' && strspn(s, DIGIT) == 2 && strspn(s + 3, DIGIT) == 2 && strncmp(s, "24", 2) < 0 && s[3] <= '5';
}

static bool weektime_ok(const char *s)
{
	static const char days[] = "Mon Tue Wed Thu Fri Sat Sun ";
	const char *day = strlen(s) > 4 ? strstr(days, gp_starts_with(s + 3, " ") ? (char[]){ s[0], s[1], s[2], ' ', '\0' } : "?") : NULL;

	return day && (day - days) % 4 == 0 && clock_ok(s + 4);
}

/* [user@]host and what ends it: restic hands both to ssh, to which what begins with '-' would be an option. */
static const char *after_login(const char *s, const char *ends)
{
	static const char letters[] = LOWER UPPER DIGIT "._-";
	size_t user = strspn(s, letters), host;

	if (s[user] == '@') {
		if (!user || *s == '-')
			return NULL;
		s += user + 1;
	}
	host = strspn(s, letters);
	return host && *s != '-' && s[host] && strchr(ends, s[host]) ? s + host : NULL;
}

static bool sftp_ok(const char *s)
{
	size_t digits;

	if (!gp_starts_with(s, "//")) {
		s = after_login(s, ":");
		return s && s[1];
	}
	s = after_login(s + 2, ":/");
	if (!s || *s == '/')
		return s && s[1];
	digits = strspn(s + 1, DIGIT);
	return digits && digits <= 5 && s[1 + digits] == '/' && s[2 + digits];
}

/* What comes to a shell nowhere is of plain letters all the same: it stands in units and on terminals. */
static bool restic_ok(const char *s)
{
	static const char letters[] = LOWER UPPER DIGIT "._-/:@~+,=";

	if (strspn(s, letters) != strlen(s) || strlen(s) > 300 || has_dotdot(s))
		return false;
	if (s[0] == '/')
		return s[1] != '\0';
	if (gp_starts_with(s, "sftp:"))
		return sftp_ok(s + strlen("sftp:"));
	return gp_starts_with(s, "s3:") && s[3] && s[3] != '-' && s[3] != '/' && !strchr(s, '@');
}

static bool fingerprint_ok(const char *s)
{
	return strlen(s) == 40 && strspn(s, DIGIT "abcdefABCDEF") == 40;
}

static const struct {
	const char *name, *words;
	bool (*ok)(const char *);
} kinds[] = {
#define X(name, words) [GP_NAME_##name] = { #name, words, name##_ok },
	GP_NAME_KINDS(X)
#undef X
};

bool gp_name_ok(enum gp_name_kind kind, const char *text)
{
	return kinds[kind].ok(text);
}

const char *gp_name_words(enum gp_name_kind kind)
{
	return kinds[kind].words;
}

const char *gp_name_kind_name(enum gp_name_kind kind)
{
	return kinds[kind].name;
}

int gp_name_check(enum gp_name_kind kind, const char *text, int error_kind, struct gp_error *err)
{
	if (gp_name_ok(kind, text))
		return 0;
	/* A repository may hold a password: it is not repeated. */
	if (kind == GP_NAME_repo)
		gp_fail(err, (enum gp_error_kind)error_kind, "this is no repository goldpath takes");
	else
		gp_fail(err, (enum gp_error_kind)error_kind, "'%.80s' is no valid %s", text, kinds[kind].name);
	return gp_hint(err, "%s", kinds[kind].words);
}

bool gp_parse_int(const char *text, int64_t lo, int64_t hi, int64_t *ret)
{
	char *end;
	long long value;

	if (!text[0] || strchr(" \t\r\n\v\f+", text[0]))
		return false;
	errno = 0;
	value = strtoll(text, &end, 10);
	if (errno || *end || value < lo || value > hi)
		return false;
	*ret = value;
	return true;
}
