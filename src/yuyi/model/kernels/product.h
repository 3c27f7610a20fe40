// Matrix products: one micro-kernel for three number types.
//
// A row of A and a column of B are sequences of 32-bit words: one float32, two bfloat16 or four 8-bit integers.
// The processor multiplies a word of A, broadcast, with a vector of words of B and adds the products into a
// vector of 32-bit sums: a fused multiply-add, vdpbf16ps or vpdpbusd. Everything else (tiles, packing, tails)
// is the same for all three.
//
// B is packed in panels of PANEL columns: word k of column n lies at [n / PANEL][k][n % PANEL]. Columns beyond
// the last are zeros.
#pragma once

#include <algorithm>

#include "vectors.h"

struct Linear {
    int kind, inputs, outputs, activation;
    const int32_t* panels;
    const float* bias;    // or null
    const float* scales;  // INT8: of each output's weights
    const float* sums;    // INT8: of each output's weights, to take the zero points out
    const float* smooth;  // INT8: inputs are multiplied by it before they are quantised
};

namespace {

#if defined(__AVX512F__)
constexpr int ROWS = 12, VECTORS = 2;  // 24 accumulators, 2 columns, 1 broadcast of 32 registers
#elif defined(__AVX2__)
constexpr int ROWS = 6, VECTORS = 2;  // 12 + 2 + 1 of 16 registers
#else
constexpr int ROWS = 8, VECTORS = 2;  // 16 + 2 + 1 of 32 registers (NEON)
#endif
constexpr int PANEL = LANES * VECTORS;
constexpr long CHUNK_BYTES = 384 << 10;  // rows of A that stay in a core's second-level cache

constexpr int group(int kind) { return kind == FLOAT32 ? 1 : kind == BFLOAT16 ? 2 : 4; }

// One multiply-accumulate of 32-bit words, for each kind.
template <int KIND>
inline vint dot(vint c, vint a, vint b);
template <>
inline vint dot<FLOAT32>(vint c, vint a, vint b) {
    return (vint)((vfloat)c + (vfloat)a * (vfloat)b);
}
#if defined(__AVX512BF16__)
#define HAS_BFLOAT16
template <>
inline vint dot<BFLOAT16>(vint c, vint a, vint b) {
    return (vint)_mm512_dpbf16_ps((__m512)c, (__m512bh)a, (__m512bh)b);
}
#endif
#if defined(__AVX512VNNI__)
#define HAS_INT8
template <>
inline vint dot<INT8>(vint c, vint a, vint b) {
    return (vint)_mm512_dpbusd_epi32((__m512i)c, (__m512i)a, (__m512i)b);
}
#elif defined(__AVXVNNI__)
#define HAS_INT8
template <>
inline vint dot<INT8>(vint c, vint a, vint b) {
    return (vint)_mm256_dpbusd_avx_epi32((__m256i)c, (__m256i)a, (__m256i)b);
}
#endif

// out[M][PANEL] = A[M rows of `words`] x one panel of B. The sums stay in registers until the end.
template <int KIND, int M>
void tile(const int32_t* a, long lda, const int32_t* b, long words, int32_t* out, long ldo) {
    vint sums[M][VECTORS];
#pragma GCC unroll 16
    for (int i = 0; i < M; i++)
#pragma GCC unroll 4
        for (int j = 0; j < VECTORS; j++) sums[i][j] = vint{};
    for (long k = 0; k < words; k++, b += PANEL) {
        vint column[VECTORS];
#pragma GCC unroll 4
        for (int j = 0; j < VECTORS; j++) column[j] = *(const uword*)(b + j * LANES);
#pragma GCC unroll 16
        for (int i = 0; i < M; i++) {
            vint word = a[i * lda + k] - vint{};
#pragma GCC unroll 4
            for (int j = 0; j < VECTORS; j++) sums[i][j] = dot<KIND>(sums[i][j], word, column[j]);
        }
    }
#pragma GCC unroll 16
    for (int i = 0; i < M; i++)
#pragma GCC unroll 4
        for (int j = 0; j < VECTORS; j++) *(uword*)(out + i * ldo + j * LANES) = sums[i][j];
}

// The same for any number of rows up to ROWS.
template <int KIND, int M = ROWS>
void tile_rows(int rows, const int32_t* a, long lda, const int32_t* b, long words, int32_t* out, long ldo) {
    if constexpr (M > 0) {
        if (rows == M)
            tile<KIND, M>(a, lda, b, words, out, ldo);
        else
            tile_rows<KIND, M - 1>(rows, a, lda, b, words, out, ldo);
    }
}

// The sums of one tile, on their way out: zero points and scales, bias, activation, and the type of `out`.
template <int KIND, bool ACTIVE>
void finish(const Linear& l, const int32_t* sums, int rows, long column, const float* scale, const float* zero,
            int out_kind, void* out) {
    const int columns = std::min<long>(PANEL, l.outputs - column);
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < columns; j += LANES) {
            vfloat v;
            if constexpr (KIND == INT8) {
                v = __builtin_convertvector(*(const uword*)(sums + i * PANEL + j), vfloat);
                v = (v - zero[i] * load(l.sums + column + j)) * (scale[i] * load(l.scales + column + j));
            } else {
                v = load((const float*)sums + i * PANEL + j);
            }
            if (l.bias) v += load(l.bias + column + j);
            if constexpr (ACTIVE) v = activate(v, l.activation);
            const long at = i * (long)l.outputs + column + j;
            if (out_kind == FLOAT32)
                store((float*)out + at, v);
            else
                store_bfloat16((uint16_t*)out + at, v);
        }
}

template <int KIND>
void multiply(const Linear& l, long tokens, const int32_t* x, const float* scale, const float* zero, int out_kind,
              void* out, int cores) {
    const long words = l.inputs / group(KIND);
    const long panels = (l.outputs + PANEL - 1) / PANEL;
    const long chunk = std::max<long>(1, CHUNK_BYTES / (words * 4 * ROWS)) * ROWS;
    const long chunks = (tokens + chunk - 1) / chunk;
    const long out_bytes = out_kind == FLOAT32 ? 4 : 2;
    const auto finisher = l.activation == NONE ? finish<KIND, false> : finish<KIND, true>;
#pragma omp parallel for collapse(2) schedule(static) num_threads(cores) if (cores > 1)
    for (long c = 0; c < chunks; c++)
        for (long p = 0; p < panels; p++) {
            const long last = std::min(tokens, (c + 1) * chunk);
            for (long row = c * chunk; row < last; row += ROWS) {
                alignas(64) int32_t sums[ROWS * PANEL];
                const int rows = (int)std::min<long>(ROWS, last - row);
                tile_rows<KIND>(rows, x + row * words, words, l.panels + p * words * PANEL, words, sums, PANEL);
                finisher(l, sums, rows, p * PANEL, scale + row, zero + row, out_kind,
                         (char*)out + row * l.outputs * out_bytes);
            }
        }
}

}  // namespace
