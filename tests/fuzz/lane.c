/* Names of lanes and messages: nothing that is accepted leads out of its directory (H7). */
#include "fuzz.h"

#include "mail/address.h"
#include "lib/id.h"
#include "mail/lane_name.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = { (const char *)data, size };
	char lane[LANE_NAME_SIZE];
	if (lane_name_of(in, lane) == 0) /* no NUL hides a part of a name */
		must(memchr(in.p, '\0', in.n) == NULL && lane_name_valid(span_of(lane)) &&
			(!span_is_ascii(in) || span_ieq(span_of(lane), in)));
	if (lane_name_valid(in)) {
		must(size > 0 && size <= LIMIT_DOMAIN && in.p[0] != '.' && in.p[0] != '@');
		for (size_t i = 0; i < size; i++)
			must(in.p[i] != '\0' &&
				strchr("abcdefghijklmnopqrstuvwxyz0123456789-_.[]:", in.p[i]) != NULL);
		bool route = lane_name_route(in).n > 0;
		must(route || (lane_name_of(in, lane) == 0 && span_eq(span_of(lane), in)));
	}
	if (id_valid(in)) {
		char id[ID_SIZE];
		must(size == ID_LEN);
		memcpy(id, in.p, ID_LEN);
		id[ID_LEN] = '\0';
		must(id_time(id) >= 0);
	}
	return 0;
}
