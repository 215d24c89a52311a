/*
 * UFW's rules files over any bytes. What comes out is shown on a terminal and stands in commands that a person copies: no character
 * in it means anything to either. What is shown of a rule was in the file, and a verdict names a rule that covers the port.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/arena.h"
#include "base/str.h"
#include "base/ufw.h"

#include "must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *text)
{
	must(strlen(text) < 1024, "a line stays a line");
	for (const unsigned char *p = (const unsigned char *)text; *p; p++)
		must(*p >= 0x20 && *p < 0x7f && !strchr("\"\\`$;|&<>(){}*?#~", *p), "nothing that a terminal or a shell would act on");
}

static void check_rule(struct gp_arena *arena, const struct gp_ufw_rule *rule)
{
	const char *command = gp_ufw_delete(arena, rule);
	size_t quotes = 0;

	must(rule->n_ports <= GP_UFW_PORTS_MAX && !rule->dport == !rule->n_ports, "ports are read");
	for (size_t i = 0; i < rule->n_ports; i++)
		must(rule->ports[i].lo <= rule->ports[i].hi, "a range goes up");
	check_text(gp_ufw_words(arena, rule));
	check_text(command);
	must(gp_starts_with(command, rule->route ? "ufw route delete " : "ufw delete "), "a command");
	for (const char *p = command; *p; p++)
		quotes += *p == '\'';
	must(quotes % 2 == 0, "quotes are closed");
}

static void check_ports(const struct gp_ufw_rules *rules)
{
	static const uint16_t ports[] = { 0, 22, 80, 443, 5432, 65535 };

	for (size_t i = 0; i < sizeof(ports) / sizeof(ports[0]); i++) {
		for (int how = 0; how < 8; how++) {
			const struct gp_ufw_rule *rule = NULL;
			enum gp_ufw_verdict verdict = gp_ufw_judge(rules, ports[i], how & 1, how & 2, how & 4, &rule);

			must((verdict == GP_UFW_UNDECIDED) == !rule, "a verdict has a rule");
			must(!rule || gp_ufw_covers(rule, ports[i], how & 1), "that covers the port");
			must(!rule || verdict != GP_UFW_OPEN || (gp_ufw_is_broad(rule) && rule->action != GP_UFW_DENY), "and opens it to all");
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	struct gp_ufw_rules rules;
	const char *value, *text = gp_strndup(arena, (const char *)data, size);

	gp_ufw_parse(arena, (const char *)data, size, false, &rules);
	must((rules.n + rules.unreadable) * strlen("### tuple ###") <= size, "no rule out of nothing");
	must(!rules.unreadable == !rules.line, "what is unreadable has a line");
	for (size_t i = 0; i < rules.n; i++)
		check_rule(arena, &rules.v[i]);
	check_ports(&rules);
	value = gp_ufw_setting(arena, text, "ENABLED");
	must(!value || strlen(value) < size, "a value was in the file");
	return 0;
}
