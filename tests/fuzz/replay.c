/* Runs a fuzz target over the files of the folder that is named on the command line. */
#include "fuzz/fuzz.h"
#include <dirent.h>
#include <stdio.h>

static bool replay(const char *path)
{
	static uint8_t bytes[1 << 20];
	FILE *file = fopen(path, "rb");

	if (!file)
		return false;
	size_t size = fread(bytes, 1, sizeof(bytes), file);
	fclose(file);
	LLVMFuzzerTestOneInput(bytes, size);
	return true;
}

int main(int argc, char **argv)
{
	unsigned files = 0;
	DIR *dir = argc == 2 ? opendir(argv[1]) : NULL;

	if (!dir) {
		fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
		return 1;
	}
	LLVMFuzzerTestOneInput(NULL, 0);
	for (struct dirent *e; (e = readdir(dir)) != NULL;) {
		char path[4096];

		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", argv[1], e->d_name);
		if (!replay(path)) {
			fprintf(stderr, "cannot read %s\n", path);
			return 1;
		}
		files++;
	}
	closedir(dir);
	printf("%u files\n", files);
	return files == 0;
}
