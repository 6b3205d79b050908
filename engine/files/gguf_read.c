/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/files/gguf_read.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the tensors of a GGUF file are used as they lie in the file: little-endian machines only"
#endif

const char *qvf_gguf_quote(struct qvf_gguf_string string, char buffer[QVF_GGUF_QUOTE_BYTES])
{
        size_t most = QVF_GGUF_QUOTE_BYTES - 4;
        size_t length = string.length < most ? string.length : most;

        for (size_t i = 0; i < length; i++) {
                char c = string.bytes[i];

                buffer[i] = c >= 0x20 && c < 0x7f ? c : '?';
        }
        strcpy(buffer + length, string.length > most ? "..." : "");
        return buffer;
}

int qvf_gguf_compare(struct qvf_gguf_string a, struct qvf_gguf_string b)
{
        size_t common = a.length < b.length ? a.length : b.length;
        int order = common ? memcmp(a.bytes, b.bytes, common) : 0;

        return order ? order : (a.length > b.length) - (a.length < b.length);
}

int qvf_gguf_fail(const struct qvf_gguf_reader *reader, int code, const char *format, ...)
{
        char words[512], quoted[QVF_GGUF_QUOTE_BYTES];
        va_list arguments;

        if (!reader->error)
                return code;
        va_start(arguments, format);
        vsnprintf(words, sizeof(words), format, arguments);
        va_end(arguments);
        if (reader->subject)
                return qvf_error_set(reader->error, code, "%s: at byte %" PRIu64 ": %s '%s': %s",
                                reader->file->name, reader->offset, reader->subject,
                                qvf_gguf_quote(reader->name, quoted), words);
        return qvf_error_set(reader->error, code, "%s: at byte %" PRIu64 ": %s", reader->file->name,
                        reader->offset, words);
}

int qvf_gguf_skip(struct qvf_gguf_reader *reader, uint64_t bytes, const char *what)
{
        if (bytes > qvf_gguf_bytes_left(reader))
                return qvf_gguf_fail(reader, -EINVAL,
                                "the file ends inside %s: %" PRIu64 " bytes expected, %" PRIu64 " are left",
                                what, bytes, qvf_gguf_bytes_left(reader));
        reader->offset += bytes;
        return 0;
}

static int read_bytes(struct qvf_gguf_reader *reader, void *ret_bytes, uint64_t bytes, const char *what)
{
        uint64_t offset = reader->offset;
        int r = qvf_gguf_skip(reader, bytes, what);

        if (r < 0)
                return r;
        memcpy(ret_bytes, reader->file->data + offset, (size_t)bytes);
        return 0;
}

int qvf_gguf_read_u32(struct qvf_gguf_reader *reader, uint32_t *ret_value, const char *what)
{
        return read_bytes(reader, ret_value, sizeof(*ret_value), what);
}

int qvf_gguf_read_u64(struct qvf_gguf_reader *reader, uint64_t *ret_value, const char *what)
{
        return read_bytes(reader, ret_value, sizeof(*ret_value), what);
}

int qvf_gguf_read_string(struct qvf_gguf_reader *reader, uint64_t most, struct qvf_gguf_string *ret_string,
                const char *what)
{
        uint64_t length, start;
        int r;

        r = qvf_gguf_read_u64(reader, &length, what);
        if (r < 0)
                return r;
        if (length > most)
                return qvf_gguf_fail(reader, -E2BIG,
                                "%s is %" PRIu64 " bytes long, expected at most %" PRIu64, what, length,
                                most);
        start = reader->offset;
        r = qvf_gguf_skip(reader, length, what);
        if (r < 0)
                return r;
        ret_string->bytes = (const char *)reader->file->data + start;
        ret_string->length = (size_t)length;
        return 0;
}

static const struct {
        const char *name;
        unsigned bytes;
} types[] = {
        [QVF_GGUF_U8] = { "u8", 1 },
        [QVF_GGUF_I8] = { "i8", 1 },
        [QVF_GGUF_U16] = { "u16", 2 },
        [QVF_GGUF_I16] = { "i16", 2 },
        [QVF_GGUF_U32] = { "u32", 4 },
        [QVF_GGUF_I32] = { "i32", 4 },
        [QVF_GGUF_F32] = { "f32", 4 },
        [QVF_GGUF_BOOL] = { "bool", 1 },
        [QVF_GGUF_STRING] = { "string", 0 },
        [QVF_GGUF_ARRAY] = { "array", 0 },
        [QVF_GGUF_U64] = { "u64", 8 },
        [QVF_GGUF_I64] = { "i64", 8 },
        [QVF_GGUF_F64] = { "f64", 8 },
};

unsigned qvf_gguf_type_bytes(uint32_t type)
{
        return type < sizeof(types) / sizeof(types[0]) ? types[type].bytes : 0;
}

const char *qvf_gguf_type_name(enum qvf_gguf_type type)
{
        return (size_t)type < sizeof(types) / sizeof(types[0]) ? types[type].name : "unknown";
}
