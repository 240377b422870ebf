#include "process/numbers.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/file.h"
#include "process/counts.h"

#define NOTHING "nothing was counted since the last boot"
#define OTHERS "nothing was counted by this version; there is a file of another one"
#define DENIED "Permission denied; run it as root or as the user of the service"
#define FOREIGN "it is of another version, or of another kind of machine"

/* Without a pointer, so that nothing of it has to be made ready by those who do not read it. */
static const struct row {
	char name[32];
	bool histogram;
	uint16_t first; /* of its values */
} rows[] = {
#define ROW_C(id, name, unit, help) { name, false, COUNTER_##id },
#define ROW_H(id, name, unit, help) { name, true, COUNTER_##id },
	COUNTERS_TABLE(ROW_C, ROW_H)
#undef ROW_C
#undef ROW_H
};

static uint64_t
value_of(const struct counters *c, unsigned i)
{
	return atomic_load_explicit(&c->value[i], memory_order_relaxed);
}

/* A bucket's number holds those of the buckets before it, too. */
static void
print_histogram(const struct row *row, const struct counters *c, FILE *out)
{
	uint64_t n = 0;
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS - 1; i++) {
		n += value_of(c, row->first + i);
		fprintf(out, "%s_le_%" PRIu64 " %" PRIu64 "\n", row->name, UINT64_C(1) << i, n);
	}
	n += value_of(c, row->first + HISTOGRAM_BUCKETS - 1);
	fprintf(out, "%s_le_inf %" PRIu64 "\n", row->name, n);
	fprintf(out, "%s_sum %" PRIu64 "\n", row->name,
		value_of(c, row->first + HISTOGRAM_BUCKETS));
}

static void
print_all(const struct counters *c, FILE *out)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].histogram)
			print_histogram(&rows[i], c, out);
		else
			fprintf(out, "%s %" PRIu64 "\n", rows[i].name, value_of(c, rows[i].first));
}

/* Has a process of another version counted there? */
static bool
has_other_version(const char *runtime)
{
	bool found = false;
	auto_dir d = opendir(runtime);
	for (struct dirent *e; d != NULL && !found && (e = readdir(d)) != NULL;)
		found = strncmp(e->d_name, COUNTS_PREFIX, sizeof(COUNTS_PREFIX) - 1) == 0;
	return found;
}

static int
refuse(const char *path, const char *why)
{
	fprintf(stderr, "smtpd: counters: %s: %s\n", path, why);
	return EX_NOINPUT;
}

const struct counters *
numbers_map(const char *runtime, char path[static NUMBERS_PATH], const char **why)
{
	struct stat st;
	snprintf(path, NUMBERS_PATH, "%s/" COUNTS_FILE, runtime);
	auto_fd fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	*why = fd >= 0 ? "it is no file of counters"
		: errno == ENOENT ? has_other_version(runtime) ? OTHERS : NOTHING
		: errno == EACCES ? DENIED : strerror(errno);
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size < COUNTERS_SIZE)
		return NULL;
	const struct counters *c = mmap(NULL, COUNTERS_SIZE, PROT_READ, MAP_SHARED, fd, 0);
	*why = strerror(errno);
	if (c == MAP_FAILED)
		return NULL;
	uint64_t mark = atomic_load(&c->mark);
	*why = mark == 0 ? NOTHING : FOREIGN;
	return mark == COUNTERS_MARK ? c : NULL;
}

int
numbers_print(const char *runtime, FILE *out)
{
	char path[NUMBERS_PATH];
	const char *why;
	const struct counters *c = numbers_map(runtime, path, &why);
	if (c == NULL)
		return refuse(path, why);
	print_all(c, out);
	return file_flush(out) == 0 ? 0 : EX_IOERR;
}
