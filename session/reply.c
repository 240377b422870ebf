#include "session/reply.h"

static const struct reply_row table[] = {
#define REPLY_ROW(id, code, text, kind) [R_##id] = { code, text, REPLY_##kind },
	REPLY_TABLE(REPLY_ROW)
#undef REPLY_ROW
};

const struct reply_row *
reply_row(enum reply r)
{
	return &table[r];
}
