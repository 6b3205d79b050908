/* SPDX-License-Identifier: Apache-2.0 */
/* The data set of the published fine-tuning run, where it lies beside the tree (it does not ship): the tokens of its
 * first document, and how full its sequences are. */
#include "engine/data/batch.h"
#include "tests/engine/data/data_support.h"

/* Fills in where the folder of shared files is; skips the test where it is not. */
static bool find_shared(const char *below, char path[512])
{
        const char *folders[] = { getenv("QVF_SHARED"), "../shared", "../../shared" };

        for (size_t i = 0; i < 3; i++) {
                if (!folders[i])
                        continue;
                snprintf(path, 512, "%s/%s", folders[i], below);
                if (access(path, R_OK) == 0)
                        return true;
        }
        printf("SKIP %s is not here (QVF_SHARED names the folder it is in)\n", below);
        return false;
}

static struct qvf_dataset *open_set(const char *path, struct qvf_tokenizer *tokenizer)
{
        /* Begin token, text and end token: the model's file does not ask for the last one. */
        const struct qvf_data_options options = { .add_bos = QVF_DATA_ON, .add_eos = QVF_DATA_ON };
        const struct qvf_data_source source = {
                .name = path, .fd = -1, .tokenizer = tokenizer, .cache_folder = -1
        };
        struct qvf_dataset *dataset = NULL;
        struct qvf_error error = { 0 };

        ck_assert_msg(qvf_dataset_open(&source, &options, &dataset, &error) == 0, "%s", error.text);
        return dataset;
}

static void expect_first(const struct qvf_dataset *dataset, const struct qvf_packing *packing)
{
        struct qvf_batch batch;
        json_object *root, *ids;
        char path[512];
        size_t count;

        if (!find_shared("golden/helper-29m.finetune.json", path))
                return;
        root = json_object_from_file(path);
        ck_assert(json_object_object_get_ex(root, "first_doc_tokens", &ids));
        count = json_object_array_length(ids);
        ck_assert_uint_eq(dataset->starts[1], count);
        ck_assert_int_eq(qvf_batch_init(&batch, 256, NULL), 0);
        ck_assert_int_eq(qvf_batch_fill(&batch, packing, 0, 1), 0);
        ck_assert_uint_eq(batch.n_rows, count - 1);
        ck_assert_uint_eq(batch.n_outputs, count - 1);
        for (size_t i = 0; i + 1 < count; i++) {
                ck_assert_int_eq(batch.ids[i], json_object_get_int(json_object_array_get_idx(ids, i)));
                ck_assert_int_eq(
                                batch.target[i], json_object_get_int(json_object_array_get_idx(ids, i + 1)));
        }
        qvf_batch_exit(&batch);
        json_object_put(root);
}

START_TEST(first_document)
{
        struct qvf_tokenizer *tokenizer;
        struct qvf_windows *windows = NULL;
        struct qvf_packing *packing = NULL;
        struct qvf_dataset *dataset;
        char path[512];

        if (!find_shared("data/biomed/train.jsonl", path))
                return;
        tokenizer = keep(tokenizer_of_model("models/helper-29m.TQ2_0.gguf"));
        dataset = open_set(path, tokenizer);
        ck_assert_uint_eq(dataset->n_documents, 264);
        /* "256 tokens at most" are 255 rows. */
        ck_assert_int_eq(qvf_windows_new(dataset,
                                         &(struct qvf_window_options){
                                                         .context = 255, .too_long = QVF_DATA_TRUNCATE },
                                         &windows, NULL),
                        0);
        ck_assert_int_eq(qvf_packing_new(windows,
                                         &(struct qvf_packing_options){
                                                         .one_each = true, .file_order = true },
                                         0, &packing, NULL),
                        0);
        ck_assert_uint_eq(packing->n_sequences, 264);
        printf("%llu tokens, %llu documents truncated\n", (unsigned long long)dataset->counts.tokens,
                        (unsigned long long)windows->counts.documents_truncated);
        expect_first(dataset, packing);
        qvf_packing_free(packing);
        qvf_windows_free(windows);
        qvf_dataset_free(dataset);
}
END_TEST

/* Of all sequences but the emptiest one: with a few dozen, what is left over for the last would tell nothing. */
static double fill_of(const struct qvf_packing *packing)
{
        uint64_t rows = 0, fewest = packing->rows;

        for (uint32_t i = 0; i < packing->n_sequences; i++) {
                uint64_t here = qvf_packing_measure(packing, i, 1).rows;

                rows += here;
                fewest = here < fewest ? here : fewest;
        }
        return (double)(rows - fewest) / ((double)(packing->n_sequences - 1) * packing->rows);
}

START_TEST(fill)
{
        /* Whole documents of some 82 rows cannot fill 128; sequences of several contexts can. */
        static const struct {
                uint32_t context, rows;
                double least;
        } wanted[] = { { 128, 128, 0.7 }, { 128, 512, 0.97 }, { 256, 256, 0.95 }, { 512, 512, 0.97 },
                { 1024, 1024, 0.97 } };
        struct qvf_dataset *dataset;
        char path[512];

        if (!find_shared("data/biomed/train.jsonl", path))
                return;
        dataset = open_set(path, keep(tokenizer_of_model("models/helper-29m.TQ2_0.gguf")));
        for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
                struct qvf_windows *windows = NULL;
                struct qvf_packing *packing = NULL;

                ck_assert_int_eq(
                                qvf_windows_new(dataset,
                                                &(struct qvf_window_options){ .context = wanted[i].context },
                                                &windows, NULL),
                                0);
                ck_assert_int_eq(qvf_packing_new(windows,
                                                 &(struct qvf_packing_options){
                                                                 .rows = wanted[i].rows, .seed = 1 },
                                                 0, &packing, NULL),
                                0);
                printf("context %u, %u rows: %u windows, %llu split, %u sequences, %.2f %% full, %.2f %% "
                       "without "
                       "the last\n",
                                wanted[i].context, wanted[i].rows, windows->count,
                                (unsigned long long)windows->counts.documents_split, packing->n_sequences,
                                100 * qvf_packing_fill(packing), 100 * fill_of(packing));
                ck_assert_double_gt(fill_of(packing), wanted[i].least);
                qvf_packing_free(packing);
                qvf_windows_free(windows);
        }
        qvf_dataset_free(dataset);
}
END_TEST

QVF_SUITE("biomed", 60, first_document, fill)
