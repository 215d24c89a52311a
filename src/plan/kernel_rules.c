/* Asked from the kernel's nf_tables. Rules of the iptables before that (iptables-legacy) live apart and need its own program. */
#include "plan/kernel_rules.h"

#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"
#include "sys/ctx.h"
#include "sys/fs.h"
#include "sys/netfilter.h"
#include "sys/proc.h"
#include "sys/unit.h"

enum { LEGACY_TIMEOUT_MS = 10000, LEGACY_OUTPUT_MAX = 1 << 20 };

/* Does iptables-legacy have tables in this kernel? */
static bool has_legacy(struct gp_ctx *ctx, bool v6)
{
	const char *text;

	return gp_fs_read(ctx->arena, v6 ? "/proc/net/ip6_tables_names" : "/proc/net/ip_tables_names", 4096, &text, NULL, NULL) == 1 && *text;
}

static bool jumps_to(const struct gp_nft *rules, size_t n, const char *chain)
{
	for (size_t i = 0; i < n; i++)
		if (gp_streq(rules[i].jump, chain))
			return true;
	return false;
}

bool gp_ufw_is_loaded(struct gp_ctx *ctx, bool v6)
{
	const char *family = v6 ? "ip6" : "ip";
	struct gp_nft *input, *user;
	size_t n_input, n_user;

	if (has_legacy(ctx, v6) || gp_nft_rules(ctx->arena, family, "filter", "INPUT", &input, &n_input, NULL) < 0 ||
		gp_nft_rules(ctx->arena, family, "filter", v6 ? "ufw6-user-input" : "ufw-user-input", &user, &n_user, NULL) < 0)
		return true;
	return n_user && jumps_to(input, n_input, v6 ? "ufw6-before-input" : "ufw-before-input");
}

/* In the order in which ufw-init hooks them in. */
static const char *const stages[] = { "before-logging", "before", "after", "after-logging", "reject", "track" };

static const struct {
	const char *chain, *suffix;
} builtin[] = { { "INPUT", "input" }, { "OUTPUT", "output" }, { "FORWARD", "forward" } };

/* What iptables-restore is to be told: the jumps that are missing from the built-in chains; "" for none. */
static int missing_jumps(struct gp_ctx *ctx, bool v6, const char **ret, struct gp_error *err)
{
	const char *ufw = v6 ? "ufw6" : "ufw", *lines = "";

	for (size_t i = 0; i < sizeof(builtin) / sizeof(builtin[0]); i++) {
		struct gp_nft *rules;
		size_t n;

		GP_TRY(gp_nft_rules(ctx->arena, v6 ? "ip6" : "ip", "filter", builtin[i].chain, &rules, &n, err));
		for (size_t k = 0; k < sizeof(stages) / sizeof(stages[0]); k++) {
			const char *to = gp_sprintf(ctx->arena, "%s-%s-%s", ufw, stages[k], builtin[i].suffix);

			if (!jumps_to(rules, n, to))
				lines = gp_sprintf(ctx->arena, "%s-A %s -j %s\n", lines, builtin[i].chain, to);
		}
	}
	*ret = *lines ? gp_sprintf(ctx->arena, "*filter\n%sCOMMIT\n", lines) : "";
	return 0;
}

int gp_ufw_hook(struct gp_ctx *ctx, bool v6, struct gp_error *err)
{
	const char *list = v6 ? "ip6tables" : "iptables", *restore = v6 ? "ip6tables-restore" : "iptables-restore", *text;
	const char *chain = v6 ? "ufw6-before-logging-input" : "ufw-before-logging-input"; /* the one that ufw-init looks for */
	GP_AUTO_RESULT result = { 0 };

	if (has_legacy(ctx, v6) || missing_jumps(ctx, v6, &text, NULL) < 0 || !*text)
		return 0;
	GP_TRY(gp_proc_run(&(struct gp_proc){ .argv = GP_ARGV(list, "-w", "10", "-n", "-L", chain) }, &result, err));
	if (result.status != 0)
		return 0; /* not there: ufw makes it, and the jump to it */
	return gp_proc_must(&(struct gp_proc){ .argv = GP_ARGV(restore, "-w", "10", "-n"), .input = text, .input_len = strlen(text) }, NULL,
		err);
}

/* Chains of UFW and of fail2ban. UFW's stay in the kernel, empty, when it is disabled. */
static bool is_known(const char *chain)
{
	return gp_starts_with(chain, "ufw-") || gp_starts_with(chain, "ufw6-") || gp_starts_with(chain, "f2b-");
}

/* One of the tables that iptables(8) makes as soon as somebody only looks. */
static bool is_iptables(const struct gp_nft *table)
{
	static const char *const names[] = { "filter", "nat", "mangle", "raw", "security" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (gp_streq(table->table, names[i]))
			return gp_streq(table->family, "ip") || gp_streq(table->family, "ip6");
	return false;
}

static int is_active(struct gp_ctx *ctx, const char *unit, bool *ret, struct gp_error *err)
{
	struct gp_unit_state state;
	struct gp_bus *bus;

	GP_TRY(gp_ctx_bus(ctx, &bus, err));
	GP_TRY(gp_unit_state(bus, ctx->arena, unit, &state, err));
	*ret = gp_streq(state.active, "active");
	return 0;
}

/* nftables.service with a table, even if there is no rule in it yet: somebody means to use it. */
static int own_service(struct gp_ctx *ctx, const char **ret, struct gp_error *err)
{
	struct gp_nft *tables;
	bool active;
	size_t n;

	GP_TRY(is_active(ctx, "firewalld.service", &active, err));
	if (active) {
		*ret = "firewalld is active";
		return 0;
	}
	GP_TRY(is_active(ctx, "nftables.service", &active, err));
	if (!active || gp_nft_tables(ctx->arena, &tables, &n, NULL) < 0)
		return 0;
	for (size_t i = 0; i < n && !*ret; i++)
		if (!is_iptables(&tables[i]) && !is_known(tables[i].table))
			*ret = gp_sprintf(ctx->arena, "nftables.service is active, with table %s %s", tables[i].family, tables[i].table);
	return 0;
}

/* What lets a host talk to itself is no firewall: ufw leaves such rules behind where it was told to do without IPv6. */
static bool is_own(const struct gp_nft *rule)
{
	return !rule->loopback && !is_known(rule->table) && !is_known(rule->chain) && !is_known(rule->jump);
}

static const char *own_rule(struct gp_ctx *ctx)
{
	struct gp_nft *rules;
	size_t n;

	if (gp_nft_rules(ctx->arena, NULL, NULL, NULL, &rules, &n, NULL) < 0)
		return NULL;
	for (size_t i = 0; i < n; i++)
		if (is_own(&rules[i]))
			return gp_sprintf(ctx->arena, "there are rules in table %s %s, chain %s", rules[i].family, rules[i].table, rules[i].chain);
	return NULL;
}

/* "-A INPUT -s 10.0.0.0/8 -j ACCEPT" */
static bool is_own_line(struct gp_arena *arena, const char *line)
{
	struct gp_strv words = gp_words(arena, line);

	if (words.n < 2 || !gp_streq(words.v[0], "-A") || is_known(words.v[1]))
		return false;
	for (size_t i = 2; i + 1 < words.n; i++)
		if ((gp_streq(words.v[i], "-j") || gp_streq(words.v[i], "-g")) && is_known(words.v[i + 1]))
			return false;
	return true;
}

static int own_legacy_rule(struct gp_ctx *ctx, bool v6, const char **ret, struct gp_error *err)
{
	const char *program = v6 ? "ip6tables-legacy-save" : "iptables-legacy-save";
	GP_AUTO_RESULT result = { 0 };
	struct gp_strv lines;

	if (!has_legacy(ctx, v6) || !gp_proc_have(program))
		return 0;
	GP_TRY(gp_proc_must(&(struct gp_proc){ .argv = GP_ARGV(program), .timeout_ms = LEGACY_TIMEOUT_MS,
		.output_max = LEGACY_OUTPUT_MAX }, &result, err));
	lines = gp_lines(ctx->arena, gp_buf_str(&result.out));
	for (size_t i = 0; i < lines.n && !*ret; i++)
		if (is_own_line(ctx->arena, lines.v[i]))
			*ret = gp_sprintf(ctx->arena, "there are rules of %s", program);
	return 0;
}

int gp_own_firewall(struct gp_ctx *ctx, const char **ret, struct gp_error *err)
{
	const char *found = NULL;

	GP_TRY(own_service(ctx, &found, err));
	if (!found)
		found = own_rule(ctx);
	if (!found)
		GP_TRY(own_legacy_rule(ctx, false, &found, err));
	if (!found)
		GP_TRY(own_legacy_rule(ctx, true, &found, err));
	*ret = found;
	return 0;
}
