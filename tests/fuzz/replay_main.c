// SPDX-License-Identifier: MIT OR Apache-2.0
// Feeds every file of a corpus folder to a fuzz target, whole and in every truncation of the first 64
// bytes; sanitizers and the target's own checks judge.
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static int replay(const char *dir, const char *name)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    FILE *f = fopen(path, "rb");
    if (!f) {
        perror(path);
        return 1;
    }
    enum { ROOM = 1 << 20 };
    uint8_t *all = malloc(ROOM);
    size_t n = all ? fread(all, 1, ROOM, f) : 0;
    fclose(f);
    for (size_t cut = 0; cut <= n; cut = cut < 64 && cut < n ? cut + 1 : cut == n ? n + 1 : n) {
        // An exact-size copy, so that the sanitizer sees any read past the end.
        uint8_t *copy = malloc(cut ? cut : 1);
        if (!copy) {
            abort();
        }
        memcpy(copy, all, cut);
        LLVMFuzzerTestOneInput(copy, cut);
        free(copy);
    }
    free(all);
    return 0;
}

int main(int argc, char **argv)
{
    DIR *dir = argc == 2 ? opendir(argv[1]) : NULL;
    if (!dir) {
        fprintf(stderr, "usage: %s CORPUS_DIR\n", argv[0]);
        return 2;
    }
    int n_files = 0, failed = 0;
    for (struct dirent *e; (e = readdir(dir));) {
        if (e->d_name[0] != '.') {
            failed |= replay(argv[1], e->d_name);
            n_files++;
        }
    }
    closedir(dir);
    printf("%d inputs\n", n_files);
    return failed || n_files == 0;
}
