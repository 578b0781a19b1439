// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <concepts>

#include <unmask/config.hpp>
#include <unmask/cpu/attention/gradient_sums.hpp>
#include <unmask/cpu/attention/pack.hpp>
#include <unmask/cpu/attention/problem.hpp>
#include <unmask/cpu/attention/query_strip.hpp>
#include <unmask/cpu/attention/score_strip.hpp>
#include <unmask/cpu/attention/tile_product.hpp>
#include <unmask/cpu/attention/visible_product.hpp>
#include <unmask/cpu/scratch.hpp>
#include <unmask/cpu/simd.hpp>
#include <unmask/mask/mask_policy.hpp>

// One block of the score matrix in the backward pass: some query rows of every head of a group × some of their keys.

UNMASK_NAMESPACE_BEGIN
namespace detail {

inline constexpr int backward_lanes = lanes == 16 ? 4 * lanes : 6 * lanes;
inline constexpr index_t backward_tile = 16 * block_rows; // keys whose scores are held at once

// How the score matrix of a kv head is cut.
struct backward_cut {
    index_t queries; // rows of a block
    index_t keys;

    // As large as the second-level cache allows: what is packed and summed of a block's keys fills half of it. Smaller
    // if a round would have too few blocks for all threads; that depends on the shape alone, and not on the threads.
    template <class T>
    explicit backward_cut(const attention_problem<T>& problem)
        : queries(8 * backward_lanes), keys(largest_keys(problem.width())) {
        while (problem.batch * problem.kv_heads *
                   std::min(tiles_of(problem.query_length, queries), tiles_of(problem.key_length, keys)) <
               wanted) {
            const bool fewer_queries = tiles_of(problem.query_length, queries) <= tiles_of(problem.key_length, keys);
            index_t& larger_one = fewer_queries ? queries : keys;
            if (larger_one <= (fewer_queries ? backward_lanes : smallest_keys)) {
                break;
            }
            larger_one /= 2;
        }
    }

    static constexpr index_t wanted = 16; // blocks at the same time

    static index_t largest_keys(index_t width) { return std::clamp<index_t>(32768 / width, smallest_keys, 512); }

private:
    static constexpr index_t smallest_keys = 128;
};

// A worker's memory. Scores are computed by Products, everything else in floats.
template <class Products>
struct backward_space {
    using element = typename Products::element;
    static constexpr bool shared = std::same_as<Products, float_products>; // scores need nothing of their own

    float* keys; // [keys of a block][width], the next three as well
    float* values;
    float* d_keys;
    float* d_values;
    strip_operand<float_products, backward_lanes> queries;
    strip_operand<float_products, backward_lanes> d_output;
    float* d_query;       // [lanes][width]
    float* log_sum_exp;   // [lanes]
    float* delta;         // [lanes]
    float* probabilities; // [backward_tile][lanes]
    float* d_scores;      // [backward_tile][lanes]
    index_t inner;        // elements of a key or query in the next two
    element* score_keys;
    strip_operand<Products, backward_lanes> score_queries;

    backward_space(arena& pieces, index_t key_count, index_t head_dim, index_t width)
        : keys(pieces.take(key_count * width)), values(pieces.take(key_count * width)),
          d_keys(pieces.take(key_count * width)), d_values(pieces.take(key_count * width)), queries(pieces, width),
          d_output(pieces, width), d_query(pieces.take(backward_lanes * width)),
          log_sum_exp(pieces.take(backward_lanes)), delta(pieces.take(backward_lanes)),
          probabilities(pieces.take(backward_tile * backward_lanes)),
          d_scores(pieces.take(backward_tile * backward_lanes)),
          inner(shared ? width : score_width<Products>(head_dim)),
          score_keys(shared ? reinterpret_cast<element*>(keys) : pieces.take<element>(key_count * inner)),
          score_queries(queries_of_scores(pieces)) {}

    // Scores and dP become probabilities and dS, in place: P = exp(S − LSE), dS = P · (dP − Δ), times the derivative
    // of the soft cap. Hidden keys come out 0 in both.
    void differentiate(index_t key_count, int vectors, float soft_cap) const {
        const float cap = soft_cap > 0.0F ? 1.0F / soft_cap : 0.0F;
        for (int v = 0; v < vectors; ++v) {
            const vfloat sum = load(log_sum_exp + v * lanes);
            const vfloat mean = load(delta + v * lanes);
            for (index_t at = v * lanes; at < key_count * backward_lanes; at += backward_lanes) {
                const vfloat score = load(probabilities + at);
                const vfloat probability = weight_of(score, sum);
                vfloat ds = probability * (load(d_scores + at) - mean);
                if (cap > 0.0F) {
                    const vfloat tanh = score * cap;
                    ds *= 1.0F - tanh * tanh;
                }
                store(probabilities + at, probability);
                store(d_scores + at, select(is_minus_infinity(score), vfloat{}, ds));
            }
        }
    }

private:
    auto queries_of_scores(arena& pieces) const {
        if constexpr (shared) {
            return queries;
        } else {
            return strip_operand<Products, backward_lanes>(pieces, inner);
        }
    }
};

template <class T, class Gradient, mask_policy Mask>
class backward_block {
public:
    using products = score_products<T>;
    using space_type = backward_space<products>;

    // Some keys of a kv head. dQ is added to the sums, or, if `d_query_part` is given, written there: [group, queries,
    // width], for all queries that there are.
    backward_block(const attention_problem<T>& problem, const tensor_view<const T, 4>& d_output, const Mask& mask,
                   const gradient_sums<Gradient>& sums, const space_type& space, index_t sequence, index_t kv_head,
                   range keys, float* d_query_part)
        : problem_(problem), d_output_(d_output), mask_(mask), sums_(sums), space_(space), sequence_(sequence),
          kv_head_(kv_head), keys_(keys), width_(problem.width()), d_query_part_(d_query_part) {
        const index_t count = keys.end - keys.begin;
        pack_rows(problem.key, sequence, kv_head, keys.begin, count, 1.0F, space.keys, width_);
        pack_rows(problem.value, sequence, kv_head, keys.begin, count, 1.0F, space.values, width_);
        if constexpr (!space_type::shared) {
            pack_rows(problem.key, sequence, kv_head, keys.begin, count, space.score_keys, space.inner);
        }
        std::fill_n(space.d_keys, count * width_, 0.0F);
        std::fill_n(space.d_values, count * width_, 0.0F);
    }

    // Query rows of one head against all keys of the block; `delta` begins with the first of them.
    void add_rows(index_t head, range rows, const float* delta) const {
        const grouped_rows all(problem_, sequence_, head, 1);
        for_each_strip<backward_lanes>(mask_, all, rows.begin, rows.end, problem_.keys(sequence_),
                                       [&](index_t first, index_t last) {
                                           add_strip(query_strip<backward_lanes>(all, first, last), head, {first, last},
                                                     delta + (first - rows.begin));
                                       });
    }

    void write_keys() const {
        const index_t count = keys_.end - keys_.begin;
        if (sums_.key.wanted()) {
            sums_.key.add(sequence_, kv_head_, keys_.begin, count, 1.0F, space_.d_keys, width_);
        }
        if (sums_.value.wanted()) {
            sums_.value.add(sequence_, kv_head_, keys_.begin, count, 1.0F, space_.d_values, width_);
        }
    }

private:
    void add_strip(const query_strip<backward_lanes>& strip, index_t head, range rows, const float* delta) const {
        bool packed = false;
        for (const range& seen : mask_.key_ranges(strip.hull.begin, strip.hull.end, keys_.end)) {
            const range inside = intersect(seen, keys_);
            for (index_t k = inside.begin; k < inside.end; k += backward_tile) {
                const range span{k, std::min(k + backward_tile, inside.end)};
                const tile_class kind = mask_.classify(strip.hull.begin, strip.hull.end, span.begin, span.end);
                if (kind != tile_class::empty) {
                    if (!packed) {
                        pack_strip(head, rows, delta);
                        packed = true;
                    }
                    add_span(strip, span, kind);
                }
            }
        }
        if (d_query_part_ != nullptr) {
            const index_t at = (head - kv_head_ * problem_.group()) * problem_.queries(sequence_) + rows.begin;
            if (packed) {
                std::copy_n(space_.d_query, strip.count * width_, d_query_part_ + at * width_);
            } else {
                std::fill_n(d_query_part_ + at * width_, strip.count * width_, 0.0F);
            }
        } else if (packed && sums_.query.wanted()) {
            sums_.query.add(sequence_, head, rows.begin, strip.count, problem_.scale, space_.d_query, width_);
        }
    }

    void pack_strip(index_t head, range rows, const float* delta) const {
        space_.queries.fill(rows, width_, [&](index_t query, float* to) {
            pack_row(problem_.query.pointer(sequence_, query, head), problem_.head_dim, problem_.scale, to, width_);
        });
        space_.d_output.fill(rows, width_, [&](index_t query, float* to) {
            pack_row(d_output_.pointer(sequence_, query, head), problem_.head_dim, 1.0F, to, width_);
        });
        if constexpr (!space_type::shared) {
            space_.score_queries.fill(rows, space_.inner, [&](index_t query, auto* to) {
                pack_row(problem_.query.pointer(sequence_, query, head), problem_.head_dim, to, space_.inner);
            });
        }
        problem_.log_sums(sequence_, head, rows, backward_lanes, space_.log_sum_exp);
        std::fill(std::copy_n(delta, rows.end - rows.begin, space_.delta), space_.delta + backward_lanes, 0.0F);
        std::fill_n(space_.d_query, (rows.end - rows.begin) * width_, 0.0F);
    }

    void add_span(const query_strip<backward_lanes>& strip, range span, tile_class kind) const {
        const index_t count = span.end - span.begin;
        const index_t at = (span.begin - keys_.begin) * width_;
        score_strip<products>(problem_, mask_, strip, span, kind,
                              space_.score_keys + (span.begin - keys_.begin) * space_.inner, space_.inner,
                              space_.score_queries.panel, space_.probabilities);
        multiply<float_products, product::overwrites, false>(count, strip.vectors() * lanes, problem_.head_dim,
                                                             {space_.values + at, width_}, space_.d_output.panel,
                                                             backward_lanes, {space_.d_scores, backward_lanes});
        space_.differentiate(count, strip.vectors(), problem_.soft_cap);
        const auto visible = [&](index_t row, index_t key) {
            return mask_.visible(strip.position[row], span.begin + key);
        };
        const auto visible_to_key = [&](index_t key, index_t row) { return visible(row, key); };
        const bool partial = kind == tile_class::partial;
        const left_factor<float, false> probabilities{space_.probabilities, backward_lanes};
        const left_factor<float, false> d_scores{space_.d_scores, backward_lanes};
        if (sums_.value.wanted()) {
            add_product(partial, count, strip.count, probabilities, space_.d_output.rows, space_.d_values + at,
                        visible_to_key);
        }
        if (sums_.key.wanted()) {
            add_product(partial, count, strip.count, d_scores, space_.queries.rows, space_.d_keys + at, visible_to_key);
        }
        if (sums_.query.wanted()) {
            add_product(partial, strip.count, count, left_factor<float, true>{space_.d_scores, backward_lanes},
                        space_.keys + at, space_.d_query, visible);
        }
    }

    template <bool Transposed, class Visible>
    void add_product(bool partial, index_t rows, index_t depth, left_factor<float, Transposed> a, const float* b,
                     float* sums, const Visible& visible) const {
        if (partial) {
            multiply_visible<float_products>(rows, width_, depth, a, b, {sums, width_}, visible);
        } else {
            multiply<float_products, product::accumulates>(rows, width_, depth, a, b, width_, {sums, width_});
        }
    }

    const attention_problem<T>& problem_;
    tensor_view<const T, 4> d_output_;
    const Mask& mask_;
    const gradient_sums<Gradient>& sums_;
    const space_type& space_;
    index_t sequence_;
    index_t kv_head_;
    range keys_;
    index_t width_;
    float* d_query_part_;
};

} // namespace detail
UNMASK_NAMESPACE_END
