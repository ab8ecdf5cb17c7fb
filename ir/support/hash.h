/* SPDX-License-Identifier: Apache-2.0 */
/* ir/support/hash.h - SHA-256 (FIPS 180-4) for digests, a fixed-seed FNV-1a for tables. */
#ifndef WSEC_SUPPORT_HASH_H
#define WSEC_SUPPORT_HASH_H

#include <stddef.h>
#include <stdint.h>

typedef struct Sha256 {
    uint32_t h[8];
    uint64_t len;
    uint8_t block[64];
} Sha256;

void sha256_init(Sha256 *s);
void sha256_add(Sha256 *s, const void *data, size_t len);
void sha256_finish(Sha256 *s, uint8_t digest[32]);
void sha256(const void *data, size_t len, uint8_t digest[32]);

uint64_t hash_bytes(uint64_t seed, const void *data, size_t len);

#endif
