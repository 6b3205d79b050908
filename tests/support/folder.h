/* SPDX-License-Identifier: Apache-2.0 */
/* Folders for one test each, gone when its process ends. */
#ifndef QVF_TESTS_SUPPORT_FOLDER_H
#define QVF_TESTS_SUPPORT_FOLDER_H

/* An empty folder, as a descriptor. */
int test_folder(void);
/* How many files' names end so, and one of them. */
unsigned test_folder_find(int folder, const char *end, char ret_name[256]);

#endif
