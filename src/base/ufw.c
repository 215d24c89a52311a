/* Reading UFW's files, and saying in words and commands what stands there. */
#include "base/ufw.h"

#include <string.h>

#include "base/arena.h"
#include "base/parse.h"
#include "base/str.h"

#define DIGIT "0123456789"
#define ALNUM "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ" DIGIT
#define TUPLE "### tuple ###"

enum { LINE_LEN_MAX = 1024, FIELDS_MIN = 6, FIELDS_MAX = 9, NAME_LEN_MAX = 64 };

static const char *const actions[] = {
	[GP_UFW_ALLOW] = "allow",
	[GP_UFW_DENY] = "deny",
	[GP_UFW_REJECT] = "reject",
	[GP_UFW_LIMIT] = "limit",
};

/* One to NAME_LEN_MAX characters of a set: what is shown and put into commands is nothing else. */
static bool made_of(const char *s, const char *set)
{
	size_t len = strlen(s);

	return len && len <= NAME_LEN_MAX && strspn(s, set) == len;
}

/* [route:]<action>[_log|_log-all] */
static bool read_action(char *s, struct gp_ufw_rule *rule)
{
	char *log;

	rule->route = gp_starts_with(s, "route:");
	s += rule->route ? strlen("route:") : 0;
	rule->log = "";
	log = strchr(s, '_');
	if (log) {
		*log++ = '\0';
		if (!gp_streq(log, "log") && !gp_streq(log, "log-all"))
			return false;
		rule->log = log;
	}
	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
		if (gp_streq(s, actions[i])) {
			rule->action = (enum gp_ufw_action)i;
			return true;
		}
	}
	return false;
}

static bool read_port(const char *s, size_t len, uint16_t *ret)
{
	char text[8] = "";
	int64_t port;

	if (len >= sizeof(text))
		return false;
	memcpy(text, s, len);
	if (strspn(text, DIGIT) != len || !gp_parse_int(text, 0, 65535, &port))
		return false;
	*ret = (uint16_t)port;
	return true;
}

/* "80", "80,443", "1000:2000" */
static bool read_ports(const char *s, struct gp_ufw_range *ret, size_t *ret_n)
{
	size_t n = 0;

	for (;;) {
		size_t len = strcspn(s, ","), lo = strcspn(s, ",:");

		if (n == GP_UFW_PORTS_MAX || !read_port(s, lo, &ret[n].lo))
			return false;
		ret[n].hi = ret[n].lo;
		if (lo < len && (!read_port(s + lo + 1, len - lo - 1, &ret[n].hi) || ret[n].hi < ret[n].lo))
			return false;
		n++;
		if (!s[len])
			break;
		s += len + 1;
	}
	*ret_n = n;
	return true;
}

static bool read_address(const char *s, const char **ret)
{
	if (!made_of(s, DIGIT "abcdefABCDEF.:/"))
		return false;
	*ret = gp_streq(s, "0.0.0.0/0") || gp_streq(s, "::/0") ? NULL : s;
	return true;
}

/* The name of an application profile; ufw writes a blank as %20. */
static bool read_app(char *s, const char **ret)
{
	char *to = s;

	if (gp_streq(s, "-"))
		return true;
	if (!made_of(s, ALNUM "-_.+%"))
		return false;
	*ret = s;
	while (*s) {
		if (gp_starts_with(s, "%20")) {
			*to++ = ' ';
			s += 3;
		} else {
			*to++ = *s++;
		}
	}
	*to = '\0';
	return true;
}

static bool read_interface(const char *s, const char **ret)
{
	if (!made_of(s, ALNUM "-_.+,=%@"))
		return false;
	*ret = s;
	return true;
}

/* in, out, in_eth0, out_eth0, in_eth0!out_eth1 */
static bool read_direction(char *s, struct gp_ufw_rule *rule)
{
	char *second = strchr(s, '!');

	if (second) {
		*second++ = '\0';
		return gp_starts_with(s, "in_") && read_interface(s + 3, &rule->in_on) && gp_starts_with(second, "out_") &&
			read_interface(second + 4, &rule->out_on);
	}
	rule->out = !rule->route && (gp_streq(s, "out") || gp_starts_with(s, "out_"));
	if (gp_starts_with(s, "out_"))
		return read_interface(s + 4, &rule->out_on);
	if (gp_starts_with(s, "in_"))
		return read_interface(s + 3, &rule->in_on);
	return gp_streq(s, "in") || gp_streq(s, "out");
}

/* <action> <proto> <dport> <dst> <sport> <src> [<dapp> <sapp>] [<direction>]; very old files have no direction: in. */
static bool read_fields(char **f, size_t n, struct gp_ufw_rule *rule)
{
	struct gp_ufw_range sports[GP_UFW_PORTS_MAX];
	size_t n_sports;

	if (!read_action(f[0], rule) || !made_of(f[1], ALNUM) || !read_address(f[3], &rule->dst) || !read_address(f[5], &rule->src))
		return false;
	rule->proto = f[1];
	rule->dport = gp_streq(f[2], "any") ? NULL : f[2];
	rule->sport = gp_streq(f[4], "any") ? NULL : f[4];
	if (rule->dport && !read_ports(rule->dport, rule->ports, &rule->n_ports))
		return false;
	if (rule->sport && !read_ports(rule->sport, sports, &n_sports))
		return false;
	if (n >= 8 && (!read_app(f[6], &rule->dapp) || !read_app(f[7], &rule->sapp)))
		return false;
	return n % 2 == 0 || read_direction(f[n - 1], rule);
}

static bool read_tuple(struct gp_arena *arena, const char *line, size_t len, struct gp_ufw_rule *rule)
{
	char *fields[FIELDS_MAX], *rest, *word;
	size_t n = 0;

	if (len > LINE_LEN_MAX || memchr(line, '\0', len))
		return false;
	rest = gp_strndup(arena, line, len);
	while ((word = strsep(&rest, " \t\r\f\v"))) {
		if (!*word)
			continue;
		if (gp_starts_with(word, "comment=")) /* always the last */
			break;
		if (n == FIELDS_MAX)
			return false;
		fields[n++] = word;
	}
	return n >= FIELDS_MIN && read_fields(fields, n, rule);
}

void gp_ufw_parse(struct gp_arena *arena, const char *text, size_t len, bool v6, struct gp_ufw_rules *ret)
{
	struct gp_ufw_rules rules = { 0 };
	const char *end = text + len, *next;
	size_t cap = 0, at = 0;

	for (const char *line = text; line < end; line = next) {
		const char *eol = memchr(line, '\n', (size_t)(end - line));

		next = eol ? eol + 1 : end;
		at++;
		if ((size_t)(next - line) < strlen(TUPLE) || memcmp(line, TUPLE, strlen(TUPLE)) != 0)
			continue;
		if (rules.n == cap) {
			struct gp_ufw_rule *v = gp_alloc_array(arena, cap = cap ? cap * 2 : 32, sizeof(*v));

			if (rules.n)
				memcpy(v, rules.v, rules.n * sizeof(*v));
			rules.v = v;
		}
		rules.v[rules.n] = (struct gp_ufw_rule){ .v6 = v6 };
		line += strlen(TUPLE);
		if (read_tuple(arena, line, (size_t)((eol ? eol : end) - line), &rules.v[rules.n]))
			rules.n++;
		else if (rules.unreadable++ == 0)
			rules.line = at;
	}
	*ret = rules;
}

const char *gp_ufw_setting(struct gp_arena *arena, const char *text, const char *key)
{
	struct gp_strv lines = gp_lines(arena, text);
	size_t key_len = strlen(key);
	char *value = NULL;

	for (size_t i = 0; i < lines.n; i++) {
		size_t len;

		if (!gp_starts_with(lines.v[i], key) || lines.v[i][key_len] != '=')
			continue;
		value = gp_strdup(arena, gp_trim(arena, lines.v[i] + key_len + 1));
		value += strspn(value, "\"'");
		len = strlen(value);
		while (len && strchr("\"'", value[len - 1]))
			value[--len] = '\0';
	}
	return value;
}

bool gp_ufw_is_broad(const struct gp_ufw_rule *rule)
{
	return !rule->route && !rule->out && !rule->dst && !rule->src && !rule->sport && !rule->in_on;
}

bool gp_ufw_covers(const struct gp_ufw_rule *rule, uint16_t port, bool udp)
{
	if (rule->route || rule->out || (!gp_streq(rule->proto, "any") && !gp_streq(rule->proto, udp ? "udp" : "tcp")))
		return false;
	for (size_t i = 0; i < rule->n_ports; i++)
		if (port >= rule->ports[i].lo && port <= rule->ports[i].hi)
			return true;
	return rule->n_ports == 0;
}

static bool denies(const struct gp_ufw_rule *rule)
{
	return rule->action == GP_UFW_DENY || rule->action == GP_UFW_REJECT;
}

/* Everybody who comes to one of our addresses or interfaces, other than from this host itself. */
static bool denies_everybody_somewhere(const struct gp_ufw_rule *rule)
{
	return denies(rule) && !rule->src && !rule->sport && (!rule->in_on || !gp_streq(rule->in_on, "lo"));
}

enum gp_ufw_verdict gp_ufw_judge(const struct gp_ufw_rules *rules, uint16_t port, bool udp, bool limit, bool careful,
	const struct gp_ufw_rule **ret_rule)
{
	for (size_t i = 0; i < rules->n; i++) {
		const struct gp_ufw_rule *rule = &rules->v[i];

		if (!gp_ufw_covers(rule, port, udp) || (!gp_ufw_is_broad(rule) && !(careful && denies_everybody_somewhere(rule))))
			continue;
		*ret_rule = rule;
		return rule->action == GP_UFW_ALLOW || (rule->action == GP_UFW_LIMIT && limit) ? GP_UFW_OPEN : GP_UFW_SHUT;
	}
	return GP_UFW_UNDECIDED;
}

/* "8080/tcp", "10.1.2.3 8080/tcp", "anywhere", "WWW Full" */
static const char *end_words(struct gp_arena *arena, const char *address, const char *port, const char *app, const char *proto)
{
	const char *what = app ? app : port, *slash = app || gp_streq(proto, "any") ? "" : "/";

	if (!what)
		what = address ? address : "anywhere";
	else if (address)
		what = gp_sprintf(arena, "%s %s", address, what);
	return gp_sprintf(arena, "%s%s%s", what, slash, *slash ? proto : "");
}

const char *gp_ufw_words(struct gp_arena *arena, const struct gp_ufw_rule *rule)
{
	bool from = rule->src || rule->sport || rule->sapp;

	return gp_sprintf(arena, "%s%s%s%s%s %s%s%s%s%s%s%s", rule->route ? "route " : "", actions[rule->action], rule->out ? " out" : "",
		*rule->log ? " " : "", rule->log, end_words(arena, rule->dst, rule->dport, rule->dapp, rule->proto), from ? " from " : "",
		from ? end_words(arena, rule->src, rule->sport, rule->sapp, rule->sport ? rule->proto : "any") : "",
		rule->in_on ? rule->route ? " in on " : " on " : "", rule->in_on ? rule->in_on : "",
		rule->out_on ? rule->route ? " out on " : " on " : "", rule->out_on ? rule->out_on : "");
}

static const char *quoted(struct gp_arena *arena, const char *app)
{
	return strchr(app, ' ') ? gp_sprintf(arena, "'%s'", app) : app;
}

/* " port 80", " app 'WWW Full'", "" */
static const char *end_command(struct gp_arena *arena, const char *port, const char *app)
{
	if (app)
		return gp_sprintf(arena, " app %s", quoted(arena, app));
	return port ? gp_sprintf(arena, " port %s", port) : "";
}

const char *gp_ufw_delete(struct gp_arena *arena, const struct gp_ufw_rule *rule)
{
	const char *head = gp_sprintf(arena, "ufw %sdelete %s", rule->route ? "route " : "", actions[rule->action]);
	const char *log = *rule->log ? gp_sprintf(arena, " %s", rule->log) : "";
	bool any_proto = gp_streq(rule->proto, "any"), plain = gp_ufw_is_broad(rule) && !rule->sapp;

	if (plain && rule->dapp)
		return gp_sprintf(arena, "%s%s %s", head, log, quoted(arena, rule->dapp));
	if (plain && rule->dport)
		return gp_sprintf(arena, "%s%s %s%s%s", head, log, rule->dport, any_proto ? "" : "/", any_proto ? "" : rule->proto);
	if (rule->in_on)
		head = gp_sprintf(arena, "%s in on %s", head, rule->in_on);
	if (rule->out_on || rule->out)
		head = gp_sprintf(arena, "%s out%s%s", head, rule->out_on ? " on " : "", rule->out_on ? rule->out_on : "");
	return gp_sprintf(arena, "%s%s from %s%s to %s%s%s%s", head, log, rule->src ? rule->src : "any",
		end_command(arena, rule->sport, rule->sapp), rule->dst ? rule->dst : "any", end_command(arena, rule->dport, rule->dapp),
		any_proto || rule->dapp || rule->sapp ? "" : " proto ", any_proto || rule->dapp || rule->sapp ? "" : rule->proto);
}
