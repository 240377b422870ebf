/* main: feeds a target the files named on the command line; no fuzzer needed. */
#include "fuzz.h"

#include <errno.h>

enum { INPUT_MAX = 1024 * 1024 };

int
main(int argc, char **argv)
{
	static uint8_t data[INPUT_MAX];
	for (int i = 1; i < argc; i++) {
		FILE *f = fopen(argv[i], "rb");
		if (f == NULL) {
			fprintf(stderr, "%s: %s\n", argv[i], strerror(errno));
			return EXIT_FAILURE;
		}
		struct span in = exact_copy(data, fread(data, 1, sizeof(data), f));
		fclose(f);
		LLVMFuzzerTestOneInput((const uint8_t *)in.p, in.n);
		free_copy(in);
	}
	return EXIT_SUCCESS;
}
