/* init: two files that say everything there is to say, never one written over, and nothing at all for input that is wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/str.h"
#include "conf/host.h"
#include "ops/init.h"

#include "../site_text.h"
#include "../ctx.h"

/* The text with every default uncommented: "#key: value" and "#  key: value", but not "# what it is". */
static const char *uncommented(const char *text)
{
	struct gp_strv lines = gp_lines(arena, text);
	GP_AUTO_BUF out = { 0 };

	for (size_t i = 0; i < lines.n; i++) {
		const char *line = lines.v[i];
		size_t indent = strspn(line, " ");

		if (line[indent] == '#' && (line[indent + 1] != ' ' || line[indent + 2] == ' '))
			gp_buf_printf(&out, "%.*s%s\n", (int)indent, line, line + indent + 1);
		else
			gp_buf_printf(&out, "%s\n", line);
	}
	return gp_strdup(arena, gp_buf_str(&out));
}

static const char *parsed(const char *slug, const char *text)
{
	struct gp_site site;

	if (gp_site_parse(arena, "text", slug, text, strlen(text), &site, &err) < 0)
		fail_msg("%s\n%s", text, err.msg);
	return site_text(arena, &site);
}

static void test_documents(void **state)
{
	static const struct gp_init requests[] = {
		{ .slug = "acme", .domain = "acme.example", .repo = "https://example.com/acme.git" },
		{ .slug = "acme-kitchens", .domain = "www.acme.example", .repo = "git@example.com:acme.git", .project = "acme.web", .ref = "v1.0",
			.tls = "internal", .celery = true },
		{ .slug = "a", .domain = "localhost", .repo = "/srv/git/a", .ref = "1.0", .tls = "off" },
		{ .slug = "null", .domain = "1.true", .repo = "file:///srv/a", .ref = "null", .tls = "auto" },
		{ .slug = "true", .domain = "no.off", .repo = "/a", .project = "null", .ref = "0x10" },
		{ .slug = "x-y", .domain = "x.y", .repo = "/a:b/#c,{d}[e]*!%@", .ref = "a,b]{c}#d&!%" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		const struct gp_init *r = &requests[i];
		struct gp_init_result result;
		struct gp_site site;
		struct gp_host host;
		const char *text, *as_written;

		if (gp_init_run(&ctx, r, &result, &err) < 0)
			fail_msg("%s: %s", r->slug, err.msg);
		assert_true(result.site_written);
		assert_int_equal(result.host_written, i == 0);
		assert_string_equal(result.site_path, gp_sprintf(arena, "%s/sites/%s.yaml", ctx.etc_dir, r->slug));
		assert_int_equal(mode_of(result.site_path), 0644);
		assert_int_equal(gp_site_load(arena, ctx.etc_dir, r->slug, &site, &err), 0);
		assert_string_equal(site.domain, r->domain);
		assert_string_equal(site.repo, r->repo);
		assert_string_equal(site.ref, r->ref ? r->ref : "main");
		assert_string_equal(site.project, r->project ? r->project : gp_site_underscored(arena, r->slug));
		assert_int_equal(site.celery.enabled, r->celery);
		assert_int_equal(gp_host_load(arena, ctx.etc_dir, &host, &err), 0);
		/* every default that is shown is the one that holds */
		text = gp_strdup(arena, said(result.site_path));
		as_written = parsed(r->slug, text);
		if (!gp_streq(site.project, "null")) /* which would have to be quoted there */
			assert_string_equal(parsed(r->slug, uncommented(text)), as_written);
		for (const struct gp_key *key = gp_site_keys; key->name; key++)
			assert_non_null(strstr(text, gp_sprintf(arena, "%s:", key->name)));
	}
	const char *text = gp_strdup(arena, said(at("etc/host.yaml"))), *all = uncommented(text);
	struct gp_host host, again;
	assert_int_equal(gp_conf_parse(arena, "host", text, strlen(text), gp_host_keys, &host, &err), 0);
	assert_int_equal(gp_conf_parse(arena, "host", all, strlen(all), gp_host_keys, &again, &err), 0);
	assert_string_equal(host.deploy_user, again.deploy_user);
	assert_true(host.firewall == again.firewall && host.uv == again.uv && host.packages.n == again.packages.n && host.ports.n == again.ports.n);
}

static void test_never_overwrites(void **state)
{
	struct gp_init request = { .slug = "acme", .domain = "acme.example", .repo = "/srv/a" };
	struct gp_init_result result;

	(void)state;
	assert_int_equal(gp_init_run(&ctx, &request, &result, &err), 0);
	assert_true(result.site_written && result.host_written);
	put(result.site_path, "mine");
	put(result.host_path, "mine too");
	request.domain = "other.example";
	assert_int_equal(gp_init_run(&ctx, &request, &result, &err), 0);
	assert_false(result.site_written || result.host_written);
	assert_string_equal(said(result.site_path), "mine");
	assert_string_equal(said(result.host_path), "mine too");
	/* one of them there, also as something else than a file */
	unlink(result.site_path);
	assert_int_equal(gp_init_run(&ctx, &request, &result, &err), 0);
	assert_true(result.site_written && !result.host_written);
	unlink(result.site_path);
	assert_int_equal(symlink("nowhere", result.site_path), 0);
	assert_int_equal(gp_init_run(&ctx, &request, &result, &err), 0);
	assert_false(result.site_written);
	assert_int_equal(entries(at("etc/sites")), 1);
	assert_int_equal(entries(at("etc")), 2);
}

static void test_bad_input(void **state)
{
	static const struct {
		struct gp_init request;
		enum gp_error_kind kind;
		const char *why;
	} cases[] = {
		{ { "", "a.b", "/x" }, GP_E_USAGE, "no valid slug" },
		{ { "Acme", "a.b", "/x" }, GP_E_USAGE, "no valid slug" },
		{ { "../x", "a.b", "/x" }, GP_E_USAGE, "no valid slug" },
		{ { "a.yaml", "a.b", "/x" }, GP_E_USAGE, "no valid slug" },
		{ { "acme", "", "/x" }, GP_E_USAGE, "no valid domain" },
		{ { "acme", "http://a.b", "/x" }, GP_E_USAGE, "no valid domain" },
		{ { "acme", "a.b\nrepo: x", "/x" }, GP_E_USAGE, "no valid domain" },
		{ { "acme", "a.b", "" }, GP_E_USAGE, "no repository" },
		{ { "acme", "a.b", "ext::sh -c id" }, GP_E_USAGE, "no repository" },
		{ { "acme", "a.b", "https://u:hunter2@h/x" }, GP_E_USAGE, "no repository" },
		{ { "acme", "a.b", "/x\"y" }, GP_E_USAGE, "no repository" },
		{ { "acme", "a.b", "/x", .project = "a-b" }, GP_E_USAGE, "no valid module" },
		{ { "acme", "a.b", "/x", .project = "" }, GP_E_USAGE, "no valid module" },
		{ { "acme", "a.b", "/x", .ref = "-x" }, GP_E_USAGE, "no valid ref" },
		{ { "acme", "a.b", "/x", .ref = "" }, GP_E_USAGE, "no valid ref" },
		{ { "acme", "a.b", "/x", .tls = "on" }, GP_E_USAGE, "tls" },
		{ { "acme", "a.b", "/x", .tls = "" }, GP_E_USAGE, "tls" },
		{ { "acme", "a.b", "/x", .tls = "auto\nref: other" }, GP_E_USAGE, "tls" },
		{ { "acme", "a.b", "/x", .tls = "auto # x" }, GP_E_USAGE, "tls" },
		{ { "postgres", "a.b", "/x" }, GP_E_CONFIG, "Postgres' own" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct gp_init_result result = { .site_path = "untouched" };

		if (gp_init_run(&ctx, &cases[i].request, &result, &err) == 0)
			fail_msg("case %zu was taken", i);
		if (err.kind != cases[i].kind || !strstr(err.msg, cases[i].why))
			fail_msg("case %zu: %d, %s", i, err.kind, err.msg);
		assert_null(strstr(err.msg, "hunter2"));
		assert_string_equal(result.site_path, "untouched");
		assert_int_equal(entries(at("etc")), -1); /* nothing is made before all is checked */
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_documents, ctx_begin, ctx_end),
		cmocka_unit_test_setup_teardown(test_never_overwrites, ctx_begin, ctx_end),
		cmocka_unit_test_setup_teardown(test_bad_input, ctx_begin, ctx_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
