// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <concepts>
#include <utility>
#include <vector>

#include <unmask/config.hpp>
#include <unmask/cpu/attention_problem.hpp>
#include <unmask/cpu/executor.hpp>
#include <unmask/cpu/pack.hpp>
#include <unmask/cpu/query_strip.hpp>
#include <unmask/cpu/score_strip.hpp>
#include <unmask/cpu/scratch.hpp>
#include <unmask/cpu/sink_score.hpp>
#include <unmask/cpu/softmax_state.hpp>
#include <unmask/mask/tiles.hpp>

// Forward. A task takes the rows of some strips over keys in chunks; a chunk's softmax starts afresh and is merged into
// what the chunks before it gave. Chunks lie at fixed positions and are merged in order, whether one task goes through
// all of them or each is a task of its own: so a row's bits depend on its query and its keys alone, not on how many
// queries, sequences or threads there are beside it.

UNMASK_NAMESPACE_BEGIN
namespace detail {

#if defined(__AVX512BF16__)
template <class T>
using forward_products = std::conditional_t<std::same_as<T, bfloat16>, bfloat16_products, float_products>;
#else
template <class T>
using forward_products = float_products;
#endif

inline constexpr int forward_lanes = lanes == 16 ? 2 * lanes : 6 * lanes; // multiples of block_rows
inline constexpr index_t strips_a_task = 2048 / forward_lanes;
inline constexpr index_t key_chunk = 8 * key_tile;

using forward_state = softmax_state<forward_lanes>;

// A worker's memory. `words` holds floats or pairs of bfloat16: both are 32 bits.
template <class Products>
struct forward_space {
    using element = typename Products::element;

    struct strip {
        element* queries; // [inner][lanes]
        forward_state chunk;
        forward_state total;

        strip(arena& pieces, index_t inner, index_t width)
            : queries(reinterpret_cast<element*>(pieces.take(inner * forward_lanes))), chunk(pieces, width),
              total(pieces, width) {}
    };

    index_t width;       // of a row of values and output
    index_t inner;       // of a row of keys and queries
    element* key_rows;   // [key_tile][inner]
    element* value_rows; // [key_tile / depth][width]
    element* query_rows; // [lanes][inner], before they are transposed
    float* query_row;    // [width]
    float* scores;       // [key_tile][lanes]
    float* rescale;      // [lanes]
    std::vector<strip> strips;

    template <class T>
    forward_space(arena& pieces, const attention_problem<T>& problem, index_t strip_count)
        : width(problem.width()), inner(detail::round_up(tiles_of(problem.head_dim, Products::depth), 4)),
          key_rows(words(pieces, key_tile * inner)), value_rows(words(pieces, key_tile * width)),
          query_rows(words(pieces, forward_lanes * inner)), query_row(pieces.take(width)),
          scores(pieces.take(key_tile * forward_lanes)), rescale(pieces.take(forward_lanes)) {
        for (index_t i = 0; i < strip_count; ++i) {
            strips.emplace_back(pieces, inner, width);
        }
    }

private:
    static element* words(arena& pieces, index_t count) { return reinterpret_cast<element*>(pieces.take(count)); }
};

// The rows [first, last) of one kv head, in strips.
template <class Products, class T, mask_policy Mask, sink_policy Sink>
class forward_block {
public:
    forward_block(const attention_problem<T>& problem, const Mask& mask, const Sink& sink,
                  forward_space<Products> space, index_t sequence, index_t kv_head, index_t first, index_t last)
        : problem_(problem), mask_(mask), sink_(sink), space_(std::move(space)), sequence_(sequence),
          kv_head_(kv_head), rows_(problem, sequence, kv_head), first_(first), last_(last) {
        for (index_t row = first; row < last; row += forward_lanes) {
            strips_.emplace_back(rows_, row, std::min(row + forward_lanes, last), problem.query_offset);
            pack_queries(strips_.size() - 1);
        }
    }

    // The state of every strip after the keys of one chunk. The first chunk starts from the sink.
    void run_chunk(index_t chunk) {
        for (std::size_t i = 0; i < strips_.size(); ++i) {
            space_.strips[i].chunk.clear(space_.width);
            if constexpr (Sink::present) {
                if (chunk == 0) {
                    start_from_sink(i);
                }
            }
        }
        const range keys{chunk * key_chunk, std::min((chunk + 1) * key_chunk, problem_.keys(sequence_))};
        const range hull = rows_.query_range(first_, last_);
        const auto ranges = mask_.key_ranges(hull.begin + problem_.query_offset, hull.end + problem_.query_offset,
                                             problem_.keys(sequence_));
        for_each_aligned_tile(ranges, keys.begin, keys.end, key_tile,
                              [&](index_t begin, index_t end) { run_tile({begin, end}); });
    }

    void merge_chunk(index_t chunk) {
        for (std::size_t i = 0; i < strips_.size(); ++i) {
            auto& strip = space_.strips[i];
            if (chunk == 0) {
                std::swap(strip.chunk, strip.total);
            } else {
                strip.total.merge(strip.chunk, strips_[i].count, space_.width);
            }
        }
    }

    void write_output() const {
        for (index_t row = first_; row < last_; ++row) {
            const forward_state& state = space_.strips[strip_of(row)].total;
            const index_t lane = (row - first_) % forward_lanes;
            const float sum = state.sum[lane];
            unpack_row(state.output + lane * space_.width, problem_.head_dim, sum > 0.0F ? 1.0F / sum : 0.0F,
                       problem_.output.pointer(sequence_, rows_.query(row), rows_.head(row)));
            if (!problem_.log_sum_exp.empty()) {
                problem_.log_sum_exp(sequence_, rows_.head(row), rows_.query(row)) = state.log_sum_exp(lane);
            }
        }
    }

private:
    [[nodiscard]] std::size_t strip_of(index_t row) const {
        return static_cast<std::size_t>((row - first_) / forward_lanes);
    }

    void pack_queries(std::size_t strip) const {
        const index_t first = first_ + static_cast<index_t>(strip) * forward_lanes;
        std::fill_n(space_.query_rows, forward_lanes * space_.inner, typename Products::element{});
        for (index_t lane = 0; lane < strips_[strip].count; ++lane) {
            typename Products::element* const to = space_.query_rows + lane * space_.inner;
            const index_t head = rows_.head(first + lane);
            if constexpr (Products::depth == 1) {
                pack_rows(problem_.query, sequence_, head, rows_.query(first + lane), 1, problem_.score_factor(), to,
                          space_.inner);
            } else {
                pack_rows(problem_.query, sequence_, head, rows_.query(first + lane), 1, to, space_.inner);
            }
        }
        transpose(space_.query_rows, space_.inner, forward_lanes, space_.inner, space_.strips[strip].queries,
                  forward_lanes);
    }

    void start_from_sink(std::size_t strip) const {
        const index_t first = first_ + static_cast<index_t>(strip) * forward_lanes;
        const forward_state& state = space_.strips[strip].chunk;
        for (int lane = 0; lane < strips_[strip].count; ++lane) {
            const index_t head = rows_.head(first + lane);
            if constexpr (Sink::has_key) {
                pack_rows(problem_.query, sequence_, head, rows_.query(first + lane), 1, problem_.score_factor(),
                          space_.query_row, space_.width);
            }
            state.largest[lane] = sink_score(problem_, sink_, head, space_.query_row);
            state.sum[lane] = 1.0F;
            if constexpr (Sink::has_value) {
                std::copy_n(sink_.value(kv_head_), problem_.head_dim, state.output + lane * space_.width);
            }
        }
    }

    // One tile of keys against all strips; it is packed when the first of them needs it.
    void run_tile(range tile) const {
        bool packed = false;
        for (std::size_t i = 0; i < strips_.size(); ++i) {
            const range hull = strips_[i].hull;
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
                run_span(i, tile.begin, keys, kind);
                prefetch_share(tile.end, static_cast<index_t>(i));
            }
        }
    }

    void pack_tile(range tile) const {
        const index_t count = tile.end - tile.begin;
        if constexpr (Products::depth == 1) {
            pack_rows(problem_.key, sequence_, kv_head_, tile.begin, count, 1.0F, space_.key_rows, space_.inner);
            pack_rows(problem_.value, sequence_, kv_head_, tile.begin, count, 1.0F, space_.value_rows, space_.width);
        } else {
            pack_rows(problem_.key, sequence_, kv_head_, tile.begin, count, space_.key_rows, space_.inner);
            pack_row_pairs(problem_.value, sequence_, kv_head_, tile.begin, count, space_.value_rows, space_.width);
        }
    }

    // Asks for one strip's share of the next tile, so that it is near when it is packed.
    void prefetch_share(index_t next, index_t strip) const {
        const index_t strips = static_cast<index_t>(strips_.size());
        const index_t count = std::min(key_tile, problem_.keys(sequence_) - next);
        for (index_t row = next + count * strip / strips; row < next + count * (strip + 1) / strips; ++row) {
            prefetch_row(problem_.key.pointer(sequence_, row, kv_head_), problem_.head_dim);
            prefetch_row(problem_.value.pointer(sequence_, row, kv_head_), problem_.head_dim);
        }
    }

    // One strip against some keys of the packed tile.
    void run_span(std::size_t strip, index_t tile_begin, range keys, tile_class kind) const {
        const query_strip<forward_lanes>& rows = strips_[strip];
        const forward_state& state = space_.strips[strip].chunk;
        // Values are packed in groups of depth: the span is widened to whole groups, with scores of −∞.
        const index_t first = (keys.begin - tile_begin) / Products::depth * Products::depth;
        const index_t before = keys.begin - tile_begin - first;
        const index_t count = keys.end - keys.begin;
        const index_t padded = round_up(before + count, Products::depth);
        float* const scores = space_.scores + before * forward_lanes;
        score_strip<Products>(problem_, mask_, rows, keys, kind,
                              space_.key_rows + (keys.begin - tile_begin) * space_.inner, space_.inner,
                              space_.strips[strip].queries, scores);
        std::fill(space_.scores, scores, minus_infinity);
        std::fill(scores + count * forward_lanes, space_.scores + padded * forward_lanes, minus_infinity);
        state.template absorb<Products>(space_.scores, padded, rows.vectors(), space_.rescale);
        multiply<Products, true>(rows.count, space_.width, padded / Products::depth,
                                 {reinterpret_cast<const typename Products::element*>(space_.scores), forward_lanes},
                                 space_.value_rows + first / Products::depth * space_.width, space_.width,
                                 {state.output, space_.width, true, space_.rescale});
    }

    const attention_problem<T>& problem_;
    const Mask& mask_;
    const Sink& sink_;
    forward_space<Products> space_;
    index_t sequence_;
    index_t kv_head_;
    grouped_rows rows_;
    index_t first_;
    index_t last_;
    std::vector<query_strip<forward_lanes>> strips_;
};

// What rows past a sequence's length get.
template <class T>
inline void clear_idle_rows(const attention_problem<T>& problem, index_t sequence, index_t kv_head) {
    for (index_t head = kv_head * problem.group(); head < (kv_head + 1) * problem.group(); ++head) {
        for (index_t row = problem.queries(sequence); row < problem.query_length; ++row) {
            std::fill_n(problem.output.pointer(sequence, row, head), problem.head_dim, T(0.0F));
            if (!problem.log_sum_exp.empty()) {
                problem.log_sum_exp(sequence, head, row) = minus_infinity;
            }
        }
    }
}

template <class Executor, class T, mask_policy Mask, sink_policy Sink>
void attention_forward(const Executor& exec, const attention_problem<T>& problem, const Mask& mask, const Sink& sink) {
    using products = forward_products<T>;
    struct task {
        index_t sequence, kv_head, first, last;
    };
    std::vector<task> tasks;
    for (index_t sequence = 0; sequence < problem.batch; ++sequence) {
        for (index_t kv_head = 0; kv_head < problem.kv_heads; ++kv_head) {
            clear_idle_rows(problem, sequence, kv_head);
            const index_t rows = grouped_rows(problem, sequence, kv_head).count;
            for (index_t first = 0; first < rows; first += strips_a_task * forward_lanes) {
                tasks.push_back({sequence, kv_head, first, std::min(first + strips_a_task * forward_lanes, rows)});
            }
        }
    }
    const worker_spaces<forward_space<products>> spaces(exec.workers(), problem, strips_a_task);
    exec.parallel_for(static_cast<index_t>(tasks.size()), [&](index_t i, int worker) {
        const task& t = tasks[static_cast<std::size_t>(i)];
        forward_block<products, T, Mask, Sink> block(problem, mask, sink, spaces.of(worker, problem, strips_a_task),
                                                     t.sequence, t.kv_head, t.first, t.last);
        const index_t chunks = std::max<index_t>(1, tiles_of(problem.keys(t.sequence), key_chunk));
        for (index_t chunk = 0; chunk < chunks; ++chunk) {
            block.run_chunk(chunk);
            block.merge_chunk(chunk);
        }
        block.write_output();
    });
}

} // namespace detail
UNMASK_NAMESPACE_END
