/* Lines of authorized_keys: what ssh-keygen writes is a key, what somebody broke is none, and which options let in less. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/sshkey.h"
#include "base/str.h"

#define ED "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMJ8byTNCLqwahltlN/ehaEA97lPCDZrkNCWf/g6l2vv"

static const struct {
	const char *type, *blob;
	unsigned bits;
} keys[] = {
	{ "ssh-ed25519", "AAAAC3NzaC1lZDI1NTE5AAAAIMJ8byTNCLqwahltlN/ehaEA97lPCDZrkNCWf/g6l2vv", 0 },
	{ "ecdsa-sha2-nistp256", "AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBE3y5SfaDg1aJ+AENuuCZna+VcyIJOTx0cEhmmjcVA6C8dEa"
		"2eAcOhARAQPjTYtUBVGm7BFmHydLnGJjtzDptZ0=", 0 },
	{ "ecdsa-sha2-nistp384", "AAAAE2VjZHNhLXNoYTItbmlzdHAzODQAAAAIbmlzdHAzODQAAABhBL243mPiVD/QjoogQaG8xQiThYXTfX2KuFTCrwH4cu11MsMm"
		"ZJzFkcel8xkYrkWI44tQkzJnUfLUxPptNZ5zrYI3UBpvTC90UjvAZQDBBezZkc0j2yA0ZGWeqEW8wF1l+A==", 0 },
	{ "ecdsa-sha2-nistp521", "AAAAE2VjZHNhLXNoYTItbmlzdHA1MjEAAAAIbmlzdHA1MjEAAACFBAHhfRe4BPnlGSIUKBCbuI6k7GhsCXRdhOEcjPHed12jqmn9"
		"wd7Nz/yQg1ba8cdiIr16HkMcsuc4gcQm8qYvOnwSRgFaoH6IZVO2WO8lkIEnRgHN9BTR/ljdjoPIm3/YfCRLAc6eHWQKdMV3Tsok"
		"ZPgaqKDECQaup3A6XGfZP4ixfraCeA==", 0 },
	{ "ssh-rsa", "AAAAB3NzaC1yc2EAAAADAQABAAABAQCbf7L/qwkXyPka725nomWKQwmx4FGz77rvynLZWzd28ERjErUlVlujGaMaEmXk41MnJXam"
		"fY28cskwJrsMFyKe5physCH3d7sWyw7L/jFkYhApUpXbdjvoczk3tEu3YwWAYH2WYpf+3snuUGVDzfPowdp9Y8pDnttWId3gehwJ"
		"/YrrNUN0jxSj+u473uuoZ4PGlavrGjSvwQ++sMK2aB/2y5r2e3On2A+rv4v8ZZWK+l+Srus6URRdN3640SbS2PemcxBO+C5UO/zT"
		"aC3BbGTGxQ9st2BUiAzXJ2rqVpOVMStMF2NR/1xQ9cj/tWVaXr1GXQAF3xS+PsLD+K/91mFp", 2048 },
	{ "ssh-rsa", "AAAAB3NzaC1yc2EAAAADAQABAAAAgQDGY6UOG4+BpsNo9bljZZEEDizkVw3g4jpGNNNreSyA5UiLz5Ac73z6CihUb3nPdgrV3FOV"
		"y21+CUP6rCNFDPjK901ZVhrTYUzUasJyaZCfHDoK1vzm9vOWEyCl2e7X/6HfxXUO/ag1c5YbWpgPBTVqaWHIpoJJqnPSTqcNRGal"
		"tw==", 1024 },
	{ "sk-ssh-ed25519@openssh.com", "AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4fAAAABHNzaDo=", 0 },
	{ "sk-ecdsa-sha2-nistp256@openssh.com", "AAAAInNrLWVjZHNhLXNoYTItbmlzdHAyNTZAb3BlbnNzaC5jb20AAAAIbmlzdHAyNTYAAABBBAABAgMEBQYHCAkKCwwNDg8QERIT"
		"FBUWFxgZGhscHR4fICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8AAAAEc3NoOg==", 0 },
};

static void test_types(void **state)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	struct gp_sshkey key;

	(void)state;
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		assert_true(gp_sshkey_parse(arena, gp_sprintf(arena, "%s %s", keys[i].type, keys[i].blob), &key));
		assert_string_equal(key.type, keys[i].type);
		assert_string_equal(key.blob, keys[i].blob);
		assert_int_equal(key.bits, keys[i].bits);
		assert_string_equal(key.comment, "");
		assert_string_equal(key.options, "");
		/* Not under another type's name, and not with a piece of it gone. */
		for (size_t k = 0; k < sizeof(keys) / sizeof(keys[0]); k++)
			if (!gp_streq(keys[k].type, keys[i].type))
				assert_false(gp_sshkey_parse(arena, gp_sprintf(arena, "%s %s", keys[k].type, keys[i].blob), &key));
		assert_false(gp_sshkey_parse(arena, gp_sprintf(arena, "%s %s", keys[i].type, keys[i].blob + 4), &key));
		for (size_t cut = 1; cut < 20; cut++)
			assert_false(gp_sshkey_parse(arena,
				gp_sprintf(arena, "%s %.*s", keys[i].type, (int)(strlen(keys[i].blob) - cut), keys[i].blob), &key));
	}
}

static void test_no_key(void **state)
{
	static const char *const lines[] = { "", " ", "# " ED, "\t#", "ssh-ed25519", "ssh-ed25519 ", "ssh-ed25519 AAAA", "AAAA ssh-ed25519",
		"ssh-ed25519 !!!!", "ssh-dss AAAAB3NzaC1kc3MAAAABAAAAAAE=", "-----BEGIN OPENSSH PRIVATE KEY-----", "command=\"" ED, "x \"" ED,
		"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAHwAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", /* 31 bytes */
		"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAXg=", /* one field too many */
		"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5/////wAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", /* a field longer than all */
		"ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAABAAAAAA=",     /* a modulus of nothing */
		"SSH-ED25519 AAAAC3NzaC1lZDI1NTE5AAAAIMJ8byTNCLqwahltlN/ehaEA97lPCDZrkNCWf/g6l2vv" };
	GP_AUTO_ARENA arena = gp_arena_new();
	struct gp_sshkey key = { .type = "untouched" };

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		if (gp_sshkey_parse(arena, lines[i], &key))
			fail_msg("taken: %s", lines[i]);
	assert_string_equal(key.type, "untouched");
	assert_false(gp_sshkey_parse(arena, gp_sprintf(arena, ED " %*s", GP_SSHKEY_MAX, "x"), &key));
}

static void test_options(void **state)
{
	static const struct {
		const char *line, *options, *comment;
		bool unrestricted;
	} cases[] = {
		{ ED, "", "", true },
		{ "  " ED "\tme @ home  ", "", "me @ home", true },
		{ "no-X11-forwarding,No-Port-Forwarding,pty " ED " c", "no-X11-forwarding,No-Port-Forwarding,pty", "c", true },
		{ "from=\"10.0.0.0/8\" " ED, "from=\"10.0.0.0/8\"", "", false },
		{ "command=\"echo \\\"log in as, ubuntu\\\"\",pty " ED " c", "command=\"echo \\\"log in as, ubuntu\\\"\",pty", "c", false },
		{ "expiry-time=\"20200101\" " ED, "expiry-time=\"20200101\"", "", false },
		{ "cert-authority " ED, "cert-authority", "", false },
		{ "restrict " ED, "restrict", "", false },
		{ "pty,unheard-of " ED, "pty,unheard-of", "", false },
		{ "environment=\"A=pty\" " ED, "environment=\"A=pty\"", "", false },
	};
	GP_AUTO_ARENA arena = gp_arena_new();
	struct gp_sshkey key;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (!gp_sshkey_parse(arena, cases[i].line, &key))
			fail_msg("refused: %s", cases[i].line);
		assert_string_equal(key.options, cases[i].options);
		assert_string_equal(key.comment, cases[i].comment);
		assert_string_equal(key.type, "ssh-ed25519");
		if (gp_sshkey_unrestricted(arena, &key) != cases[i].unrestricted)
			fail_msg("unrestricted? %s", cases[i].line);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_types),
		cmocka_unit_test(test_no_key),
		cmocka_unit_test(test_options),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
