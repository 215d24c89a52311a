/*
 * Any bytes as lines of authorized_keys, and as sshd_config(5). A key that is taken is taken again when it is put together from its parts;
 * a line of configuration says where it stands; who is let in is decided within a reasonable time.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/arena.h"
#include "base/sshdconf.h"
#include "base/sshkey.h"

#include "must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_key(struct gp_arena *arena, const char *line)
{
	struct gp_sshkey key, again;

	if (!gp_sshkey_parse(arena, line, &key))
		return;
	must(strlen(key.blob) % 4 == 0 && strlen(key.blob) >= 16, "a blob of base64");
	must((key.bits != 0) == gp_streq(key.type, "ssh-rsa"), "bits are RSA's");
	must(gp_sshkey_parse(arena, gp_sprintf(arena, "%s%s%s %s %s", key.options, *key.options ? " " : "", key.type, key.blob, key.comment),
			&again), "a key stays a key");
	must(gp_streq(key.options, again.options) && gp_streq(key.type, again.type) && gp_streq(key.blob, again.blob), "the same key");
	must(*key.options || gp_sshkey_unrestricted(arena, &key), "no options restrict nothing");
}

static void check_conf(struct gp_arena *arena, const char *text, size_t lines)
{
	struct gp_strv groups = { 0 };
	struct gp_sshdconf conf;
	const char *by;

	gp_sshdconf_parse(arena, text, &conf);
	must(conf.n <= lines, "no more settings than lines");
	for (size_t i = 0; i < conf.n; i++) {
		must(conf.v[i].line > (i ? conf.v[i - 1].line : 0) && conf.v[i].line <= lines, "in order");
		must(conf.v[i].keyword[0] && !strpbrk(conf.v[i].keyword, " \t\n=ABC"), "a keyword is one word, lower case");
		must(!strchr(conf.v[i].value, '\n'), "a value is of one line");
		must(conf.v[i].match || gp_sshdconf_get(&conf, conf.v[i].keyword) != NULL, "what is set is found");
		must(gp_sshdconf_match("*", conf.v[i].value), "a star matches all");
	}
	gp_strv_add(arena, &groups, "deploy");
	by = gp_sshdconf_excludes(arena, &conf, "deploy", &groups);
	must(!by || strstr("DenyUsers AllowUsers DenyGroups AllowGroups", by), "by one of four");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	const char *text = gp_strndup(arena, (const char *)data, size < 65536 ? size : 65536);
	struct gp_strv lines = gp_lines(arena, text);

	for (size_t i = 0; i < lines.n; i++)
		check_key(arena, lines.v[i]);
	check_conf(arena, text, lines.n);
	return 0;
}
