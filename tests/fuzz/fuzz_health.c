/*
 * A health answer made of any bytes: the first one is the contract, the next two the status code, up to a newline the Location, then
 * the body. Whatever a site answers, what is made of it is one line, within reason, and only a good answer is good.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/arena.h"
#include "ops/health.h"

#include "must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_line(const char *text, size_t max)
{
	must(strlen(text) <= max, "a line within reason");
	for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
		must(*p >= 0x20 && *p != 0x7f, "no control characters");
		must(*p != 0xc2 || p[1] < 0x80 || p[1] >= 0xa0, "nor those of C1");
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	struct gp_site site = { .domain = "acme.example", .health.path = "/health/" };
	const char *location, *body, *end = (const char *)data + size;
	struct gp_health health;
	int http;

	if (size < 3)
		return 0;
	site.health.contract = data[0] == 'h' ? GP_HEALTH_HTTP : GP_HEALTH_JSON;
	http = (data[1] % 10) * 100 + data[2] % 100;
	location = (const char *)data + 3;
	body = memchr(location, '\n', (size_t)(end - location));
	location = gp_strndup(arena, location, (size_t)((body ? body : end) - location));
	body = body ? body + 1 : end;
	health = gp_health_read(arena, &site, http, location, body, (size_t)(end - body));

	must(health.http == http, "the code it was given");
	must(health.status != GP_HEALTH_NO_ANSWER, "an answer is an answer");
	must(memcmp(health.body, body, strlen(health.body)) == 0, "the body it was given");
	check_line(health.why, 2000);
	check_line(health.hint, 500);
	check_line(health.release, size);
	if (health.status == GP_HEALTH_OK || health.status == GP_HEALTH_DEGRADED)
		must(http >= 200 && http < 300, "well only with a code that says so");
	if (health.status == GP_HEALTH_BAD)
		must(health.why[0], "what is wrong is told");
	if (health.status != GP_HEALTH_BAD && site.health.contract == GP_HEALTH_JSON)
		must(memmem(body, (size_t)(end - body), "status", 6) != NULL || memchr(body, '\\', (size_t)(end - body)), "not out of nothing");
	return 0;
}
