/* SPDX-License-Identifier: Apache-2.0 */
/* libFuzzer: the first byte chooses the options, the rest is a data file. Seeds: tests/data/sets. With clang:
 * -fsanitize=fuzzer,address,undefined fuzz/fuzz_dataset.c engine/data/ engine/tokenizer/ engine/template/
 * engine/files/ engine/sampling/random.c and common/, with -ljson-c -lm */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "tests/engine/data/data_exercise.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char chatml[] = "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + "
                             "message['content'] + '<|im_end|>' + '\\n' }}{% endfor %}{% if "
                             "add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

/* Bytes, a few words and the tokens of ChatML. */
static struct qvf_tokenizer *make_tokenizer(void)
{
        static const char *const words[] = { "<unk>", "<s>", "</s>", "<|im_start|>", "<|im_end|>", "as",
                "ass", "te", "st", "xt" };
        enum { WORDS = sizeof(words) / sizeof(words[0]), TOKENS = WORDS + 256 };
        struct qvf_token_string tokens[TOKENS];
        static char names[256][8];
        struct qvf_vocabulary vocabulary = qvf_vocabulary_empty();
        struct qvf_tokenizer *tokenizer = NULL;
        float scores[TOKENS] = { 0 };
        int32_t types[TOKENS];

        for (size_t i = 0; i < TOKENS; i++) {
                if (i < WORDS) {
                        tokens[i] = (struct qvf_token_string){ words[i], strlen(words[i]) };
                        types[i] = i == 0  ? QVF_TOKEN_TYPE_UNKNOWN
                                   : i < 5 ? QVF_TOKEN_TYPE_CONTROL
                                           : QVF_TOKEN_TYPE_NORMAL;
                        continue;
                }
                snprintf(names[i - WORDS], sizeof(names[0]), "<0x%02X>", (unsigned)(i - WORDS) & 0xff);
                tokens[i] = (struct qvf_token_string){ names[i - WORDS], 6 };
                types[i] = QVF_TOKEN_TYPE_BYTE;
        }
        vocabulary.model = "llama";
        vocabulary.n_tokens = TOKENS;
        vocabulary.tokens = tokens;
        vocabulary.types = types;
        vocabulary.scores = scores;
        vocabulary.named[QVF_NAMED_UNKNOWN] = 0;
        vocabulary.named[QVF_NAMED_BOS] = 1;
        vocabulary.named[QVF_NAMED_EOS] = 2;
        if (qvf_tokenizer_new(&vocabulary, &tokenizer, NULL) < 0)
                abort();
        return tokenizer;
}

static void drop_line(void *context, enum qvf_log_level level, const char *line)
{
        (void)context;
        (void)level;
        (void)line;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static struct qvf_tokenizer *tokenizer;
        static struct qvf_chat_template *chat_template;

        if (!tokenizer) {
                qvf_log_set(drop_line, NULL, QVF_LOG_ERROR);
                tokenizer = make_tokenizer();
                if (qvf_chat_template_new(chatml, sizeof(chatml) - 1, &chat_template, NULL) < 0)
                        abort();
        }
        if (size > 0)
                data_exercise(tokenizer, chat_template, data + 1, size - 1, data[0]);
        return 0;
}
