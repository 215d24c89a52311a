/*
 * The grammars over any text. Not a second implementation but what the rest of the program relies on: which characters a name
 * can never hold, that no name is an option, that no path leaves its folder, that a number is what it says.
 */
#include <arpa/inet.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/parse.h"
#include "base/secret.h"
#include "base/str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int truth, const char *kind, const char *what)
{
	if (truth)
		return;
	fprintf(stderr, "broken: %s: %s\n", kind, what);
	abort();
}

/* For each kind: bytes it never holds. Blanks and control characters are in none. */
static const char *const never[] = {
	[GP_NAME_slug] = "./\\\"'`$;:@_", [GP_NAME_domain] = "/\\\"'`$;:@_{}*", [GP_NAME_ref] = "~^:?*[\\",
	[GP_NAME_repo] = "\"'\\`$;|&<>", [GP_NAME_module] = "/\\\"'`$;:@-()", [GP_NAME_wsgi] = "/\\\"'`$;@-()",
	[GP_NAME_dropin] = "/\\\"'`$;:@", [GP_NAME_user] = "./\\\"'`$;:@", [GP_NAME_package] = "/\\\"'`$;:@=_", [GP_NAME_dbname] = "./\\\"'`$;:@-",
	[GP_NAME_envkey] = "./\\\"'`$;:@-=", [GP_NAME_urlpath] = "\"'`\\{}#", [GP_NAME_relpath] = "\"'`\\{}",
	[GP_NAME_abspath] = "\"'`\\{}", [GP_NAME_python] = "/\\\"'`$;:@-", [GP_NAME_host] = "/\\\"'`$;@[]",
	[GP_NAME_port] = "\\\"'`$;:@.-+",
	[GP_NAME_size] = "./\\\"'`$;:@-+ ", [GP_NAME_swap] = "./\\\"'`$;:@-+ ", [GP_NAME_sysctl] = "\\\"'`$;:@= ",
	[GP_NAME_sshkey] = "\n",
};

static void check_path(struct gp_arena *arena, const char *kind, const char *text)
{
	char *copy = gp_strdup(arena, text), *rest = copy, *part;

	while ((part = strsep(&rest, "/")))
		must(!gp_streq(part, ".."), kind, "never leaves its folder");
}

static void check_domain(struct gp_arena *arena, const char *text)
{
	char *copy = gp_strdup(arena, text), *rest = copy, *label;
	unsigned char address[16];

	must(strlen(text) <= 253, "domain", "not longer than DNS allows");
	must(inet_pton(AF_INET, text, address) != 1, "domain", "no address");
	while ((label = strsep(&rest, "."))) {
		size_t len = strlen(label);

		must(len >= 1 && len <= 63, "domain", "labels of 1 to 63");
		must(label[0] != '-' && label[len - 1] != '-', "domain", "no dash at a label's edge");
	}
}

/* git hands the host to ssh, and a "word::" or an unknown "word://" to a program of that name. */
static void check_repo(struct gp_arena *arena, const char *text)
{
	const char *scheme = strstr(text, "://"), *at;
	struct gp_secrets secrets = { .arena = arena };

	must(!gp_starts_with(text + strcspn(text, ":/"), "::"), "repo", "no remote helper");
	if (text[0] == '/')
		return;
	if (scheme && strcspn(text, ":/") == (size_t)(scheme - text)) {
		static const char *const known[] = { "https", "http", "ssh", "git", "file" };
		size_t found = 0;

		for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
			found += strlen(known[i]) == (size_t)(scheme - text) && gp_starts_with(text, known[i]);
		must(found == 1, "repo", "a known transport");
		if (gp_starts_with(text, "file"))
			return;
		must(scheme[3] != '-', "repo", "no option in front");
		at = memrchr(scheme + 3, '@', strcspn(scheme + 3, "/"));
		must(!at || at[1] != '-', "repo", "no option behind the user");
		if (at) /* a '@' further on would be taken for the end of a password: here it is part of the path */
			gp_secret_add(&secrets, gp_strndup(arena, text, (size_t)(at + 1 - text)));
		must(secrets.n == 0, "repo", "no password");
		return;
	}
	at = strchr(text, '@');
	must(strchr(text, ':') != NULL, "repo", "host:path");
	must(!at || at > strchr(text, ':') || at[1] != '-', "repo", "no option behind the user");
}

static void check_kind(struct gp_arena *arena, enum gp_name_kind kind, const char *text)
{
	const char *name = gp_name_kind_name(kind);
	struct gp_error err = { 0 };
	bool ok = gp_name_ok(kind, text);

	must((gp_name_check(kind, text, GP_E_USAGE, &err) == 0) == ok, name, "both functions agree");
	if (!ok) {
		must(err.kind == GP_E_USAGE && err.msg[0], name, "a refusal says why");
		must(gp_streq(err.hint, gp_name_words(kind)), name, "and what is wanted");
		for (const unsigned char *p = (const unsigned char *)err.msg; *p; p++)
			must(*p >= 0x20 && *p != 0x7f && !(*p == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0), name, "a tame message");
		return;
	}
	must(text[0] && strlen(text) <= (kind == GP_NAME_envkey || kind == GP_NAME_sshkey ? SIZE_MAX : 1000), name, "a length within reason");
	must(text[0] != '-', name, "no option");
	must(text[strcspn(text, never[kind])] == '\0', name, "none of its forbidden characters");
	for (const unsigned char *p = (const unsigned char *)text; *p; p++)
		must(*p > (kind == GP_NAME_sshkey ? 0x1f : 0x20) && *p != 0x7f, name, "no blanks, no control characters");
	if (kind == GP_NAME_relpath || kind == GP_NAME_abspath) {
		must((text[0] == '/') == (kind == GP_NAME_abspath), name, "relative or absolute");
		check_path(arena, name, text);
	} else if (kind == GP_NAME_domain) {
		check_domain(arena, text);
	} else if (kind == GP_NAME_repo) {
		check_repo(arena, text);
	} else if (kind == GP_NAME_ref) {
		must(!strstr(text, "..") && !strstr(text, "@{"), name, "no range");
	}
}

static void check_int(const char *text)
{
	int64_t value = 42;
	char again[32];
	const char *digits = text;

	if (!gp_parse_int(text, -1000000, 1000000, &value)) {
		must(value == 42, "int", "written on success only");
		return;
	}
	must(value >= -1000000 && value <= 1000000, "int", "within its bounds");
	if (digits[0] == '-')
		digits++;
	while (digits[0] == '0' && digits[1])
		digits++;
	snprintf(again, sizeof(again), "%lld", llabs((long long)value));
	must(gp_streq(again, digits), "int", "says what the text says");
	must(value == 0 || (text[0] == '-') == (value < 0), "int", "has the text's sign");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	const char *text = gp_strndup(arena, (const char *)data, size);

	for (int kind = 0; kind < (int)(sizeof(never) / sizeof(never[0])); kind++)
		check_kind(arena, (enum gp_name_kind)kind, text);
	check_int(text);
	return 0;
}
