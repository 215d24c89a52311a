/* What goldpath makes of `.env` files: for each file named on the command line one line, the pairs as KEY=value in hexadecimal, split by
 * blanks, or "refused". For test_dotenv.py, which asks systemd the same. */
#include <stdio.h>

#include "base/arena.h"
#include "base/dotenv.h"
#include "base/error.h"

static void print_hex(const char *text)
{
	for (const unsigned char *p = (const unsigned char *)text; *p; p++)
		printf("%02x", *p);
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		static char text[GP_DOTENV_MAX];
		GP_AUTO_ARENA arena = gp_arena_new();
		struct gp_dotenv env = { 0 };
		FILE *f = fopen(argv[i], "rb");
		size_t len = f ? fread(text, 1, sizeof(text), f) : 0;

		if (!f || fclose(f) != 0)
			return 1;
		if (gp_dotenv_parse(arena, text, len, &env, NULL) < 0)
			printf("refused");
		for (size_t k = 0; k < env.n; k++) {
			print_hex(env.pairs[k].key);
			printf("=");
			print_hex(env.pairs[k].value);
			printf(" ");
		}
		printf("\n");
	}
	return 0;
}
