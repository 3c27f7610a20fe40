// Attention within each text, over rows of [Q | K | V].
#pragma once

#include <vector>

#include "product.h"

namespace {

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

}  // namespace
