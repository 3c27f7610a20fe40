// Vectors of floats as wide as the processor's, and the functions of one number that an encoder needs.
#pragma once

#include <cstdint>
#include <cstring>
#include <type_traits>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace {

#if defined(__AVX512F__)
constexpr int LANES = 16;
#elif defined(__AVX2__)
constexpr int LANES = 8;
#else
constexpr int LANES = 4;
#endif

typedef float vfloat __attribute__((vector_size(LANES * 4)));
typedef int32_t vint __attribute__((vector_size(LANES * 4)));
typedef float ufloat __attribute__((vector_size(LANES * 4), aligned(4), may_alias));
typedef int32_t uword __attribute__((vector_size(LANES * 4), aligned(4), may_alias));
typedef uint16_t uhalf __attribute__((vector_size(LANES * 2), aligned(2), may_alias));
typedef uint8_t ubyte __attribute__((vector_size(LANES), aligned(1), may_alias));

enum Kind : int { FLOAT32 = 0, BFLOAT16 = 1, INT8 = 2 };
enum Activation : int { NONE = 0, GELU = 1, GELU_TANH = 2, SILU = 3, RELU = 4 };

inline vfloat load(const float* p) { return *(const ufloat*)p; }
inline void store(float* p, vfloat v) { *(ufloat*)p = v; }
inline vfloat fill(float x) { return x - vfloat{}; }
inline vint bits(vfloat v) { return (vint)v; }
inline vfloat larger(vfloat a, vfloat b) { return a > b ? a : b; }
inline vfloat smaller(vfloat a, vfloat b) { return a < b ? a : b; }

// Lane i of the result is lane i ^ width.
inline vfloat swapped(vfloat v, int width) {
#if defined(__clang__)
    vfloat other;
    for (int i = 0; i < LANES; i++) other[i] = v[i ^ width];
    return other;
#else
    vint lane;
    for (int i = 0; i < LANES; i++) lane[i] = i;
    return __builtin_shuffle(v, lane ^ width);
#endif
}

// Each lane is combined with the one `width` away, for ever smaller widths: four steps instead of sixteen.
template <class Combine>
inline float reduce(vfloat v, Combine combine) {
#pragma GCC unroll 4
    for (int width = LANES / 2; width; width /= 2) v = combine(v, swapped(v, width));
    return v[0];
}
inline float sum(vfloat v) {
    return reduce(v, [](vfloat a, vfloat b) { return a + b; });
}
inline float largest(vfloat v) { return reduce(v, larger); }

// bfloat16: the upper half of a float32, rounded to nearest even.
inline vfloat load_bfloat16(const uint16_t* p) {
    return (vfloat)(__builtin_convertvector(*(const uhalf*)p, vint) << 16);
}
inline void store_bfloat16(uint16_t* p, vfloat v) {
#if defined(__AVX512BF16__)
    _mm256_storeu_si256((__m256i*)p, (__m256i)_mm512_cvtneps_pbh((__m512)v));
#else
    vint b = bits(v);
    b += 0x7fff + ((b >> 16) & 1);
    *(uhalf*)p = __builtin_convertvector((b >> 16) & 0xffff, uhalf);
#endif
}

// e^x for x <= 88 to 2 units in the last place, at least e^-87: x = n ln 2 + r, and a polynomial for e^r.
inline vfloat exponential(vfloat x) {
    x = larger(x, fill(-87.0f));
    const vfloat magic = fill(12582912.0f);  // 1.5 * 2^23: adding it rounds to an integer
    vfloat shifted = x * 1.44269504f + magic;
    vfloat n = shifted - magic;
    vfloat r = x - n * 0.693145752f - n * 1.42860677e-6f;
    vfloat p = fill(1.0f / 720);
    p = p * r + 1.0f / 120;
    p = p * r + 1.0f / 24;
    p = p * r + 1.0f / 6;
    p = p * r + 0.5f;
    p = p * r + 1.0f;
    p = p * r + 1.0f;
    return (vfloat)(bits(p) + (bits(shifted) << 23));
}

// x * (1 + erf(x / sqrt 2)) / 2. The erf is x P(x^2) / Q(x^2) on |x| <= 5.4, fitted for this file by linearised
// least squares with Lawson weights; it is off by less than 2e-7.
inline vfloat gelu(vfloat x) {
    vfloat c = smaller(larger(x, fill(-5.4f)), fill(5.4f));
    vfloat u = c * c;
    vfloat p = fill(1.3518318331180287e-05f);
    p = p * u + 0.0007458318641422733f;
    p = p * u + 0.011810413843888664f;
    p = p * u + 0.10976873121429777f;
    p = p * u + 0.797883432663262f;
    vfloat q = fill(5.631114240163803e-07f);
    q = q * u + 0.00013380846274805907f;
    q = q * u + 0.0030456246524158998f;
    q = q * u + 0.04052393302523037f;
    q = q * u + 0.30423233834330127f;
    q = q * u + 1.0f;
    vfloat half = 0.5f * x;
    return half + half * (c * p / q);
}

inline vfloat sigmoid(vfloat x) { return 1.0f / (1.0f + exponential(smaller(-x, fill(88.0f)))); }

inline vfloat activate(vfloat x, int activation) {
    switch (activation) {
        case GELU: return gelu(x);
        case GELU_TANH: return x * sigmoid(1.59576912f * x * (1.0f + 0.044715f * x * x));
        case SILU: return x * sigmoid(x);
        case RELU: return larger(x, vfloat{});
    }
    return x;
}

// The first `count` of some values into element `at` and on of a row.
template <int KIND>
inline void put(void* row, long at, vfloat values, int count = LANES) {
    using Element = std::conditional_t<KIND == FLOAT32, float, uint16_t>;
    alignas(64) Element part[LANES];
    Element* target = count == LANES ? (Element*)row + at : part;
    if constexpr (KIND == FLOAT32)
        store(target, values);
    else
        store_bfloat16(target, values);
    if (count < LANES) std::memcpy((Element*)row + at, part, count * sizeof(Element));
}

}  // namespace
