// What happens to a row of activations between two products: norm, rounding to bytes, rotation by position.
#pragma once

#include <cmath>

#include "product.h"

namespace {

constexpr int LONGEST_ROW = 1 << 14;

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
