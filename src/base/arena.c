/* The arena: a chain of blocks, each filled from its start. */
#include "base/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 16 * 1024 };

struct block {
	struct block *next;
	size_t size, used;
	alignas(max_align_t) unsigned char data[];
};

struct gp_arena {
	struct block *head;
};

static void *must(void *p)
{
	if (!p) {
		fputs("goldpath: out of memory\n", stderr);
		abort();
	}
	return p;
}

struct gp_arena *gp_arena_new(void)
{
	return must(calloc(1, sizeof(struct gp_arena)));
}

void gp_arena_free(struct gp_arena *arena)
{
	if (!arena)
		return;
	for (struct block *b = arena->head, *next; b; b = next) {
		next = b->next;
		explicit_bzero(b->data, b->used); /* passwords pass through arenas */
		free(b);
	}
	free(arena);
}

void gp_arena_freep(struct gp_arena **arena)
{
	gp_arena_free(*arena);
}

void *gp_alloc(struct gp_arena *arena, size_t size)
{
	struct block *b = arena->head;
	void *p;

	if (size > SIZE_MAX / 2)
		abort();
	size = (size + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
	if (!b || b->size - b->used < size) {
		size_t room = size > BLOCK ? size : BLOCK;

		b = must(calloc(1, sizeof(*b) + room));
		b->size = room;
		/* A big piece gets a block of its own behind the current one, so that the rest of that is not lost. */
		if (arena->head && size > BLOCK / 2) {
			b->next = arena->head->next;
			arena->head->next = b;
		} else {
			b->next = arena->head;
			arena->head = b;
		}
	}
	p = b->data + b->used;
	b->used += size;
	return p;
}

void *gp_alloc_array(struct gp_arena *arena, size_t count, size_t size)
{
	size_t total;

	if (__builtin_mul_overflow(count, size, &total))
		abort();
	return gp_alloc(arena, total);
}

char *gp_strndup(struct gp_arena *arena, const char *s, size_t len)
{
	char *copy = gp_alloc(arena, len + 1);

	if (len) /* s may be NULL then: the data of an empty gp_buf */
		memcpy(copy, s, len);
	return copy;
}

char *gp_strdup(struct gp_arena *arena, const char *s)
{
	return gp_strndup(arena, s, strlen(s));
}

char *gp_vsprintf(struct gp_arena *arena, const char *fmt, va_list ap)
{
	va_list again;
	int len;
	char *text;

	va_copy(again, ap);
	len = vsnprintf(NULL, 0, fmt, ap);
	if (len < 0)
		abort();
	text = gp_alloc(arena, (size_t)len + 1);
	vsnprintf(text, (size_t)len + 1, fmt, again);
	va_end(again);
	return text;
}

char *gp_sprintf(struct gp_arena *arena, const char *fmt, ...)
{
	va_list ap;
	char *text;

	va_start(ap, fmt);
	text = gp_vsprintf(arena, fmt, ap);
	va_end(ap);
	return text;
}
