/* What an answer means: every status the contract knows, every way a site can get it wrong, and bodies meant to do harm. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "ops/health.h"

static const struct gp_site json_site = { .domain = "acme.example", .health = { .path = "/health/", .contract = GP_HEALTH_JSON } };
static const struct gp_site http_site = { .domain = "acme.example", .health = { .path = "/", .contract = GP_HEALTH_HTTP } };

static struct gp_health read_text(struct gp_arena *arena, int http, const char *location, const char *body)
{
	return gp_health_read(arena, &json_site, http, location, body, strlen(body));
}

static void test_json(void **state)
{
	static const struct {
		int http;
		const char *body;
		enum gp_health_status status;
		const char *release, *why;
	} cases[] = {
		{ 200, "{\"status\":\"ok\"}", GP_HEALTH_OK, "", "" },
		{ 200, " {\"status\" : \"ok\", \"more\": [1]}\n", GP_HEALTH_OK, "", "" },
		{ 200, "{\"status\":\"ok\",\"version\":{\"release\":\"r1\",\"build\":\"b1\"}}", GP_HEALTH_OK, "r1", "" },
		{ 200, "{\"status\":\"ok\",\"version\":{\"build\":\"b1\",\"sha\":\"x\"}}", GP_HEALTH_OK, "b1", "" },
		{ 200, "{\"status\":\"ok\",\"version\":{\"release\":\"\",\"build\":\"b1\"}}", GP_HEALTH_OK, "b1", "" },
		{ 200, "{\"status\":\"ok\",\"version\":\"1.0\"}", GP_HEALTH_OK, "", "" },
		{ 200, "{\"status\":\"ok\",\"version\":{\"release\":7,\"build\":null}}", GP_HEALTH_OK, "", "" },
		{ 200, "{\"status\":\"ok\",\"checks\":{\"db\":{\"status\":\"ok\",\"detail\":\"1 ms\"}}}", GP_HEALTH_OK, "", "" },
		{ 200, "{\"status\":\"degraded\",\"checks\":{\"db\":{\"status\":\"ok\"},\"cache\":{\"status\":\"fail\",\"detail\":\"refused\"}}}",
			GP_HEALTH_DEGRADED, "", "cache: refused" },
		{ 503, "{\"status\":\"unhealthy\",\"checks\":{\"db\":{\"status\":\"fail\"},\"q\":{\"status\":\"fail\",\"detail\":\"none\"}}}",
			GP_HEALTH_UNHEALTHY, "", "db; q: none" },
		{ 200, "{\"status\":\"unhealthy\"}", GP_HEALTH_UNHEALTHY, "", "" },
		{ 503, "{\"status\":\"unhealthy\",\"version\":{\"release\":\"r2\"}}", GP_HEALTH_UNHEALTHY, "r2", "" },
		/* the words and the code must agree */
		{ 503, "{\"status\":\"ok\"}", GP_HEALTH_BAD, "", "/health/ answers 503 with status 'ok'" },
		{ 503, "{\"status\":\"degraded\"}", GP_HEALTH_BAD, "", "/health/ answers 503 with status 'degraded'" },
		{ 200, "{\"status\":\"fine\"}", GP_HEALTH_BAD, "", "/health/ answers 200 with status 'fine'" },
		{ 200, "{\"status\":\"OK\"}", GP_HEALTH_BAD, "", "/health/ answers 200 with status 'OK'" },
		{ 200, "{\"status\":\"\"}", GP_HEALTH_BAD, "", "/health/ answers 200 with status ''" },
		/* no contract in it */
		{ 200, "", GP_HEALTH_BAD, "", "/health/ answers 200 without the health JSON" },
		{ 200, "ok", GP_HEALTH_BAD, "", "/health/ answers 200 without the health JSON" },
		{ 200, "<html>ok</html>", GP_HEALTH_BAD, "", "/health/ answers 200 without the health JSON" },
		{ 200, "{}", GP_HEALTH_BAD, "", "/health/ answers 200 without the health JSON" },
		{ 200, "[\"status\",\"ok\"]", GP_HEALTH_BAD, "", "/health/ answers 200 without the health JSON" },
		{ 200, "{\"status\":true}", GP_HEALTH_BAD, "", "/health/ answers 200 without the health JSON" },
		{ 200, "{\"status\":[\"ok\"]}", GP_HEALTH_BAD, "", "/health/ answers 200 without the health JSON" },
		{ 200, "{\"status\":\"ok\"", GP_HEALTH_BAD, "", "/health/ answers 200 without the health JSON" },
		{ 200, "{\"status\":\"ok\"} trailing", GP_HEALTH_BAD, "", "/health/ answers 200 without the health JSON" },
		{ 200, "{\"status\":\"fail\",\"status\":\"ok\"}", GP_HEALTH_BAD, "", "/health/ answers 200 without the health JSON" },
		{ 503, "Service Unavailable", GP_HEALTH_BAD, "", "/health/ answers 503 without the health JSON" },
		/* checks of any shape */
		{ 200, "{\"status\":\"ok\",\"checks\":[1,2]}", GP_HEALTH_OK, "", "" },
		{ 200, "{\"status\":\"ok\",\"checks\":null}", GP_HEALTH_OK, "", "" },
		{ 200, "{\"status\":\"degraded\",\"checks\":{\"a\":\"fail\",\"b\":null,\"c\":{\"status\":1,\"detail\":[2]}}}", GP_HEALTH_DEGRADED, "",
			"a; b; c" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		GP_AUTO_ARENA arena = gp_arena_new();
		struct gp_health health = read_text(arena, cases[i].http, "", cases[i].body);

		if (health.status != cases[i].status || strcmp(health.why, cases[i].why) != 0)
			fail_msg("%s: %d, %s", cases[i].body, health.status, health.why);
		assert_string_equal(health.release, cases[i].release);
		assert_int_equal(health.http, cases[i].http);
		assert_string_equal(health.body, cases[i].body);
	}
}

static void test_codes(void **state)
{
	static const struct {
		int http;
		const char *location, *why, *hint;
	} cases[] = {
		{ 400, "", "/health/ answers 400", "ALLOWED_HOSTS" },
		{ 301, "https://acme.example/health/", "answers 301, to https://acme.example/health/", "SECURE_PROXY_SSL_HEADER" },
		{ 302, "/health", "answers 302, to /health", "APPEND_SLASH" },
		{ 308, "https://acme.example/en/", "answers 308, to https://", "final address" },
		{ 404, "", "answers 404", "health.contract" },
		{ 401, "", "answers 401", "" },
		{ 500, "", "answers 500", "journal" },
		{ 502, "", "answers 502", "gunicorn" },
		{ 504, "", "answers 504", "journal" },
		{ 204, "", "answers 204", "" },
		{ 100, "", "answers 100", "" },
		{ 0, "", "answers 0", "" },
	};
	GP_AUTO_ARENA arena = gp_arena_new();

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct gp_health health = read_text(arena, cases[i].http, cases[i].location, "{\"status\":\"ok\"}");

		assert_int_equal(health.status, GP_HEALTH_BAD);
		assert_non_null(strstr(health.why, cases[i].why));
		assert_non_null(strstr(health.hint, cases[i].hint));
		assert_int_equal(*health.hint == 0, *cases[i].hint == 0);
	}
	assert_non_null(strstr(read_text(arena, 400, "", "").hint, "acme.example"));
}

static void test_http_contract(void **state)
{
	static const struct {
		int http;
		enum gp_health_status status;
	} cases[] = { { 200, GP_HEALTH_OK }, { 204, GP_HEALTH_OK }, { 299, GP_HEALTH_OK }, { 300, GP_HEALTH_BAD }, { 302, GP_HEALTH_BAD },
		{ 199, GP_HEALTH_BAD }, { 404, GP_HEALTH_BAD }, { 500, GP_HEALTH_BAD }, { 503, GP_HEALTH_BAD } };
	GP_AUTO_ARENA arena = gp_arena_new();

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct gp_health health = gp_health_read(arena, &http_site, cases[i].http, "", "{\"status\":\"unhealthy\"}", 22);

		assert_int_equal(health.status, cases[i].status);
		assert_int_equal(*health.why == 0, cases[i].status == GP_HEALTH_OK);
		assert_string_equal(health.release, "");
	}
}

/* One line, and nothing that a terminal acts upon. */
static void assert_tame(const char *text)
{
	for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
		assert_true(*p >= 0x20 && *p != 0x7f);
		assert_false(*p == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0);
	}
}

static void test_hostile(void **state)
{
	static const char escapes[] = "{\"status\":\"degraded\",\"version\":{\"release\":\"r\\u001b[2J\\n\\u009b1m\"},"
				      "\"checks\":{\"a\\n\\u001b]0;x\\u0007\":{\"detail\":\"one\\ntwo\\r\\u001b[31m\\u009b\\u007f\"}}}";
	static const char nul[] = "{\"status\":\"ok\"}\0more", name_nul[] = "{\"status\":\"o\\u0000k\"}";
	GP_AUTO_ARENA arena = gp_arena_new();
	GP_AUTO_BUF many = { 0 };
	GP_AUTO_BUF deep = { 0 };
	struct gp_health health = read_text(arena, 200, "", escapes);
	int64_t start = gp_mono_ms();

	(void)state;
	assert_int_equal(health.status, GP_HEALTH_DEGRADED);
	assert_tame(health.why);
	assert_tame(health.release);
	health = read_text(arena, 200, "", "{\"status\":\"\\u001b[2J\\n\"}");
	assert_int_equal(health.status, GP_HEALTH_BAD);
	assert_tame(health.why);
	health = read_text(arena, 302, "/\x1b[2J\n\xc2\x9b", "");
	assert_tame(health.why);
	assert_int_equal(gp_health_read(arena, &json_site, 200, "", nul, sizeof(nul) - 1).status, GP_HEALTH_BAD);
	assert_int_equal(gp_health_read(arena, &json_site, 200, "", name_nul, sizeof(name_nul) - 1).status, GP_HEALTH_BAD);
	assert_int_equal(read_text(arena, 200, "", "{\"status\":\"ok\xff\"}").status, GP_HEALTH_BAD);

	/* as many failing checks as 64 KiB hold, again and again, as a deploy asks: `why` stays a line one can read */
	gp_buf_puts(&many, "{\"status\":\"unhealthy\",\"checks\":{\"first\":0");
	for (unsigned i = 0; many.len < 65000; i++)
		gp_buf_printf(&many, ",\"%x\":0", i);
	gp_buf_puts(&many, "}}");
	for (int i = 0; i < 30; i++) {
		health = read_text(arena, 503, "", gp_buf_str(&many));
		assert_int_equal(health.status, GP_HEALTH_UNHEALTHY);
		assert_true(strlen(health.why) < 2000);
	}
	while (deep.len < 65000)
		gp_buf_puts(&deep, "{\"checks\":");
	assert_int_equal(read_text(arena, 200, "", gp_buf_str(&deep)).status, GP_HEALTH_BAD);
	assert_true(gp_mono_ms() - start < 5000);
}

static void test_addresses(void **state)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	struct gp_site site = json_site;

	(void)state;
	for (int tls = GP_TLS_AUTO; tls <= GP_TLS_FILES; tls++) {
		site.tls = tls;
		assert_string_equal(gp_site_url(arena, &site, "www.acme.example", "/x"),
			tls == GP_TLS_OFF ? "http://www.acme.example/x" : "https://www.acme.example/x");
		assert_int_equal(gp_site_ca(&site) != NULL, tls == GP_TLS_INTERNAL);
	}
}

static void test_timeout_of_one_of_many(void **state)
{
	(void)state;
	assert_int_equal(gp_health_timeout(gp_mono_ms() + 60000), GP_HEALTH_TIMEOUT_MS);
	assert_in_range(gp_health_timeout(gp_mono_ms() + 3000), 2500, 3000);
	assert_int_equal(gp_health_timeout(gp_mono_ms() + 10), 1000);
	assert_int_equal(gp_health_timeout(gp_mono_ms() - 60000), 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_codes),
		cmocka_unit_test(test_http_contract),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_timeout_of_one_of_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
