/* SPDX-License-Identifier: Apache-2.0 */
/* The CRC-32 of IEEE 802.3, bit by bit, under zlib's names: zlib for another architecture is hard to come by. */
#include <stdint.h>
#include <zlib.h>

unsigned long crc32_z(unsigned long sum, const unsigned char *bytes, size_t count)
{
        uint32_t rest = ~(uint32_t)sum;

        for (size_t i = 0; i < count; i++) {
                rest ^= bytes[i];
                for (int bit = 0; bit < 8; bit++)
                        rest = rest >> 1 ^ (rest & 1 ? 0xedb88320u : 0);
        }
        return (uint32_t)~rest;
}

unsigned long crc32(unsigned long sum, const unsigned char *bytes, unsigned count)
{
        return crc32_z(sum, bytes, count);
}
