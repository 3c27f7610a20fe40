// The inner loops of a BERT-family encoder on a CPU, for rows of tokens without padding.
//
// One micro-kernel serves three number types. A row of A and a column of B are sequences of 32-bit words: one
// float32, two bfloat16 or four 8-bit integers. The processor multiplies a word of A, broadcast, with a vector
// of words of B and adds the products into a vector of 32-bit sums: a fused multiply-add, vdpbf16ps or
// vpdpbusd. Everything else (tiles, packing, tails) is the same for all three.
//
// B is packed in panels of PANEL columns: word k of column n lies at [n / PANEL][k][n % PANEL]. Columns
// beyond the last are zeros. Activations are rows; a "kind" says what a row holds.
//
// Every function is single-threaded when `cores` is 1: texts are the better unit of parallel work. With more,
// OpenMP shares out the tiles, which is for one long text alone.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <vector>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace {

#if defined(__AVX512F__)
constexpr int LANES = 16, ROWS = 12, VECTORS = 2;  // 24 accumulators, 2 columns, 1 broadcast of 32 registers
#elif defined(__AVX2__)
constexpr int LANES = 8, ROWS = 6, VECTORS = 2;  // 12 + 2 + 1 of 16 registers
#else
constexpr int LANES = 4, ROWS = 8, VECTORS = 2;  // 16 + 2 + 1 of 32 registers (NEON)
#endif
constexpr int PANEL = LANES * VECTORS;
constexpr long CHUNK_BYTES = 384 << 10;  // rows of A that stay in a core's second-level cache
constexpr int LONGEST_ROW = 1 << 14;

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

// Writes `row` (n floats) as bytes q with row = scale * (q - zero). The range of a row is its own.
void quantize_row(const float* row, int n, const float* smooth, uint8_t* out, float* scale, float* zero) {
    alignas(64) float scaled[LONGEST_ROW];
    vfloat low = vfloat{}, high = vfloat{};
    for (int i = 0; i < n; i += LANES) {
        vfloat v = load(row + i);
        if (smooth) v *= load(smooth + i);
        low = smaller(low, v);
        high = larger(high, v);
        store(scaled + i, v);
    }
    float lowest = -largest(-low), highest = largest(high);
    float step = std::max((highest - lowest) / 255.0f, 1e-30f);
    float offset = std::nearbyint(-lowest / step);
    *scale = step;
    *zero = offset;
    const vfloat magic = fill(12582912.0f);
    for (int i = 0; i < n; i += LANES) {
        vfloat q = load(scaled + i) * (1.0f / step) + offset;
        q = smaller(larger(q, vfloat{}), fill(255.0f));
        *(ubyte*)(out + i) = __builtin_convertvector(bits(q + magic) & 0xff, ubyte);
    }
}

// (x - mean) / sqrt(variance + eps) * weight + bias, in place.
void normalize_row(float* x, int n, const float* weight, const float* bias, float eps) {
    vfloat total = vfloat{};
    for (int i = 0; i < n; i += LANES) total += load(x + i);
    float mean = sum(total) / n;
    vfloat squares = vfloat{};
    for (int i = 0; i < n; i += LANES) {
        vfloat d = load(x + i) - mean;
        squares += d * d;
    }
    float factor = 1.0f / std::sqrt(sum(squares) / n + eps);
    for (int i = 0; i < n; i += LANES) {
        vfloat v = (load(x + i) - mean) * factor * load(weight + i);
        if (bias) v += load(bias + i);
        store(x + i, v);
    }
}

}  // namespace

extern "C" {

// Which kinds this build can multiply, as a bit set; and how wide a panel is.
int kinds() {
    int set = 1 << FLOAT32;
#ifdef HAS_BFLOAT16
    set |= 1 << BFLOAT16;
#endif
#ifdef HAS_INT8
    set |= 1 << INT8;
#endif
    return set;
}
int panel() { return PANEL; }
int lanes() { return LANES; }
int longest_row() { return LONGEST_ROW; }

struct Linear {
    int kind, inputs, outputs, activation;
    const int32_t* panels;
    const float* bias;    // or null
    const float* scales;  // INT8: of each output's weights
    const float* sums;    // INT8: of each output's weights, to take the zero points out
    const float* smooth;  // INT8: inputs are multiplied by it before they are quantised
};

}  // extern "C"

namespace {

constexpr int group(int kind) { return kind == FLOAT32 ? 1 : kind == BFLOAT16 ? 2 : 4; }

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

// Buffers of one thread for one head of one text.
struct Scratch {
    std::vector<int32_t> keys, values, probabilities;
    std::vector<float> scores;
};

// Keys as panels: word k of key j at [j / PANEL][k][j % PANEL]. Keys beyond the last are zeros.
void pack_keys(const int32_t* keys, long stride, long length, long panels, long words, int32_t* out) {
    for (long p = 0; p < panels; p++, out += words * PANEL) {
        const long count = std::min<long>(PANEL, length - p * PANEL);
        if (count < PANEL) std::memset(out, 0, words * PANEL * 4);
        const int32_t* key = keys + p * PANEL * stride;
        for (long j = 0; j < count; j++, key += stride)
            for (long k = 0; k < words; k++) out[k * PANEL + j] = key[k];
    }
}

// Values as panels of PANEL dimensions: the word of key group k and dimension n at [n / PANEL][k][n % PANEL].
template <int KIND>
void pack_values(const void* values, long stride, long length, long groups, int dim, int32_t* out) {
    for (int column = 0; column < dim; column += PANEL) {
        const int columns = std::min(PANEL, dim - column);
        for (long k = 0; k < groups; k++, out += PANEL) {
            if (columns < PANEL || k * group(KIND) + group(KIND) > length) std::memset(out, 0, PANEL * 4);
            if constexpr (KIND == FLOAT32) {
                if (k < length) std::memcpy(out, (const float*)values + k * stride + column, columns * 4);
            } else {
                const uint16_t* low = (const uint16_t*)values + 2 * k * stride + column;
                if (2 * k + 1 < length)
                    for (int j = 0; j < columns; j++) out[j] = low[j] | (uint32_t)low[stride + j] << 16;
                else if (2 * k < length)
                    for (int j = 0; j < columns; j++) out[j] = low[j];
            }
        }
    }
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

// Scores of one query to weights, and the factor that makes them sum to one. Outside [first, last) a weight is
// e^-87, which is nothing beside the largest, 1.
template <int KIND>
float soften(float* scores, int32_t* weights, long columns, long first, long last, float scale) {
    for (long j = 0; j < first; j++) scores[j] = -1e30f;
    for (long j = last; j < columns; j++) scores[j] = -1e30f;
    vfloat best = fill(-1e30f);
    for (long j = 0; j < columns; j += LANES) best = larger(best, load(scores + j));
    const float peak = largest(best);
    vfloat total = vfloat{};
    for (long j = 0; j < columns; j += LANES) {
        vfloat e = exponential((load(scores + j) - peak) * scale);
        total += e;
        put<KIND>(weights, j, e);
    }
    return 1.0f / sum(total);
}

// One head of one text: softmax(scale * Q K^T) V. Q, K and V lie in rows of `stride` elements.
template <int KIND>
void attend(const void* q, const void* k, const void* v, long stride, long length, int dim, float scale, long window,
            void* out, long out_stride, Scratch& scratch) {
    constexpr int g = group(KIND);
    const long panels = (length + PANEL - 1) / PANEL, columns = panels * PANEL;
    const long words = dim / g, groups = columns / g;
    const int dim_panels = (dim + PANEL - 1) / PANEL;
    scratch.keys.resize(columns * words);
    scratch.values.resize(groups * dim_panels * PANEL);
    scratch.scores.resize(ROWS * columns);
    scratch.probabilities.resize(ROWS * groups);
    pack_keys((const int32_t*)k, stride / g, length, panels, words, scratch.keys.data());
    pack_values<KIND>(v, stride, length, groups, dim, scratch.values.data());
    for (long row = 0; row < length; row += ROWS) {
        const int rows = (int)std::min<long>(ROWS, length - row);
        long begin = 0, end = columns;  // the panels of keys that any of these queries may see
        if (window >= 0) {
            begin = std::max<long>(0, row - window) / PANEL * PANEL;
            end = std::min(columns, (row + rows + window + PANEL - 1) / PANEL * PANEL);
        }
        const int32_t* queries = (const int32_t*)q + row * (stride / g);
        float* scores = scratch.scores.data();
        for (long p = begin; p < end; p += PANEL)
            tile_rows<KIND>(rows, queries, stride / g, scratch.keys.data() + p * words, words,
                            (int32_t*)scores + (p - begin), columns);
        float factors[ROWS];
        for (int i = 0; i < rows; i++) {
            const long first = window >= 0 ? std::max<long>(begin, row + i - window) : 0;
            const long last = window >= 0 ? std::min(length, row + i + window + 1) : length;
            factors[i] = soften<KIND>(scores + i * columns, scratch.probabilities.data() + i * groups, end - begin,
                                      first - begin, last - begin, scale);
        }
        for (int n = 0; n < dim; n += PANEL) {
            alignas(64) float context[ROWS * PANEL];
            tile_rows<KIND>(rows, scratch.probabilities.data(), groups,
                            scratch.values.data() + (n / PANEL * groups + begin / g) * PANEL, (end - begin) / g,
                            (int32_t*)context, PANEL);
            for (int i = 0; i < rows; i++)
                for (int j = 0; j < std::min(PANEL, dim - n); j += LANES) {
                    vfloat c = load(context + i * PANEL + j) * factors[i];
                    put<KIND>(out, (row + i) * out_stride + n + j, c, std::min(LANES, dim - n - j));
                }
        }
    }
}

template <int KIND, class Element>
void attend_all(long texts, const int64_t* offsets, int heads, int dim, const Element* qkv, float scale, long window,
                Element* out, int cores) {
    const long hidden = (long)heads * dim;
#pragma omp parallel for schedule(dynamic) num_threads(cores) if (cores > 1)
    for (long job = 0; job < texts * heads; job++) {
        static thread_local Scratch scratch;
        const long text = job / heads, column = job % heads * dim;
        const Element* row = qkv + offsets[text] * 3 * hidden + column;
        attend<KIND>(row, row + hidden, row + 2 * hidden, 3 * hidden, offsets[text + 1] - offsets[text], dim, scale,
                     window, out + offsets[text] * hidden + column, hidden, scratch);
    }
}

// One row for the layer that reads it: nothing for float32, a copy for the others.
void cast_row(const Linear& reader, const float* row, long token, void* out, float* scale, float* zero) {
    const int n = reader.inputs;
    if (reader.kind == BFLOAT16)
        for (int i = 0; i < n; i += LANES) store_bfloat16((uint16_t*)out + token * n + i, load(row + i));
    else if (reader.kind == INT8)
        quantize_row(row, n, reader.smooth, (uint8_t*)out + token * n, scale + token, zero + token);
}

inline float get(float x) { return x; }
inline float get(uint16_t x) {
    const uint32_t wide = (uint32_t)x << 16;
    float value;
    std::memcpy(&value, &wide, 4);
    return value;
}
inline void set(float& x, float value) { x = value; }
inline void set(uint16_t& x, float value) {
    uint32_t wide;
    std::memcpy(&wide, &value, 4);
    x = (uint16_t)((wide + 0x7fff + ((wide >> 16) & 1)) >> 16);
}

template <class Element>
void rotate_all(long tokens, int heads, int dim, const int32_t* positions, const float* cosine, const float* sine,
                Element* qkv, int cores) {
    const int half = dim / 2;
#pragma omp parallel for schedule(static) num_threads(cores) if (cores > 1)
    for (long t = 0; t < tokens; t++) {
        const float *c = cosine + (long)positions[t] * half, *s = sine + (long)positions[t] * half;
        Element* row = qkv + t * 3 * heads * dim;
        for (int head = 0; head < 2 * heads; head++, row += dim)
            for (int i = 0; i < half; i++) {
                const float a = get(row[i]), b = get(row[i + half]);
                set(row[i], a * c[i] - b * s[i]);
                set(row[i + half], b * c[i] + a * s[i]);
            }
    }
}

}  // namespace

extern "C" {

// out = activation(x W + bias), (tokens, outputs) float32 or bfloat16. `x` is of the layer's kind; bytes come
// with the scale and zero point of each row.
void linear(const Linear* l, long tokens, const void* x, const float* scale, const float* zero, int out_kind, void* out,
            int cores) {
    const int32_t* rows = (const int32_t*)x;
    switch (l->kind) {
        case FLOAT32: return multiply<FLOAT32>(*l, tokens, rows, scale, zero, out_kind, out, cores);
#ifdef HAS_BFLOAT16
        case BFLOAT16: return multiply<BFLOAT16>(*l, tokens, rows, scale, zero, out_kind, out, cores);
#endif
#ifdef HAS_INT8
        case INT8: return multiply<INT8>(*l, tokens, rows, scale, zero, out_kind, out, cores);
#endif
    }
    __builtin_trap();
}

// Attention within each text over rows of [Q | K | V], to so many neighbours on either side as `window` says;
// negative means all of the text.
void attention(int kind, long texts, const int64_t* offsets, int heads, int dim, const void* qkv, float scale,
               long window, void* out, int cores) {
    if (kind == FLOAT32)
        return attend_all<FLOAT32>(texts, offsets, heads, dim, (const float*)qkv, scale, window, (float*)out, cores);
#ifdef HAS_BFLOAT16
    if (kind == BFLOAT16)
        return attend_all<BFLOAT16>(texts, offsets, heads, dim, (const uint16_t*)qkv, scale, window, (uint16_t*)out,
                                    cores);
#endif
    __builtin_trap();
}

// added = x + residual, and its layer norm, (tokens, n) float32. All may be null but `x`; with `weight` null
// nothing is normalised. `normed` or `added` may be the memory of `residual`. `cast` receives the normalised
// rows as `reader` wants them.
void norm(long tokens, int n, const float* x, const float* residual, float* added, const float* weight,
          const float* bias, float eps, float* normed, const Linear* reader, void* cast, float* scale, float* zero,
          int cores) {
#pragma omp parallel for schedule(static) num_threads(cores) if (cores > 1)
    for (long t = 0; t < tokens; t++) {
        alignas(64) float row[LONGEST_ROW];
        for (int i = 0; i < n; i += LANES) {
            vfloat v = load(x + t * n + i);
            if (residual) v += load(residual + t * n + i);
            store(row + i, v);
        }
        if (added) std::memcpy(added + t * n, row, n * 4);
        if (weight) normalize_row(row, n, weight, bias, eps);
        if (normed) std::memcpy(normed + t * n, row, n * 4);
        if (reader) cast_row(*reader, row, t, cast, scale, zero);
    }
}

// (tokens, inputs) float32 or bfloat16 rows as `reader` wants them. With `gate`, rows are twice as wide, and
// the activation of the first half times the second half is what the reader gets.
void convert(long tokens, const Linear* reader, int kind, const void* x, int gate, int activation, float* plain,
             void* cast, float* scale, float* zero, int cores) {
    const long n = reader->inputs, width = gate ? 2 * n : n;
#pragma omp parallel for schedule(static) num_threads(cores) if (cores > 1)
    for (long t = 0; t < tokens; t++) {
        alignas(64) float row[LONGEST_ROW];
        for (long i = 0; i < n; i += LANES) {
            const long at = t * width + i;
            vfloat v = kind == FLOAT32 ? load((const float*)x + at) : load_bfloat16((const uint16_t*)x + at);
            if (gate)
                v = activate(v, activation) *
                    (kind == FLOAT32 ? load((const float*)x + at + n) : load_bfloat16((const uint16_t*)x + at + n));
            store(row + i, v);
        }
        if (plain) std::memcpy(plain + t * n, row, n * 4);
        cast_row(*reader, row, t, cast, scale, zero);
    }
}

// Sums of the embeddings of word, position and first type, (tokens, n) float32; absent tables are null.
void embed(long tokens, int n, const int32_t* ids, const int32_t* positions, const float* words, const float* places,
           const float* type, float* out) {
    for (long t = 0; t < tokens; t++)
        for (int i = 0; i < n; i += LANES) {
            vfloat v = load(words + ids[t] * (long)n + i);
            if (type) v += load(type + i);
            if (places) v += load(places + positions[t] * (long)n + i);
            store(out + t * n + i, v);
        }
}

// Rotates Q and K in rows of [Q | K | V] by position: halves (a, b) of a head to (a cos - b sin, b cos + a sin).
// `cosine` and `sine` are (positions, dim / 2).
void rotate(int kind, long tokens, int heads, int dim, const int32_t* positions, const float* cosine,
            const float* sine, void* qkv, int cores) {
    if (kind == FLOAT32)
        rotate_all(tokens, heads, dim, positions, cosine, sine, (float*)qkv, cores);
    else
        rotate_all(tokens, heads, dim, positions, cosine, sine, (uint16_t*)qkv, cores);
}

}  // extern "C"
