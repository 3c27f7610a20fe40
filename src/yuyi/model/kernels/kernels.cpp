// The inner loops of a BERT-family encoder on a CPU, for rows of tokens without padding: what Python calls.
//
// Activations are rows; a "kind" says what a row holds. Every function is single-threaded when `cores` is 1:
// texts are the better unit of parallel work. With more, OpenMP shares out the tiles, which is for one long
// text alone.

#include "attention.h"
#include "product.h"
#include "rows.h"

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
