/*
 * A key as a web server hands it out: any bytes. What is taken has one fingerprint, and what is written down for apt is taken again as
 * the same key.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "sys/openpgp.h"

#include "must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	struct gp_openpgp_key key, again;
	struct gp_error err = { 0 };

	if (gp_openpgp_read(arena, data, size, &key, &err) < 0) {
		must(err.msg[0], "why it is none is told");
		return 0;
	}
	must(strspn(key.fingerprint, "0123456789ABCDEF") == GP_OPENPGP_FINGERPRINT_LEN && strlen(key.fingerprint) == GP_OPENPGP_FINGERPRINT_LEN,
		"a fingerprint");
	must(key.len <= size, "not more than it was");
	must(gp_openpgp_read(arena, key.packets, key.len, &again, NULL) == 0 && again.len == key.len, "its packets are a key");
	must(strcmp(again.fingerprint, key.fingerprint) == 0, "the same one");
	return 0;
}
