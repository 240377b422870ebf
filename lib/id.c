#include "lib/id.h"

#include <errno.h>
#include <stdint.h>
#include <sys/random.h>

#include "lib/clock.h"

enum { TIME_CHARS = 12, BITS = 5, MASK = 31, US_PER_S = 1000000 };

/* No i, l, o, u: nobody misreads an id on the telephone. In ASCII order. */
static const char alphabet[] = "0123456789abcdefghjkmnpqrstvwxyz";

static void
id_digits(char *out, int n, uint64_t v)
{
	while (n > 0) {
		out[--n] = alphabet[v & MASK];
		v >>= BITS;
	}
}

int
id_new(char out[static ID_SIZE])
{
	uint64_t random;
	if (getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random))
		return -EIO;
	id_digits(out, TIME_CHARS, (uint64_t)clock_wall_us());
	id_digits(out + TIME_CHARS, ID_LEN - TIME_CHARS, random);
	out[ID_LEN] = '\0';
	return 0;
}

bool
id_valid(struct span s)
{
	if (s.n != ID_LEN)
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] == '\0' || strchr(alphabet, s.p[i]) == NULL)
			return false;
	return true;
}

void
id_set_priority(char *id, int priority)
{
	id[0] = alphabet[priority >= 0 ? priority : ID_PRIORITY_MOST - priority];
}

int
id_priority(const char *id)
{
	int digit = (int)(strchr(alphabet, id[0]) - alphabet);
	if (digit <= ID_PRIORITY_MOST)
		return digit;
	return digit <= 2 * ID_PRIORITY_MOST ? ID_PRIORITY_MOST - digit : 0;
}

int
id_compare(const char *a, const char *b)
{
	int difference = id_priority(b) - id_priority(a);
	return difference != 0 ? difference : memcmp(a + 1, b + 1, ID_LEN - 1);
}

int64_t
id_time_us(const char *id)
{
	int64_t us = 0;
	for (int i = 1; i < TIME_CHARS; i++) /* behind the priority */
		us = us << BITS | (strchr(alphabet, id[i]) - alphabet);
	return us;
}

int64_t
id_time(const char *id)
{
	return id_time_us(id) / US_PER_S;
}
