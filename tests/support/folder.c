/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/folder.h"

#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FOLDERS_MOST 32

static char paths[FOLDERS_MOST][64];
static unsigned n_paths;

static DIR *open_listing(int folder)
{
        DIR *listing = fdopendir(openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));

        ck_assert_ptr_nonnull(listing);
        return listing;
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *place)
{
        (void)status;
        (void)type;
        (void)place;
        return remove(path);
}

static void remove_folders(void)
{
        for (unsigned i = 0; i < n_paths; i++)
                nftw(paths[i], remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

int test_folder(void)
{
        char *path = paths[n_paths];
        int folder;

        ck_assert_uint_lt(n_paths, FOLDERS_MOST);
        strcpy(path, "/tmp/qvf-test-XXXXXX");
        ck_assert_ptr_nonnull(mkdtemp(path));
        if (n_paths++ == 0)
                atexit(remove_folders);
        folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        ck_assert_int_ge(folder, 0);
        return folder;
}

unsigned test_folder_find(int folder, const char *end, char ret_name[256])
{
        DIR *listing = open_listing(folder);
        const struct dirent *entry;
        unsigned count = 0;

        while ((entry = readdir(listing))) {
                size_t length = strlen(entry->d_name);

                if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
                                length < strlen(end) ||
                                strcmp(entry->d_name + length - strlen(end), end) != 0)
                        continue;
                strcpy(ret_name, entry->d_name);
                count++;
        }
        closedir(listing);
        return count;
}
