/*
 * Resource type: UFW. Read from its own files (ufw(8), FILES): `ufw status` takes 56 ms, these take none. Changed only through ufw
 * itself (and see gp_ufw_hook), and only by adding: what others wrote is told of and stays.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/ufw.h"
#include "plan/kernel_rules.h"
#include "plan/types.h"
#include "sys/ctx.h"
#include "sys/fs.h"
#include "sys/proc.h"
#include "sys/unit.h"

#define SERVICE "ufw.service"

enum { RULES_MAX = 4 << 20, FOREIGN_MAX = 50 };

/* What is for this host alone: an open database is no secret for long. */
static const uint16_t never[] = { 5432, 6379 };
enum { N_NEVER = sizeof(never) / sizeof(never[0]) };

struct state {
	bool enabled, denies, ipv6;
	bool loaded;      /* the kernel really has its chains; only asked where it is enabled */
	const char *boot; /* the state of the unit's file: "enabled" */
	struct gp_ufw_rules v4, v6;
};

static int read_file(struct gp_ctx *ctx, const char *path, const char **ret, size_t *ret_len, struct gp_error *err)
{
	int there = gp_fs_read(ctx->arena, path, RULES_MAX, ret, ret_len, err);

	if (there == 0)
		return gp_fail(err, GP_E_FAILED, "there is no %s: is ufw installed?", path);
	return there < 0 ? -1 : 0;
}

static bool is_set_to(struct gp_ctx *ctx, const char *text, const char *key, const char *value)
{
	const char *is = gp_ufw_setting(ctx->arena, text, key);

	return is && strcasecmp(is, value) == 0;
}

static int read_rules(struct gp_ctx *ctx, const char *path, bool v6, struct gp_ufw_rules *ret, struct gp_error *err)
{
	const char *text;
	size_t len;

	GP_TRY(read_file(ctx, path, &text, &len, err));
	gp_ufw_parse(ctx->arena, text, len, v6, ret);
	return 0;
}

static int read_state(struct gp_ctx *ctx, struct state *ret, struct gp_error *err)
{
	const char *conf, *defaults;
	struct gp_unit_state unit;
	struct state state = { 0 };
	struct gp_bus *bus;

	GP_TRY(read_file(ctx, "/etc/ufw/ufw.conf", &conf, NULL, err));
	GP_TRY(read_file(ctx, "/etc/default/ufw", &defaults, NULL, err));
	state.enabled = is_set_to(ctx, conf, "ENABLED", "yes");
	state.denies = is_set_to(ctx, defaults, "DEFAULT_INPUT_POLICY", "drop") ||
		is_set_to(ctx, defaults, "DEFAULT_INPUT_POLICY", "reject");
	/* ufw says the same: a kernel without IPv6 needs no rules for it. */
	state.ipv6 = is_set_to(ctx, defaults, "IPV6", "yes") && gp_fs_exists("/proc/sys/net/ipv6");
	GP_TRY(read_rules(ctx, "/etc/ufw/user.rules", false, &state.v4, err));
	if (state.ipv6)
		GP_TRY(read_rules(ctx, "/etc/ufw/user6.rules", true, &state.v6, err));
	state.loaded = state.enabled && gp_ufw_is_loaded(ctx, false) && (!state.ipv6 || gp_ufw_is_loaded(ctx, true));
	GP_TRY(gp_ctx_bus(ctx, &bus, err));
	GP_TRY(gp_unit_glance(bus, ctx->arena, SERVICE, &unit, err));
	/* Where it is linked it is enabled; what else it may be takes systemd a look through all its folders. */
	if (gp_streq(unit.load, "loaded") && gp_unit_is_linked(ctx->arena, SERVICE))
		unit.file = "enabled";
	else
		GP_TRY(gp_unit_state(bus, ctx->arena, SERVICE, &unit, err));
	if (gp_streq(unit.load, "masked")) {
		gp_fail(err, GP_E_REFUSED, "%s is masked: somebody does not want the firewall at boot", SERVICE);
		return gp_hint(err, "`systemctl unmask %s`, then this again; or `firewall: off` in host.yaml", SERVICE);
	}
	state.boot = unit.file;
	*ret = state;
	return 0;
}

static const char *port_words(struct gp_ctx *ctx, const struct gp_port *port)
{
	return gp_sprintf(ctx->arena, "%u/%s", port->port, port->udp ? "udp" : "tcp");
}

/* Open only where all address families are; the rule that shuts it in one of them. */
static enum gp_ufw_verdict judge(const struct state *state, const struct gp_port *port, const struct gp_ufw_rule **ret)
{
	enum gp_ufw_verdict v4 = gp_ufw_judge(&state->v4, port->port, port->udp, port->ssh, port->ssh, ret), v6;

	if (!state->ipv6 || v4 == GP_UFW_SHUT)
		return v4;
	v6 = gp_ufw_judge(&state->v6, port->port, port->udp, port->ssh, port->ssh, ret);
	return v6 == GP_UFW_SHUT || v4 == GP_UFW_OPEN ? v6 : v4;
}

/* A rule that shuts ssh is somebody's choice where it is in force already. To put it in force would lock them out. */
static int check_ssh(struct gp_ctx *ctx, const struct state *state, const struct gp_firewall *spec, struct gp_error *err)
{
	const struct gp_ufw_rule *rule;

	if (state->enabled && state->loaded)
		return 0;
	if (spec->v6 && !state->ipv6) {
		gp_fail(err, GP_E_REFUSED, "/etc/default/ufw says IPV6=no, which drops all of IPv6, and this host is reached by it");
		return gp_hint(err, "set IPV6=yes there, then this again");
	}
	for (size_t i = 0; i < spec->n; i++) {
		if (!spec->ports[i].ssh || judge(state, &spec->ports[i], &rule) != GP_UFW_SHUT)
			continue;
		gp_fail(err, GP_E_REFUSED, "ufw has a rule '%s', and sshd listens on %u: to enable it would lock you out",
			gp_ufw_words(ctx->arena, rule), spec->ports[i].port);
		return gp_hint(err, "`%s`, then this again", gp_ufw_delete(ctx->arena, rule));
	}
	return 0;
}

/* ---- rules of others */

/* Every port of the rule is one that we want open, and it does open it. */
static bool is_ours(const struct gp_firewall *spec, const struct gp_ufw_rule *rule)
{
	if (!gp_ufw_is_broad(rule) || !rule->n_ports || (rule->action != GP_UFW_ALLOW && rule->action != GP_UFW_LIMIT))
		return false;
	for (size_t i = 0; i < rule->n_ports; i++) {
		bool needed = false;

		for (size_t k = 0; k < spec->n && !needed; k++)
			needed = rule->ports[i].lo == rule->ports[i].hi && spec->ports[k].port == rule->ports[i].lo &&
				gp_ufw_covers(rule, spec->ports[k].port, spec->ports[k].udp) && (rule->action == GP_UFW_ALLOW || spec->ports[k].ssh);
		if (!needed)
			return false;
	}
	return true;
}

/* The walk over one family's rules, in their order. */
struct walk {
	struct gp_ctx *ctx;
	const struct gp_resource *resource;
	struct gp_changes *changes;
	const struct gp_ufw_rule **shutting; /* rules that were told of already: they shut a port that must be open */
	size_t n_shutting;
	struct gp_strv seen;       /* IPv4's rules in words, sorted before IPv6's are looked at: most stand in both files */
	size_t told, left_out;
	bool denied[N_NEVER];      /* a rule before this one denies it to everybody */
};

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* "5432 and 6379", those that the rule opens to the world; NULL: none. */
static const char *opens(struct walk *w, const struct gp_ufw_rule *rule)
{
	bool allows = rule->action == GP_UFW_ALLOW || rule->action == GP_UFW_LIMIT;
	struct gp_strv ports = { 0 };

	for (size_t i = 0; i < N_NEVER; i++) {
		if (rule->src || rule->sport || rule->in_on || !gp_ufw_covers(rule, never[i], false))
			continue;
		if (allows && !w->denied[i])
			gp_strv_add(w->ctx->arena, &ports, gp_sprintf(w->ctx->arena, "%u", never[i]));
		w->denied[i] = w->denied[i] || (!allows && !rule->dst);
	}
	return ports.n ? gp_strv_join(w->ctx->arena, &ports, " and ") : NULL;
}

static void tell(struct walk *w, const struct gp_ufw_rule *rule, const char *words, const char *opened)
{
	/* A database that is open is always told of, however many other rules there are. */
	if (opened)
		gp_change_add(w->ctx, w->changes, '!', w->resource, "foreign rule: %s opens %s to the world: `%s`", words, opened,
			gp_ufw_delete(w->ctx->arena, rule));
	else if (w->told++ < FOREIGN_MAX)
		gp_change_add(w->ctx, w->changes, '!', w->resource, "foreign rule: %s", words);
	else
		w->left_out++;
}

static bool is_told(const struct walk *w, const struct gp_ufw_rule *rule)
{
	for (size_t i = 0; i < w->n_shutting; i++)
		if (w->shutting[i] == rule)
			return true;
	return false;
}

static void tell_family(struct walk *w, const struct gp_ufw_rules *rules, const char *file, bool v6)
{
	size_t sorted = w->seen.n;

	memset(w->denied, 0, sizeof(w->denied));
	for (size_t i = 0; i < rules->n; i++) {
		const struct gp_ufw_rule *rule = &rules->v[i];
		const char *opened = opens(w, rule), *words;

		if (is_ours(w->resource->spec, rule))
			continue;
		words = gp_ufw_words(w->ctx->arena, rule);
		if (v6 && sorted && bsearch(&words, w->seen.v, sorted, sizeof(words), by_text))
			continue;
		gp_strv_add(w->ctx->arena, &w->seen, words);
		if (!is_told(w, rule))
			tell(w, rule, v6 && !rule->src && !rule->dst ? gp_sprintf(w->ctx->arena, "%s (v6)", words) : words, opened);
	}
	if (rules->unreadable)
		gp_change_add(w->ctx, w->changes, '!', w->resource, "%s: %zu rules that cannot be read, the first in line %zu", file,
			rules->unreadable, rules->line);
}

static void tell_foreign(struct walk *w, const struct state *state)
{
	tell_family(w, &state->v4, "/etc/ufw/user.rules", false);
	if (w->seen.n)
		qsort(w->seen.v, w->seen.n, sizeof(w->seen.v[0]), by_text);
	if (state->ipv6)
		tell_family(w, &state->v6, "/etc/ufw/user6.rules", true);
	if (w->left_out)
		gp_change_add(w->ctx, w->changes, '!', w->resource, "and %zu more foreign rules: `ufw status` shows them", w->left_out);
}

/* ---- diff and apply */

static void add_left_alone(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_changes *changes, const char *own)
{
	gp_change_add(ctx, changes, '!', resource, "left alone: %s; `firewall: ufw` in host.yaml takes over anyway, `firewall: off` is silent",
		own);
}

static int find_own(struct gp_ctx *ctx, const struct gp_firewall *spec, const char **ret, struct gp_error *err)
{
	*ret = NULL;
	return spec->yields ? gp_own_firewall(ctx, ret, err) : 0;
}

static void diff_ports(struct walk *w, const struct state *state)
{
	const struct gp_firewall *spec = w->resource->spec;

	w->shutting = gp_alloc_array(w->ctx->arena, spec->n + 1, sizeof(*w->shutting));
	for (size_t i = 0; i < spec->n; i++) {
		const char *port = port_words(w->ctx, &spec->ports[i]);
		const struct gp_ufw_rule *rule;

		switch (judge(state, &spec->ports[i], &rule)) {
		case GP_UFW_OPEN:
			break;
		case GP_UFW_UNDECIDED:
			gp_change_add(w->ctx, w->changes, '+', w->resource, "allow %s", port);
			break;
		case GP_UFW_SHUT:
			gp_change_add(w->ctx, w->changes, '!', w->resource, "%s is shut by a rule '%s': `%s`", port,
				gp_ufw_words(w->ctx->arena, rule), gp_ufw_delete(w->ctx->arena, rule));
			w->shutting[w->n_shutting++] = rule;
			break;
		}
	}
}

static bool starts_at_boot(const struct state *state)
{
	return gp_streq(state->boot, "enabled") || gp_streq(state->boot, "static") || gp_streq(state->boot, "generated");
}

static int diff(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_changes *changes, struct gp_error *err)
{
	struct walk w = { .ctx = ctx, .resource = resource, .changes = changes };
	const char *own = NULL;
	struct state state;

	GP_TRY(read_state(ctx, &state, err));
	if (!state.enabled)
		GP_TRY(find_own(ctx, resource->spec, &own, err));
	if (own) {
		add_left_alone(ctx, resource, changes, own);
		return 0;
	}
	GP_TRY(check_ssh(ctx, &state, resource->spec, err));
	diff_ports(&w, &state);
	if (!state.denies)
		gp_change_add(ctx, changes, '~', resource, "default deny incoming");
	if (!starts_at_boot(&state))
		gp_change_add(ctx, changes, '~', resource, "start at boot");
	if (!state.enabled)
		gp_change_add(ctx, changes, '~', resource, "enable");
	else if (!state.loaded)
		gp_change_add(ctx, changes, '~', resource, "load: its rules are not in the kernel");
	tell_foreign(&w, &state);
	return 0;
}

/* As the package leaves its files: no rules, deny incoming, to be started at boot, not enabled. */
static void fresh(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_changes *changes)
{
	const struct gp_firewall *spec = resource->spec;
	const char *own;

	if (find_own(ctx, spec, &own, NULL) == 0 && own) {
		add_left_alone(ctx, resource, changes, own);
		return;
	}
	for (size_t i = 0; i < spec->n; i++)
		gp_change_add(ctx, changes, '+', resource, "allow %s", port_words(ctx, &spec->ports[i]));
	gp_change_add(ctx, changes, '~', resource, "enable");
}

/* What ufw says when the kernel has no netfilter for it, or does not let us. */
static bool is_no_netfilter(const struct gp_error *err)
{
	static const char *const signs[] = { "problem running", "initialize iptables", "initialize ip6tables", "Couldn't determine iptables version",
		"Operation not permitted", "Permission denied", "modprobe" };

	for (size_t i = 0; i < sizeof(signs) / sizeof(signs[0]); i++)
		if (strstr(err->msg, signs[i]) || strstr(err->detail, signs[i]))
			return true;
	return false;
}

static int ufw(const char *const *argv, struct gp_error *err)
{
	struct gp_error why = { 0 };

	if (gp_proc_must(&(struct gp_proc){ .argv = argv }, NULL, &why) == 0)
		return 0;
	if (is_no_netfilter(&why))
		gp_hint(&why, "this kernel may have no netfilter for us, as in many containers: then `firewall: off` in host.yaml, and filter outside");
	else
		gp_hint(&why, "`ufw --dry-run enable` and `/usr/share/ufw/check-requirements` say more; `firewall: off` in host.yaml goes on without");
	if (err)
		*err = why;
	return -1;
}

static int start_at_boot(struct gp_ctx *ctx, struct gp_error *err)
{
	struct gp_bus *bus;

	GP_TRY(gp_ctx_bus(ctx, &bus, err));
	return gp_unit_enable(bus, SERVICE, err);
}

/* Every port is allowed before anything is denied, and before it is enabled: no moment in which ssh is shut out. */
static int apply(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_error *err)
{
	const struct gp_firewall *spec = resource->spec;
	const struct gp_ufw_rule *rule;
	struct state state;

	GP_TRY(read_state(ctx, &state, err));
	GP_TRY(check_ssh(ctx, &state, spec, err));
	/* Enabled without its chains it cannot take a rule. What is not in the kernel is not missed there. */
	if (state.enabled && !state.loaded) {
		GP_TRY(ufw(GP_ARGV("ufw", "disable"), err));
		state.enabled = false;
	}
	for (size_t i = 0; i < spec->n; i++)
		if (judge(&state, &spec->ports[i], &rule) == GP_UFW_UNDECIDED)
			GP_TRY(ufw(GP_ARGV("ufw", "allow", port_words(ctx, &spec->ports[i])), err));
	if (!state.denies)
		GP_TRY(ufw(GP_ARGV("ufw", "default", "deny", "incoming"), err));
	if (!starts_at_boot(&state))
		GP_TRY(start_at_boot(ctx, err));
	if (state.enabled)
		return 0;
	GP_TRY(gp_ufw_hook(ctx, false, err));
	if (state.ipv6)
		GP_TRY(gp_ufw_hook(ctx, true, err));
	return ufw(GP_ARGV("ufw", "--force", "enable"), err);
}

const struct gp_resource_type gp_firewall_type = { .name = "firewall", .diff = diff, .fresh = fresh, .apply = apply };
