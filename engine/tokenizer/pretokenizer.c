/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/tokenizer/pretokenizer.h"

#include <string.h>

#include "common/checked.h"
#include "engine/tokenizer/scan.h"

struct qvf_scan_stage {
        qvf_scan_function scan;
        const void *rule;
};

#define PUNCTUATION QVF_CLASS_PUNCTUATION
#define DIGITS "0123456789"

/* [\p{P}\$\+<=>\^~\|]+ and, for Falcon, with ` */
static const struct qvf_isolate_rule default_marks = {
        .classes = PUNCTUATION, .ascii = "$+<=>^~|", .minimum = 1
};
static const struct qvf_isolate_rule falcon_marks = {
        .classes = PUNCTUATION, .ascii = "$+<=>^~|`", .minimum = 1
};
/* \p{N}+  \p{N}  \p{N}{1,3}  [0-9][0-9][0-9]  [\r\n] */
static const struct qvf_isolate_rule numbers = { .classes = QVF_CLASS_NUMBER, .minimum = 1 };
static const struct qvf_isolate_rule one_number = {
        .classes = QVF_CLASS_NUMBER, .minimum = 1, .maximum = 1
};
static const struct qvf_isolate_rule three_numbers = {
        .classes = QVF_CLASS_NUMBER, .minimum = 1, .maximum = 3
};
static const struct qvf_isolate_rule three_digits = { .ascii = DIGITS, .minimum = 3, .maximum = 3 };
static const struct qvf_isolate_rule one_newline = { .ascii = "\r\n", .minimum = 1, .maximum = 1 };
/* \s?\p{L}+  \s?\p{P}+  \s+$ */
static const struct qvf_isolate_rule letters = {
        .classes = QVF_CLASS_LETTER, .lead = QVF_LEAD_WHITESPACE, .minimum = 1
};
static const struct qvf_isolate_rule marks = {
        .classes = PUNCTUATION, .lead = QVF_LEAD_WHITESPACE, .minimum = 1
};
static const struct qvf_isolate_rule space_at_end = { .classes = QVF_CLASS_SPACE, .only_at_end = true };

/* DeepSeek's Chinese: [一-龥ࠀ-一가-퟿]+, and of its third version [一-龥぀-ゟ゠-ヿ]+ */
static const struct qvf_scan_range deepseek_chinese_ranges[] = { { 0x800, 0x9fa5 }, { 0xac00, 0xd7ff } };
static const struct qvf_isolate_rule deepseek_chinese = { .ranges = deepseek_chinese_ranges,
        .n_ranges = QVF_ARRAY_LENGTH(deepseek_chinese_ranges),
        .minimum = 1 };
static const struct qvf_scan_range deepseek3_chinese_ranges[] = { { 0x3040, 0x30ff }, { 0x4e00, 0x9fa5 } };
static const struct qvf_isolate_rule deepseek3_chinese = { .ranges = deepseek3_chinese_ranges,
        .n_ranges = QVF_ARRAY_LENGTH(deepseek3_chinese_ranges),
        .minimum = 1 };
/* DeepSeek-LLM lists its letters, the cased ones of its day. */
/* clang-format off */
static const struct qvf_scan_range deepseek_letter_ranges[] = {
        { 0x41, 0x5a }, { 0x61, 0x7a }, { 0xb5, 0xb5 }, { 0xc0, 0xd6 }, { 0xd8, 0xf6 }, { 0xf8, 0x1ba },
        { 0x1bc, 0x1bf }, { 0x1c4, 0x293 }, { 0x295, 0x2af }, { 0x370, 0x373 }, { 0x376, 0x376 },
        { 0x377, 0x377 }, { 0x37b, 0x37d }, { 0x37f, 0x37f }, { 0x386, 0x386 }, { 0x388, 0x38a },
        { 0x38c, 0x38c }, { 0x38e, 0x3a1 }, { 0x3a3, 0x3f5 }, { 0x3f7, 0x481 }, { 0x48a, 0x52f },
        { 0x531, 0x556 }, { 0x10a0, 0x10c5 }, { 0x13a0, 0x13f5 }, { 0x13f8, 0x13fd }, { 0x1c90, 0x1cba },
        { 0x1cbd, 0x1cbf }, { 0x1d00, 0x1d2b }, { 0x1d6b, 0x1d77 }, { 0x1d79, 0x1d9a }, { 0x1e00, 0x1f15 },
        { 0x1f18, 0x1f1d }, { 0x1f20, 0x1f45 }, { 0x1f48, 0x1f4d }, { 0x1f50, 0x1f57 }, { 0x1f59, 0x1f59 },
        { 0x1f5b, 0x1f5b }, { 0x1f5d, 0x1f5d }, { 0x1f5f, 0x1f7d }, { 0x1f80, 0x1fb4 }, { 0x1fb6, 0x1fbc },
        { 0x1fbe, 0x1fbe }, { 0x1fc2, 0x1fc4 }, { 0x1fc6, 0x1fcc }, { 0x1fd0, 0x1fd3 }, { 0x1fd6, 0x1fdb },
        { 0x1fe0, 0x1fec }, { 0x1ff2, 0x1ff4 }, { 0x1ff6, 0x1ffc }, { 0x2102, 0x2102 }, { 0x2107, 0x2107 },
        { 0x210a, 0x2113 }, { 0x2115, 0x2115 }, { 0x2119, 0x211d }, { 0x2124, 0x2124 }, { 0x2126, 0x2126 },
        { 0x2128, 0x2128 }, { 0x212a, 0x212d }, { 0x212f, 0x2134 }, { 0x2139, 0x2139 }, { 0x213c, 0x213f },
        { 0x2145, 0x2149 }, { 0x214e, 0x214e }, { 0x2183, 0x2183 }, { 0x2184, 0x2184 }, { 0x2c00, 0x2c7b },
        { 0x2c7e, 0x2ce4 }, { 0x2ceb, 0x2cee }, { 0x2cf2, 0x2cf2 }, { 0x2cf3, 0x2cf3 }, { 0xa640, 0xa66d },
        { 0xa680, 0xa69b }, { 0xa722, 0xa76f }, { 0xa771, 0xa787 }, { 0xa78b, 0xa78e }, { 0xab70, 0xabbf },
        { 0xfb00, 0xfb06 }, { 0xfb13, 0xfb17 }, { 0xff21, 0xff3a }, { 0xff41, 0xff5a },
        { 0x10400, 0x1044f }, { 0x104b0, 0x104d3 }, { 0x104d8, 0x104fb }, { 0x10c80, 0x10cb2 },
        { 0x10cc0, 0x10cf2 }, { 0x118a0, 0x118df }, { 0x1e900, 0x1e943 },
};
/* clang-format on */
static const struct qvf_isolate_rule deepseek_letters = {
        .ranges = deepseek_letter_ranges,
        .n_ranges = QVF_ARRAY_LENGTH(deepseek_letter_ranges),
        .lead = QVF_LEAD_WHITESPACE,
        .minimum = 1,
};
/* [!-/:-~！-／：-～‘-‟　-。] */
static const struct qvf_scan_range deepseek_mark_ranges[] = { { 0x21, 0x2f }, { 0x3a, 0x7e },
        { 0x2018, 0x201f }, { 0x3000, 0x3002 }, { 0xff01, 0xff0f }, { 0xff1a, 0xff5e } };
static const struct qvf_isolate_rule deepseek_marks = {
        .ranges = deepseek_mark_ranges,
        .n_ranges = QVF_ARRAY_LENGTH(deepseek_mark_ranges),
        .lead = QVF_LEAD_WHITESPACE,
        .minimum = 1,
};
/* BLOOM:  ?[^(\s|.,!?…。，、।۔،)]+ */
static const struct qvf_scan_range bloom_mark_ranges[] = { { 0x60c, 0x60c }, { 0x6d4, 0x6d4 },
        { 0x964, 0x964 }, { 0x2026, 0x2026 }, { 0x3001, 0x3002 }, { 0xff0c, 0xff0c } };
static const struct qvf_isolate_rule bloom_words = {
        .classes = QVF_CLASS_SPACE,
        .ascii = "(|.,!?)",
        .ranges = bloom_mark_ranges,
        .n_ranges = QVF_ARRAY_LENGTH(bloom_mark_ranges),
        .negated = true,
        .lead = QVF_LEAD_SPACE,
        .minimum = 1,
};

static const struct qvf_words_rule llama3_words = { .contractions = true, .digits = 3, .after = "\r\n" };
static const struct qvf_words_rule qwen2_words = { .contractions = true, .digits = 1, .after = "\r\n" };
static const struct qvf_words_rule seed_words = { .contractions = true, .digits = 1, .after = "" };
static const struct qvf_words_rule tekken_words = { .cased = true, .digits = 1, .after = "\r\n/" };
static const struct qvf_words_rule gpt4o_words = {
        .cased = true, .suffixes = true, .digits = 3, .after = "\r\n/"
};

#define ISOLATE(rule)                                                                                       \
        {                                                                                                   \
                qvf_scan_isolate, &(rule)                                                                   \
        }

static const struct qvf_scan_stage default_stages[] = { ISOLATE(default_marks), { qvf_scan_gpt2, NULL },
        ISOLATE(numbers), ISOLATE(three_digits) };
static const struct qvf_scan_stage falcon_stages[] = { ISOLATE(falcon_marks), { qvf_scan_gpt2, NULL },
        ISOLATE(three_digits) };
static const struct qvf_scan_stage gpt2_stages[] = { { qvf_scan_gpt2, NULL } };
static const struct qvf_scan_stage starcoder_stages[] = { ISOLATE(one_number), { qvf_scan_gpt2, NULL } };
static const struct qvf_scan_stage llama3_stages[] = { { qvf_scan_words, &llama3_words } };
static const struct qvf_scan_stage qwen2_stages[] = { { qvf_scan_words, &qwen2_words } };
static const struct qvf_scan_stage seed_stages[] = { { qvf_scan_words, &seed_words } };
static const struct qvf_scan_stage tekken_stages[] = { { qvf_scan_words, &tekken_words } };
static const struct qvf_scan_stage gpt4o_stages[] = { { qvf_scan_words, &gpt4o_words } };
static const struct qvf_scan_stage deepseek_llm_stages[] = { ISOLATE(one_newline), ISOLATE(deepseek_letters),
        ISOLATE(deepseek_marks), ISOLATE(space_at_end), ISOLATE(deepseek_chinese), ISOLATE(numbers) };
static const struct qvf_scan_stage deepseek_coder_stages[] = { ISOLATE(one_newline), ISOLATE(letters),
        ISOLATE(marks), ISOLATE(deepseek_chinese), ISOLATE(one_number) };
static const struct qvf_scan_stage deepseek3_stages[] = { ISOLATE(three_numbers), ISOLATE(deepseek3_chinese),
        { qvf_scan_deepseek3, NULL } };
static const struct qvf_scan_stage bloom_stages[] = { ISOLATE(bloom_words) };
static const struct qvf_scan_stage viking_stages[] = { ISOLATE(bloom_words), ISOLATE(one_number) };

#define PRE(name, stages)                                                                                   \
        {                                                                                                   \
                name, stages##_stages, QVF_ARRAY_LENGTH(stages##_stages), false, false                      \
        }
/* Llama 3 and its like: words that are tokens stay whole, and a text begins with BOS. */
#define PRE_WHOLE(name, stages)                                                                             \
        {                                                                                                   \
                name, stages##_stages, QVF_ARRAY_LENGTH(stages##_stages), true, true                        \
        }

static const struct qvf_pretokenizer pretokenizers[] = {
        PRE("default", default),
        PRE_WHOLE("llama-bpe", llama3),
        PRE_WHOLE("llama3", llama3),
        PRE_WHOLE("llama-v3", llama3),
        PRE_WHOLE("falcon3", llama3),
        PRE_WHOLE("falcon-h1", llama3),
        PRE_WHOLE("falcon-e", llama3),
        PRE_WHOLE("pixtral", llama3),
        PRE_WHOLE("midm-2.0", llama3),
        PRE_WHOLE("lfm2", llama3),
        PRE("dbrx", llama3),
        PRE("smaug-bpe", llama3),
        PRE("glm4", llama3),
        PRE("chatglm-bpe", llama3),
        PRE("qwen2", qwen2),
        PRE("deepseek-r1-qwen", qwen2),
        PRE("stablelm2", qwen2),
        PRE("megrez", qwen2),
        PRE("hunyuan", qwen2),
        PRE("grok-2", qwen2),
        PRE("bailingmoe", qwen2),
        PRE("bailingmoe2", qwen2),
        PRE("llada-moe", qwen2),
        PRE("seed-coder", seed),
        PRE("falcon", falcon),
        PRE("gpt-2", gpt2),
        PRE("gpt2", gpt2),
        PRE("phi-2", gpt2),
        PRE("mpt", gpt2),
        PRE("olmo", gpt2),
        PRE("jais", gpt2),
        PRE("trillion", gpt2),
        PRE("granite-docling", gpt2),
        PRE("exaone4", gpt2),
        PRE("gigachat", gpt2),
        PRE("mellum", gpt2),
        PRE("a.x-4.0", gpt2),
        PRE("roberta-bpe", gpt2),
        PRE("starcoder", starcoder),
        PRE("refact", starcoder),
        PRE("command-r", starcoder),
        PRE("smollm", starcoder),
        PRE("codeshell", starcoder),
        PRE("exaone", starcoder),
        PRE("minerva-7b", starcoder),
        PRE_WHOLE("tekken", tekken),
        PRE("gpt-4o", gpt4o),
        PRE("llama4", gpt4o),
        PRE("minimax-m2", gpt4o),
        PRE("deepseek-llm", deepseek_llm),
        PRE("deepseek-coder", deepseek_coder),
        PRE("deepseek-v3", deepseek3),
        PRE("hunyuan-dense", deepseek3),
        PRE("bloom", bloom),
        PRE("poro-chat", bloom),
        PRE("gpt3-finnish", bloom),
        PRE("viking", viking),
};

const struct qvf_pretokenizer *qvf_pretokenizer_find(const char *name)
{
        for (size_t i = 0; i < QVF_ARRAY_LENGTH(pretokenizers); i++)
                if (strcmp(pretokenizers[i].name, name) == 0)
                        return &pretokenizers[i];
        return NULL;
}

struct split {
        const struct qvf_pretokenizer *pretokenizer;
        const char *text;
        const uint8_t *classes;
        qvf_pretokenizer_word word;
        void *context;
};

/* As deep as there are stages, 6 at most. */
static int split_piece(const struct split *split, size_t stage, size_t start, size_t end)
{
        const struct qvf_scan scan = { split->text, split->classes, end };
        int r;

        if (stage == split->pretokenizer->n_stages)
                return split->word(split->context, start, end);
        while (start < end) {
                const struct qvf_scan_stage *now = &split->pretokenizer->stages[stage];
                size_t next = now->scan(&scan, start, now->rule);

                r = split_piece(split, stage + 1, start, next);
                if (r)
                        return r;
                start = next;
        }
        return 0;
}

int qvf_pretokenizer_split(const struct qvf_pretokenizer *pretokenizer, const char *text,
                const uint8_t *classes, size_t length, qvf_pretokenizer_word word, void *context)
{
        const struct split split = { pretokenizer, text, classes, word, context };

        return split_piece(&split, 0, 0, length);
}
