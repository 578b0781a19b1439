// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include <unmask/config.hpp>
#include <unmask/cpu/attention/pack.hpp>
#include <unmask/cpu/attention/problem.hpp>
#include <unmask/cpu/attention/query_strip.hpp>
#include <unmask/cpu/attention/score_strip.hpp>
#include <unmask/cpu/attention/sink_score.hpp>
#include <unmask/cpu/attention/softmax_state.hpp>
#include <unmask/cpu/attention/tile_product.hpp>
#include <unmask/cpu/attention/visible_product.hpp>
#include <unmask/cpu/rows/prefetch.hpp>
#include <unmask/cpu/scratch.hpp>
#include <unmask/cpu/simd.hpp>
#include <unmask/mask/mask_policy.hpp>
#include <unmask/mask/tiles.hpp>
#include <unmask/sink/sink_policy.hpp>

// Some strips of one kv head against chunks of its keys. Each chunk's softmax starts afresh and is merged into what the
// chunks before it gave; chunks lie at fixed positions and are merged in order. So a row's bits depend on its query and
// its keys alone: not on how many queries, sequences or threads there are beside it.

UNMASK_NAMESPACE_BEGIN
namespace detail {

inline constexpr int forward_lanes = lanes == 16 ? 2 * lanes : 6 * lanes; // a multiple of block_rows
inline constexpr index_t key_chunk = 8 * key_tile;

using forward_state = softmax_state<forward_lanes>;

// Rows [first, last) of a kv head.
struct row_block {
    index_t sequence;
    index_t kv_head;
    index_t first;
    index_t last;
    index_t cost;
};

// A worker's memory for a block of up to `strips` strips, each of which may be cut in two. What Products multiply is 32
// bits wide, as floats are.
template <class Products>
struct forward_space {
    using element = typename Products::element;

    index_t width;       // of a row of values and output
    index_t inner;       // of a row of keys and queries
    element* key_rows;   // [key_tile][inner]
    element* value_rows; // [key_tile / depth][width]
    element* query_rows; // [lanes][inner], before they are transposed
    float* query_row;    // [width]
    float* scores;       // [key_tile][lanes]
    float* rescale;      // [lanes]
    element* queries;    // [strips][inner][lanes]
    float* chunk;        // [strips] states
    float* total;        // [strips] states

    forward_space(arena& pieces, index_t head_dim, index_t row_width, index_t strips)
        : width(row_width), inner(score_width<Products>(head_dim)), key_rows(pieces.take<element>(key_tile * inner)),
          value_rows(pieces.take<element>(key_tile * width)), query_rows(pieces.take<element>(forward_lanes * inner)),
          query_row(pieces.take(width)), scores(pieces.take(key_tile * forward_lanes)),
          rescale(pieces.take(forward_lanes)), queries(pieces.take<element>(2 * strips * inner * forward_lanes)),
          chunk(pieces.take(states_size(width, strips))), total(pieces.take(states_size(width, strips))) {}

    static index_t states_size(index_t width, index_t strips) { return 2 * strips * forward_state::size(width); }

    [[nodiscard]] element* queries_of(std::size_t strip) const {
        return queries + static_cast<index_t>(strip) * inner * forward_lanes;
    }
    [[nodiscard]] forward_state state(float* states, std::size_t strip) const {
        return forward_state(states + static_cast<index_t>(strip) * forward_state::size(width));
    }
};

template <class Products, class T, mask_policy Mask, sink_policy Sink>
class forward_block {
public:
    forward_block(const attention_problem<T>& problem, const Mask& mask, const Sink& sink, const row_block& block,
                  const forward_space<Products>& space)
        : problem_(problem), mask_(mask), sink_(sink), space_(space), block_(block),
          rows_(problem, block.sequence, block.kv_head * problem.group(), problem.group()),
          keys_(problem.keys(block.sequence)) {
        strips_.reserve(static_cast<std::size_t>(2 * tiles_of(block.last - block.first, forward_lanes)));
        for_each_strip<forward_lanes>(mask, rows_, block.first, block.last, keys_, [&](index_t first, index_t last) {
            strips_.push_back({first, last, query_strip<forward_lanes>(rows_, first, last), false});
        });
    }

    [[nodiscard]] index_t chunks() const { return std::max<index_t>(1, tiles_of(keys_, key_chunk)); }

    void run() {
        run_chunk(0, space_.total);
        for (index_t chunk = 1; chunk < chunks(); ++chunk) {
            if (seen_of(chunk).count > 0) {
                run_chunk(chunk, space_.chunk);
                merge(space_.chunk);
            }
        }
    }

    // The states of all strips after the keys of one chunk alone. The first chunk starts from the sink.
    void run_chunk(index_t chunk, float* states) {
        for (std::size_t i = 0; i < strips_.size(); ++i) {
            space_.state(states, i).clear(space_.width);
            if constexpr (Sink::present) {
                if (chunk == 0) {
                    start_from_sink(i, space_.state(states, i));
                }
            }
        }
        for_each_aligned_tile(seen_of(chunk), 0, std::min((chunk + 1) * key_chunk, keys_), key_tile,
                              [&](index_t begin, index_t end) { run_tile({begin, end}, states); });
    }

    // Takes over the states of the first chunk, or adds those of a later one to what the chunks before it gave.
    void set(const float* states) const {
        std::copy_n(states, static_cast<index_t>(strips_.size()) * forward_state::size(space_.width), space_.total);
    }
    void merge(float* states) const {
        for (std::size_t i = 0; i < strips_.size(); ++i) {
            space_.state(space_.total, i).merge(space_.state(states, i), strips_[i].rows.count, space_.width);
        }
    }

    void write_output() const {
        for (std::size_t i = 0; i < strips_.size(); ++i) {
            const forward_state state = space_.state(space_.total, i);
            rows_.for_each(strips_[i].first, strips_[i].last, [&](index_t head, index_t query, index_t row) {
                const index_t lane = row - strips_[i].first;
                const float sum = state.sum[lane];
                problem_.for_output(block_.sequence, query, head, [&](auto* to) {
                    unpack_row(state.output + lane * space_.width, problem_.head_dim, sum == 0.0F ? 0.0F : 1.0F / sum,
                               to);
                });
                if (!problem_.log_sum_exp.empty()) {
                    problem_.log_sum_exp(block_.sequence, head, query) = state.log_sum_exp(lane);
                }
            });
        }
    }

private:
    // The keys of a chunk that any row sees.
    [[nodiscard]] auto seen_of(index_t chunk) const {
        const range positions = rows_.positions(block_.first, block_.last);
        return intersection(mask_.key_ranges(positions.begin, positions.end, keys_),
                            ranges<1>(range{chunk * key_chunk, (chunk + 1) * key_chunk}));
    }

    struct strip {
        index_t first; // rows of the kv head
        index_t last;
        query_strip<forward_lanes> rows;
        bool packed;
    };

    void start_from_sink(std::size_t i, const forward_state& state) const {
        rows_.for_each(strips_[i].first, strips_[i].last, [&](index_t head, index_t query, index_t row) {
            const index_t lane = row - strips_[i].first;
            if constexpr (Sink::has_key) {
                pack_row(problem_.query.pointer(block_.sequence, query, head), problem_.head_dim, problem_.scale,
                         space_.query_row, space_.width);
            }
            const float score = sink_score(problem_, sink_, head, space_.query_row);
            if (is_minus_infinity(score)) {
                return;
            }
            state.largest[lane] = score;
            state.sum[lane] = 1.0F + (score - score); // NaN for NaN and ∞
            if constexpr (Sink::has_value) {
                std::copy_n(sink_.value(block_.kv_head), problem_.head_dim, state.output + lane * space_.width);
            }
        });
    }

    // One tile of keys against all strips; it is packed when the first of them needs it.
    void run_tile(range tile, float* states) {
        bool packed = false;
        const range next = clip({tile.end, tile.end + key_tile}, keys_);
        prefetch_queue ahead{{{problem_.key, block_.sequence, block_.kv_head, next},
                              {problem_.value, block_.sequence, block_.kv_head, next},
                              {}}};
        for (std::size_t i = 0; i < strips_.size(); ++i) {
            const range hull = strips_[i].rows.hull;
            for (const range& seen : mask_.key_ranges(hull.begin, hull.end, tile.end)) {
                const range keys = intersect(seen, tile);
                if (keys.empty()) {
                    continue;
                }
                const tile_class kind = mask_.classify(hull.begin, hull.end, keys.begin, keys.end);
                if (kind == tile_class::empty) {
                    continue;
                }
                if (!packed) {
                    pack_tile(tile);
                    packed = true;
                }
                if (!strips_[i].packed) {
                    pack_queries(i);
                    ahead.streams[2] = query_stream(i + 1);
                    strips_[i].packed = true;
                }
                run_span(i, tile.begin, keys, kind, space_.state(states, i), ahead);
            }
        }
    }

    void pack_tile(range tile) const {
        const index_t count = tile.end - tile.begin;
        if constexpr (Products::depth == 1) {
            pack_rows(problem_.key, block_.sequence, block_.kv_head, tile.begin, count, 1.0F, space_.key_rows,
                      space_.inner);
            pack_rows(problem_.value, block_.sequence, block_.kv_head, tile.begin, count, 1.0F, space_.value_rows,
                      space_.width);
        } else {
            pack_rows(problem_.key, block_.sequence, block_.kv_head, tile.begin, count, space_.key_rows, space_.inner);
            pack_row_pairs(problem_.value, block_.sequence, block_.kv_head, tile.begin, count, space_.value_rows,
                           space_.width);
        }
    }

    // The queries of a strip, if they are rows of one head.
    [[nodiscard]] row_stream query_stream(std::size_t i) const {
        if (i == strips_.size() || strips_[i].packed) {
            return {};
        }
        const range rows{strips_[i].first % rows_.queries, strips_[i].last - strips_[i].first};
        return {problem_.query,
                block_.sequence,
                rows_.first_head + strips_[i].first / rows_.queries,
                {rows.begin, std::min(rows.begin + rows.end, rows_.queries)}};
    }

    void pack_queries(std::size_t i) const {
        element* to = space_.query_rows;
        rows_.for_each(strips_[i].first, strips_[i].last, [&](index_t head, index_t query, index_t) {
            pack_for_score<Products>(problem_.query.pointer(block_.sequence, query, head), problem_.head_dim,
                                     problem_.scale, to, space_.inner);
            to += space_.inner;
        });
        const index_t padded = strips_[i].rows.vectors() * lanes;
        std::fill(to, space_.query_rows + padded * space_.inner, element{});
        transpose(space_.query_rows, space_.inner, padded, space_.inner, space_.queries_of(i), forward_lanes);
    }

    // One strip against some keys of the packed tile.
    void run_span(std::size_t i, index_t tile_begin, range keys, tile_class kind, const forward_state& state,
                  prefetch_queue& ahead) const {
        const query_strip<forward_lanes>& rows = strips_[i].rows;
        // Values are packed in groups of `depth`: the span is widened to whole groups, with scores of −∞.
        const index_t first = (keys.begin - tile_begin) / Products::depth * Products::depth;
        const index_t before = keys.begin - tile_begin - first;
        const index_t count = keys.end - keys.begin;
        const index_t padded = round_up(before + count, Products::depth);
        float* const scores = space_.scores + before * forward_lanes;
        score_strip<Products>(problem_, mask_, rows, keys, kind,
                              space_.key_rows + (keys.begin - tile_begin) * space_.inner, space_.inner,
                              space_.queries_of(i), scores, ahead);
        std::fill(space_.scores, scores, minus_infinity);
        std::fill(scores + count * forward_lanes, space_.scores + padded * forward_lanes, minus_infinity);
        state.template absorb<Products>(space_.scores, padded, rows.vectors(), space_.rescale);
        const index_t groups = padded / Products::depth;
        const left_factor<element, true> probabilities{reinterpret_cast<const element*>(space_.scores), forward_lanes};
        const element* const values = space_.value_rows + first / Products::depth * space_.width;
        const sums_tile output{state.output, space_.width, space_.rescale};
        if (kind == tile_class::full && padded == count) {
            multiply<Products, product::accumulates>(rows.count, space_.width, groups, probabilities, values,
                                                     space_.width, output);
        } else {
            multiply_visible<Products>(rows.count, space_.width, groups, probabilities, values, output,
                                       [&](index_t row, index_t number) {
                                           const index_t key = keys.begin - before + number;
                                           return keys.contains(key) && mask_.visible(rows.position[row], key);
                                       });
        }
    }

    using element = typename Products::element;

    const attention_problem<T>& problem_;
    const Mask& mask_;
    const Sink& sink_;
    forward_space<Products> space_;
    row_block block_;
    grouped_rows rows_;
    index_t keys_;
    std::vector<strip> strips_;
};

} // namespace detail
UNMASK_NAMESPACE_END
