#include "mail/extension.h"

static const struct {
	const char *keyword;
	unsigned can;
} extensions[] = {
	{ "PIPELINING", CAN_PIPELINING },
	{ "8BITMIME", CAN_8BITMIME },
	{ "SIZE", CAN_SIZE },
	{ "CHUNKING", CAN_CHUNKING },
	{ "BINARYMIME", CAN_BINARYMIME },
	{ "SMTPUTF8", CAN_SMTPUTF8 },
	{ "DSN", CAN_DSN },
	{ "DELIVERBY", CAN_DELIVERBY },
	{ "MT-PRIORITY", CAN_PRIORITY },
	{ "STARTTLS", CAN_STARTTLS },
	{ "REQUIRETLS", CAN_REQUIRETLS },
};

unsigned
extension_named(struct span keyword)
{
	for (size_t i = 0; i < sizeof(extensions) / sizeof(extensions[0]); i++)
		if (span_ieq(keyword, span_of(extensions[i].keyword)))
			return extensions[i].can;
	return 0;
}

bool
extension_list(struct span words, unsigned *out)
{
	unsigned all = 0;
	for (struct span word; (word = span_word(&words, " \t,")).n > 0;) {
		unsigned one = extension_named(word);
		if (one == 0 || one == CAN_STARTTLS)
			return false;
		all |= one;
	}
	*out = all;
	return true;
}
